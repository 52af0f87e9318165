package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupName is the demo's own branch below the root of cgroup v2.
const cgroupName = "weir-demo"

// cgroupRoot finds where cgroup v2 is mounted: alone, or beside v1 on hosts with both.
func cgroupRoot() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("mounts: %w", err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if dir, ok := cgroup2Mount(in.Text()); ok {
			return dir, nil
		}
	}
	return "", errors.New("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup/unified")
}

// cgroup2Mount reads one line of mountinfo: "… root dir options - type source …".
func cgroup2Mount(line string) (dir string, ok bool) {
	before, after, ok := strings.Cut(line, " - ")
	fields := strings.Fields(before)
	if !ok || len(fields) < 5 || fields[3] != "/" || !strings.HasPrefix(after, "cgroup2 ") {
		return "", false
	}
	return fields[4], true
}

// makeCgroup makes the cgroup of a service, open for a process to start in.
func makeCgroup(service string) (*os.File, error) {
	root, err := cgroupRoot()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, cgroupName, service)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return os.Open(dir)
}

// removeCgroups ends every process of any run and removes its cgroups.
func removeCgroups(ctx context.Context) error {
	root, err := cgroupRoot()
	if err != nil {
		return nil // then no run made any
	}
	top := filepath.Join(root, cgroupName)
	entries, err := os.ReadDir(top)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cgroup %s: %w", top, err)
	}
	var errs error
	for _, e := range entries {
		if e.IsDir() {
			errs = errors.Join(errs, killCgroup(filepath.Join(top, e.Name())))
		}
	}
	for _, e := range entries {
		if e.IsDir() {
			errs = errors.Join(errs, removeEmpty(ctx, filepath.Join(top, e.Name())))
		}
	}
	return errors.Join(errs, removeEmpty(ctx, top))
}

// killCgroup kills all processes of one cgroup: in one step from Linux 5.14 on, else one by one.
func killCgroup(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err == nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	for field := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL) // ended meanwhile, or removeEmpty will tell
		}
	}
	return nil
}

// removeEmpty removes a cgroup once its killed processes are gone.
func removeEmpty(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cgroup %s: %w", dir, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func isNoDevice(err error) bool { return errors.Is(err, unix.ENODEV) }
