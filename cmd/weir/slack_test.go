package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestSlackenTimers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a thread's timer slack is for root to change")
	}
	if err := slackenTimers(); err != nil {
		t.Fatal(err)
	}
	// A thread that is made afterwards has it, too.
	for range 4 {
		go runtime.LockOSThread()
	}
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, task := range tasks {
		got, err := os.ReadFile(filepath.Join("/proc", filepath.Base(task), "timerslack_ns"))
		if err != nil && ended(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := strconv.Itoa(int(timerSlack)); strings.TrimSpace(string(got)) != want {
			t.Errorf("thread %s: %s ns, want %s", filepath.Base(task), got, want)
		}
	}
}
