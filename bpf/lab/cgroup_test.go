package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestCgroupMount(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"unified", "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n", "/sys/fs/cgroup"},
		{"hybrid", "30 23 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n" +
			"31 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
			"32 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified"},
		{"none", "31 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", ""},
		{"cut short", "32 30 0:29 - cgroup2 x\n\n- cgroup2 \n", ""},
	} {
		got, ok := cgroupMount([]byte(tc.in))
		if got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: got %q, %v; want %q", tc.name, got, ok, tc.want)
		}
	}
}

func TestOwnerOf(t *testing.T) {
	for name, want := range map[string]int{
		"weir-lab-812-3": 812, "weir-lab-1": 1, "weir-lab-x-1": 0, "weir-lab--1": 0, "docker": 0, "weir-lab-0-1": 0,
	} {
		pid, ok := ownerOf(name)
		if ok != (want != 0) || ok && pid != want {
			t.Errorf("ownerOf(%q) = %d, %v; want %d", name, pid, ok, want)
		}
	}
}

func TestNewRemovesWhatAKilledRunLeft(t *testing.T) {
	RequireRoot(t)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(CgroupRoot(t), prefix+strconv.Itoa(dead.Process.Pid)+"-1")
	if err := os.MkdirAll(filepath.Join(stale, "web"), 0o755); err != nil {
		t.Fatal(err)
	}
	// A process that the killed run left in it.
	left := exec.Command("sleep", "60")
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	procs := filepath.Join(stale, "web", "cgroup.procs")
	if err := os.WriteFile(procs, []byte(strconv.Itoa(left.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- left.Wait() }()

	New(t)
	if err := <-gone; err == nil {
		t.Error("the process left in the stale cgroup ended by itself")
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("stale cgroup: %v, want it removed", err)
	}
}
