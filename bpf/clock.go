package bpf

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootOffset is what turns CLOCK_BOOTTIME nanoseconds into Unix time. It drifts
// when the wall clock is set, so it is taken anew at each reading.
func bootOffset() int64 { return offsetOf(unix.CLOCK_BOOTTIME) }

// monotonicOffset is what to add to CLOCK_MONOTONIC, in which TCP keeps the times
// of what it sends, to get Unix time.
func monotonicOffset() int64 { return offsetOf(unix.CLOCK_MONOTONIC) }

func offsetOf(clock int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0
	}
	return time.Now().UnixNano() - ts.Nano()
}
