package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// systemd is the socket that a service tells its state.
func systemd(t *testing.T) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("systemd heard nothing: %v", err)
		}
		return string(b[:n])
	}
}

func TestNotify(t *testing.T) {
	next := systemd(t)
	n := notifier{discardLogger()}
	n.ready("capturing")
	if got := next(); got != "READY=1\nSTATUS=capturing" {
		t.Errorf("got %q", got)
	}
	n.starting("policies do not hold:\nREADY=1", 10*time.Second)
	if got := next(); got != "EXTEND_TIMEOUT_USEC=10000000\nSTATUS=policies do not hold: READY=1" {
		t.Errorf("got %q", got)
	}
	n.stopping()
	if got := next(); got != "STOPPING=1\nSTATUS=stopping" {
		t.Errorf("got %q", got)
	}
}

// A pipeline that does not answer must starve the watchdog.
func TestWatchdog(t *testing.T) {
	next := systemd(t)
	t.Setenv("WATCHDOG_USEC", "60000")
	var healthy atomic.Bool
	healthy.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		notifier{discardLogger()}.watch(ctx, healthy.Load, func() string { return "5 flows" })
	}()
	var heard string
	for range 4 {
		heard += next() + "\n"
	}
	if !strings.Contains(heard, "STATUS=5 flows\n") || !strings.Contains(heard, "WATCHDOG=1\n") {
		t.Errorf("heard %q", heard)
	}
	healthy.Store(false)
	for range 3 { // what was under way
		next()
	}
	for range 3 {
		if got := next(); strings.Contains(got, "WATCHDOG") {
			t.Error("the watchdog was fed without health")
		}
	}
	cancel()
	<-done
}

func TestNoSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	a, _, errs := testApp(nil)
	n := notifier{a.newLogger()}
	n.ready("x")
	if errs.Len() != 0 {
		t.Errorf("complains: %s", errs)
	}
}
