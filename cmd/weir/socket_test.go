package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "weir.sock")
	l, err := listenUnix(path, "")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v), want 0600 without a group", info.Mode(), err)
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("dial: %v", err)
	} else {
		c.Close()
	}
	if _, err := listenUnix(path, ""); err == nil || !strings.Contains(err.Error(), "another process answers there") {
		t.Errorf("a living socket was replaced: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A daemon that was killed leaves its socket; the next one takes its place.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	l, err := listenUnix(path, "")
	if err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	// The one that was replaced closes late: it must not take the new one's file.
	newer := filepath.Join(filepath.Dir(path), "newer")
	l2, err := listenUnix(newer, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(newer, path); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another's socket was removed: %v", err)
	}
	l2.Close()
}

func TestNoSocketIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path, ""); err == nil || !strings.Contains(err.Error(), "a file that is no socket") {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("the file was changed")
	}
}

func TestSocketGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give a file to any group")
	}
	path := filepath.Join(t.TempDir(), "weir.sock")
	l, err := listenUnix(path, groupName(uint32(os.Getgid())))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, want 0660 with a group", info.Mode())
	}
}

func TestListenTCP(t *testing.T) {
	l, err := listenTCP("metrics", "metrics-listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	if _, err := listenTCP("metrics", "metrics-listen", addr); err == nil || !strings.Contains(err.Error(), addr+" is in use by another program; choose another address with --metrics-listen") {
		t.Errorf("got %v", err)
	}
	if _, err := listenTCP("metrics", "metrics-listen", "nonsense"); err == nil || !strings.Contains(err.Error(), "--metrics-listen") {
		t.Errorf("got %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	f, err := lockState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("state directory has mode %v", info.Mode())
	}
	_, err = lockState(dir)
	if err == nil || !strings.Contains(err.Error(), "another weir runs on this host as process "+strconv.Itoa(os.Getpid())+" ") {
		t.Errorf("second lock: %v", err)
	}
	f.Close()
	f, err = lockState(dir)
	if err != nil {
		t.Fatalf("lock after its owner is gone: %v", err)
	}
	f.Close()
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte("\x1b[31m"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err = os.Open(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if pid := readPID(f); pid != "" {
		t.Errorf("a hostile lock file tells pid %q", pid)
	}
}
