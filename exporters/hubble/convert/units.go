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
	v, unit := float64(n), ""
	for _, unit = range [...]string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// Duration is d for a person: 40µs, 0.4ms, 3.2s, 2m5s, 3h10m.
func Duration(d time.Duration) string {
	digits := func(v float64, unit string) string {
		if v < 9.95 {
			return fmt.Sprintf("%.1f%s", v, unit)
		}
		return fmt.Sprintf("%.0f%s", v, unit)
	}
	switch {
	case d < 0:
		return "-" + Duration(max(-d, 0)) // the smallest has no opposite
	case d < 95*time.Microsecond:
		return fmt.Sprintf("%dµs", d.Round(time.Microsecond).Microseconds())
	case d < 999500*time.Microsecond:
		return digits(float64(d)/float64(time.Millisecond), "ms")
	case d < 59500*time.Millisecond:
		return digits(d.Seconds(), "s")
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
}
