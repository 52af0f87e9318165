package sever

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/enforce"
)

// End ends connections; their processes see ECONNABORTED. One that is gone already
// is no error. There is an error for each that stays.
func End(connections []enforce.Connection) []error {
	byNS := map[uint32][]enforce.Connection{}
	for _, c := range connections {
		byNS[c.NetNS] = append(byNS[c.NetNS], c)
	}
	var spaces map[uint32]string
	var errs []error
	for ns, list := range byNS {
		path := pathOf(list, ns)
		if path == "" {
			if spaces == nil {
				spaces = everySpace()
			}
			path = spaces[ns]
		}
		if path == "" {
			errs = append(errs, fmt.Errorf("network namespace %d: no process is in it that would lead there", ns))
			continue
		}
		errs = append(errs, within(path, list)...)
	}
	return errs
}

// pathOf finds the namespace by the processes that opened the sockets.
func pathOf(list []enforce.Connection, ns uint32) string {
	for _, pid := range append([]uint32{uint32(os.Getpid())}, pids(list)...) {
		if path := fmt.Sprintf("/proc/%d/ns/net", pid); inode(path) == ns {
			return path
		}
	}
	return ""
}

func pids(list []enforce.Connection) (out []uint32) {
	for _, c := range list {
		if c.PID != 0 {
			out = append(out, c.PID)
		}
	}
	return out
}

// inode reads a namespace's number from a link like "net:[4026531840]".
func inode(path string) uint32 {
	to, err := os.Readlink(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(to, "net:["), "]"), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// everySpace gives a path for each network namespace that has a process.
func everySpace() map[uint32]string {
	out := map[uint32]string{}
	all, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, path := range all {
		if n := inode(path); n != 0 && out[n] == "" {
			out[n] = path
		}
	}
	return out
}

// within ends connections of one network namespace.
func within(path string, list []enforce.Connection) []error {
	fd, err := diagSocket(path)
	if err != nil {
		return []error{fmt.Errorf("network namespace %s: %w", path, err)}
	}
	defer unix.Close(fd)
	var errs []error
	for _, c := range list {
		err := destroy(fd, c)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("connection %s → %s: %w", c.Local, c.Remote, err))
		}
	}
	return errs
}

// diagSocket opens a socket in a network namespace. The thread that goes there
// comes back, or ends.
func diagSocket(path string) (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		var home, there int
		if home, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			runtime.UnlockOSThread()
			return
		}
		defer unix.Close(home)
		if there, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			runtime.UnlockOSThread()
			return
		}
		defer unix.Close(there)
		if err = unix.Setns(there, unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			return
		}
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
		if back := unix.Setns(home, unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		} // else the goroutine ends locked, and its thread with it
	}()
	<-done
	if err != nil {
		return 0, err
	}
	// An answer that does not come must not hold up what waits for this.
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}
