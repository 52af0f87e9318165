package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is by how much a timer of the daemon may be late. Nothing that it
// waits for is due more exactly.
const timerSlack = time.Millisecond

// slackenTimers lets the kernel join this process's timers with others'. While the
// program runs at all, Go's runtime looks after it up to 20,000 times a second; beside
// programs that keep the processors busy that was two thirds of the daemon's switches
// and a quarter of its time. Threads to come take it over from those that make them.
// See proc_pid_timerslack_ns(5).
func slackenTimers() error {
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return err
	}
	var failed error
	for _, t := range tasks {
		// It is a thread's, but only where a process is looked for.
		name := filepath.Join("/proc", filepath.Base(t), "timerslack_ns")
		err := os.WriteFile(name, strconv.AppendInt(nil, timerSlack.Nanoseconds(), 10), 0)
		if err != nil && !ended(err) {
			failed = err
		}
	}
	return failed
}

// ended tells whether err is that a thread ended before its file was opened, or after.
func ended(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }
