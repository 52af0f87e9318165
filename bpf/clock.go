package bpf

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootOffset is what turns CLOCK_BOOTTIME nanoseconds into Unix time. It drifts
// when the wall clock is set, so it is taken anew at each reading.
func bootOffset() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Now().UnixNano() - ts.Nano()
}
