package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// unixSocket is a listener whose file is removed when it is closed.
type unixSocket struct {
	net.Listener
	path   string
	remove sync.Once
	inode  uint64
}

// listenUnix listens at path. Who may connect is decided before the socket has
// its name: it is made in a directory that only its owner enters, and moved. A
// socket that a killed daemon left is replaced, one that answers is not.
func listenUnix(path, group string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("socket %s: %w; run as root, or choose another path", path, err)
	}
	if err := mayReplace(path); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".weir-")
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w; run as root, or choose another path", path, err)
	}
	defer os.RemoveAll(private)
	hidden := filepath.Join(private, "s")
	l, err := net.Listen("unix", hidden)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	inode, err := publish(hidden, path, group)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return &unixSocket{Listener: l, path: path, inode: inode}, nil
}

// publish gives the socket its owner, rights and name. Without the group it is
// its owner's alone.
func publish(hidden, path, group string) (inode uint64, err error) {
	mode := os.FileMode(0o600)
	if gid, ok := groupID(group); ok {
		if err := os.Chown(hidden, -1, gid); err == nil {
			mode = 0o660
		} else if !errors.Is(err, os.ErrPermission) {
			return 0, err
		}
	}
	if err := os.Chmod(hidden, mode); err != nil {
		return 0, err
	}
	if inode, err = inodeOf(hidden); err != nil {
		return 0, err
	}
	return inode, os.Rename(hidden, path)
}

func groupID(name string) (gid int, ok bool) {
	if name == "" {
		return 0, false
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, false
	}
	gid, err = strconv.Atoi(g.Gid)
	return gid, err == nil
}

// groupName is the group's name, or its number where it has none.
func groupName(gid uint32) string {
	n := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(n); err == nil {
		return g.Name
	}
	return n
}

// mayReplace tells whether path is free or a socket that nobody listens at.
func mayReplace(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return errors.New("there is a file that is no socket; remove it, or choose another path")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return errors.New("another process answers there; stop it, or choose another path")
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return nil
}

func inodeOf(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return st.Ino, err
}

// Close ends the listener and removes its file, unless another socket has taken
// the place.
func (s *unixSocket) Close() error {
	s.remove.Do(func() {
		if inode, err := inodeOf(s.path); err == nil && inode == s.inode {
			os.Remove(s.path)
		}
	})
	return s.Listener.Close()
}

// listenTCP listens at host:port and says what to do when it cannot.
func listenTCP(what, flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use by another program; choose another address with --%s, or none with --%s=",
			what, addr, flag, flag)
	case err != nil:
		return nil, fmt.Errorf("%s: %w; --%s chooses another address", what, err, flag)
	}
	return l, nil
}
