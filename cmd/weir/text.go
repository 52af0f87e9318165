package main

import (
	"fmt"
	"strings"
	"time"
)

// grouped writes a number with commas between its thousands.
func grouped[T ~int | ~int64 | ~uint64](n T) string {
	s, sign := strings.CutPrefix(fmt.Sprint(n), "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if sign {
		s = "-" + s
	}
	return s
}

// size writes bytes in the largest unit that keeps a digit before the point.
func size[T ~int | ~int64 | ~uint64 | ~float64](n T) string {
	v, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	if unit == "B" {
		return fmt.Sprintf("%.0f B", v)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}

// span writes a time without the parts that nobody reads: 3m12s, 4h07m, 12d3h.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d/time.Second%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d/time.Minute%60)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d/time.Hour%24)
}
