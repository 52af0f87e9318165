package identity

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFindCgroup2(t *testing.T) {
	const (
		unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		v1      = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
		hybrid  = v1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
		private = "900 880 0:26 /../../docker/x /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw\n"
		escaped = `41 31 0:38 / /mnt/my\040cgroups rw - cgroup2 none rw` + "\n"
	)
	for _, tt := range []struct{ name, mountinfo, want string }{
		{"unified", unified, "/sys/fs/cgroup"},
		{"hybrid", hybrid, "/sys/fs/cgroup/unified"},
		{"only a part of the tree", private, "/sys/fs/cgroup"},
		{"the whole tree is preferred", private + hybrid, "/sys/fs/cgroup/unified"},
		{"escapes", escaped, "/mnt/my cgroups"},
		{"noise", "x\n - cgroup2 \na b c - cgroup2 x\n" + unified, "/sys/fs/cgroup"},
	} {
		got, err := FindCgroup2(strings.NewReader(tt.mountinfo))
		if err != nil || got != tt.want {
			t.Errorf("%s: FindCgroup2 = %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	if _, err := FindCgroup2(strings.NewReader(v1)); !errors.Is(err, ErrNoCgroup2) {
		t.Errorf("without cgroup2: %v, want ErrNoCgroup2", err)
	}
	if _, err := FindCgroup2(strings.NewReader(strings.Repeat("x", 1<<20))); err == nil {
		t.Error("an endless line gives no error")
	}
}

// realTree is this machine's cgroup tree, with a cgroup of the test's own.
func realTree(t *testing.T) (cgroupTree, string) {
	t.Helper()
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	root, err := FindCgroup2(f)
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp(root, "weir-identity-test")
	if err != nil {
		if os.Getenv("WEIR_TEST_PRIVILEGED") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs leave to make a cgroup:", err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	return cgroupTree{root}, "/" + filepath.Base(dir)
}

func TestCgroupTree(t *testing.T) {
	tree, path := realTree(t)
	id, err := tree.id(path)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(tree.root, path), &st); err != nil || st.Ino != id {
		t.Errorf("id = %d, inode = %d (%v): equal on 64 bits", id, st.Ino, err)
	}
	if got, err := tree.path(id); err != nil || got != path {
		t.Errorf("path(%d) = %q, %v, want %q", id, got, err, path)
	}
	found := map[string]uint64{}
	if err := tree.walk(func(id uint64, path string) { found[path] = id }); err != nil {
		t.Fatal(err)
	}
	if found[path] != id || found["/"] == 0 {
		t.Errorf("the walk found %d for %s and %d for the root, want %d and some id", found[path], path, found["/"], id)
	}
	if pid := tree.firstPID(path); pid != 0 {
		t.Errorf("an empty cgroup has process %d", pid)
	}
	os.Remove(filepath.Join(tree.root, path))
	if got, err := tree.path(id); err == nil {
		t.Errorf("a removed cgroup still has the path %q", got)
	}
}
