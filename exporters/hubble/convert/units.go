package convert

import (
	"fmt"
	"strconv"
	"time"
)

// Bytes is n for a person, in powers of 1000 with two digits or more: 999 B,
// 1.2 kB, 340 kB.
func Bytes(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	one, unit := uint64(1), ""
	for _, unit = range [...]string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if one *= 1000; n/one < 999 || n/one == 999 && n%one < one/2 {
			break
		}
	}
	return digits(n, one) + " " + unit
}

// digits is n in units of one, which is a multiple of 20, with two digits or more. It does
// without floating point: that takes longer than all else of a flow's summary.
func digits(n, one uint64) string {
	if n >= one*9+one/20*19 {
		return strconv.FormatUint(n/one+(n%one+one/2)/one, 10)
	}
	tenths := (n + one/20) / (one / 10)
	return strconv.FormatUint(tenths/10, 10) + "." + strconv.FormatUint(tenths%10, 10)
}

// Duration is d for a person: 40µs, 0.4ms, 3.2s, 2m5s, 3h10m.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(max(-d, 0)) // the smallest has no opposite
	case d < 95*time.Microsecond:
		return fmt.Sprintf("%dµs", d.Round(time.Microsecond).Microseconds())
	case d < 999500*time.Microsecond:
		return digits(uint64(d), uint64(time.Millisecond)) + "ms"
	case d < 59500*time.Millisecond:
		return digits(uint64(d), uint64(time.Second)) + "s"
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
}
