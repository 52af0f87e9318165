package identity

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoCgroup2 says that this host has no cgroup v2 hierarchy mounted.
var ErrNoCgroup2 = errors.New("no cgroup2 mount found; mount one with: mount -t cgroup2 none /sys/fs/cgroup/unified")

// FindCgroup2 gives the mount point of the cgroup v2 hierarchy as
// /proc/self/mountinfo has it, on a unified host and on a hybrid one. Of several
// mounts the first that shows the hierarchy's own root is taken, else the first.
func FindCgroup2(mountinfo io.Reader) (string, error) {
	found := ""
	scan := bufio.NewScanner(mountinfo)
	for scan.Scan() {
		// 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
		left, right, ok := strings.Cut(scan.Text(), " - ")
		if !ok || !strings.HasPrefix(right, "cgroup2 ") {
			continue
		}
		f := strings.Fields(left)
		if len(f) < 5 {
			continue
		}
		point := unescapeMount(f[4])
		if f[3] == "/" {
			return point, nil
		}
		if found == "" {
			found = point
		}
	}
	if err := scan.Err(); err != nil {
		return "", fmt.Errorf("read mountinfo: %w", err)
	}
	if found == "" {
		return "", ErrNoCgroup2
	}
	return found, nil
}

// unescapeMount undoes mountinfo's octal escapes of space, tab, newline and
// backslash.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// cgroupTree is a mounted cgroup v2 hierarchy.
type cgroupTree struct{ root string }

// id is the kernel's id of the cgroup at a path below the root: the 8 bytes of
// its directory's file handle.
func (t cgroupTree) id(path string) (uint64, error) {
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, filepath.Join(t.root, path), 0)
	if err != nil {
		return 0, fmt.Errorf("get the id of cgroup %s: %w", path, err)
	}
	if h.Size() != 8 {
		return 0, fmt.Errorf("get the id of cgroup %s: file handle of %d bytes instead of 8", path, h.Size())
	}
	return binary.NativeEndian.Uint64(h.Bytes()), nil
}

// kernfsHandle is the type of a file handle that holds a cgroup id (FILEID_KERNFS).
const kernfsHandle = 0xfe

// path is the inverse of id. It needs CAP_DAC_READ_SEARCH.
func (t cgroupTree) path(id uint64) (string, error) {
	mount, err := os.Open(t.root)
	if err != nil {
		return "", err
	}
	defer mount.Close()
	handle := unix.NewFileHandle(kernfsHandle, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(int(mount.Fd()), handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("open cgroup %d: %w", id, err)
	}
	defer unix.Close(fd)
	full, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	rel, ok := strings.CutPrefix(full, strings.TrimSuffix(t.root, "/"))
	if !ok || rel != "" && rel[0] != '/' {
		return "", fmt.Errorf("open cgroup %d: %s is outside of %s", id, full, t.root)
	}
	return "/" + strings.TrimPrefix(rel, "/"), nil
}

// walk calls f for every cgroup, parents first. Those that vanish meanwhile are
// passed over.
func (t cgroupTree) walk(f func(id uint64, path string)) error {
	return filepath.WalkDir(t.root, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			if full == t.root {
				return fmt.Errorf("walk the cgroups: %w", err)
			}
			return nil
		}
		if !d.IsDir() {
			return nil
		}
		path := "/" + strings.TrimPrefix(strings.TrimPrefix(full, t.root), "/")
		if id, err := t.id(path); err == nil {
			f(id, path)
		}
		return nil
	})
}

// firstPID is a process of a cgroup, the first that the kernel lists; 0 when it
// has none of its own.
func (t cgroupTree) firstPID(path string) uint32 {
	f, err := os.Open(filepath.Join(t.root, path, "cgroup.procs"))
	if err != nil {
		return 0
	}
	defer f.Close()
	buf := make([]byte, 32)
	n, _ := f.Read(buf)
	line, _, ok := bytes.Cut(buf[:n], []byte{'\n'})
	if !ok {
		return 0
	}
	pid, err := strconv.ParseUint(string(line), 10, 32)
	if err != nil || pid > maxPID {
		return 0
	}
	return uint32(pid)
}
