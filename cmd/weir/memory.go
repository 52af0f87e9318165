package main

import (
	"bytes"
	"os"
	"runtime/debug"
	"strconv"
)

// tuneMemory trades a little of the processor for memory: the daemon is to stay
// small beside what it watches. There is no limit: with more flows than it
// allows for, the collector would eat the processor. GOGC, which the runtime has
// read already, comes first.
func tuneMemory() {
	const garbage = 25 // percent of what lives, before it is collected
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}

// giveBack returns to the kernel what only the start took: reading the kernel's
// types and loading the programs needs twice the memory of an idle daemon, and the
// runtime would keep most of it for minutes. It stops the program for some
// milliseconds.
func (a *app) giveBack() {
	debug.FreeOSMemory()
	if err := coolProgram(); err != nil {
		a.log.Debug("the program's own pages stay in memory", "error", err)
	}
}

// residentMemory is how much memory this process really has; 0 when /proc does
// not tell.
func residentMemory() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
