package lab

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// CgroupRoot is the mount point of cgroup v2, on the hybrid layout too.
func CgroupRoot(t testing.TB) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatalf("find cgroup2: %v", err)
	}
	root, ok := cgroupMount(mounts)
	if !ok {
		missing(t, "needs cgroup v2: mount it with `mount -t cgroup2 none /sys/fs/cgroup/unified`")
	}
	return root
}

// cgroupMount finds the first cgroup2 mount in a mountinfo file.
func cgroupMount(mountinfo []byte) (string, bool) {
	lines := bufio.NewScanner(bytes.NewReader(mountinfo))
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if ok && len(fields) >= 5 && strings.HasPrefix(after, "cgroup2 ") {
			return fields[4], true
		}
	}
	return "", false
}

// cgroupID is the kernel's number of a cgroup, as bpf_get_current_cgroup_id
// gives it: the file handle of its directory.
func cgroupID(path string) (uint64, error) {
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	if err != nil {
		return 0, fmt.Errorf("cgroup id of %s: %w", path, err)
	}
	if h.Size() != 8 {
		return 0, fmt.Errorf("cgroup id of %s: handle of %d bytes", path, h.Size())
	}
	return binary.NativeEndian.Uint64(h.Bytes()), nil
}

// removeCgroup ends every process in a tree of cgroups and removes the tree.
func removeCgroup(path string) error {
	var dirs []string
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove cgroup %s: %w", path, err)
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := removeOne(dirs[i]); err != nil {
			return fmt.Errorf("remove cgroup %s: %w", dirs[i], err)
		}
	}
	return nil
}

// removeOne kills, and retries while the kernel has not let go of the killed.
func removeOne(dir string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := os.Remove(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		killAll(dir)
		time.Sleep(time.Millisecond)
	}
}

// killAll uses cgroup.kill (5.14), and single signals where a kernel lacks it.
func killAll(dir string) {
	if os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for _, field := range strings.Fields(string(procs)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// prefix begins the name of every lab's cgroup: weir-lab-<pid>-<n>.
const prefix = "weir-lab-"

// removeStale removes the cgroups of labs whose process is gone. What it cannot
// remove it leaves for the next time: a leftover harms no test.
func removeStale(root string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		if pid, ok := ownerOf(e.Name()); ok && !alive(pid) {
			_ = removeCgroup(filepath.Join(root, e.Name()))
		}
	}
}

// ownerOf reads the process out of a lab's name.
func ownerOf(name string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	first, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(first)
	return pid, err == nil && pid > 0
}

func alive(pid int) bool {
	return !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}
