package convert

import (
	"strconv"
	"time"
)

// Bytes is n for a person, in powers of 1000 with two digits or more: 999 B,
// 1.2 kB, 340 kB.
func Bytes(n uint64) string { return string(appendBytes(nil, n)) }

func appendBytes(b []byte, n uint64) []byte {
	if n < 1000 {
		return append(strconv.AppendUint(b, n, 10), " B"...)
	}
	one, unit := uint64(1), ""
	for _, unit = range [...]string{" kB", " MB", " GB", " TB", " PB", " EB"} {
		if one *= 1000; n/one < 999 || n/one == 999 && n%one < one/2 {
			break
		}
	}
	return append(appendDigits(b, n, one), unit...)
}

// appendDigits writes n in units of one, a multiple of 20, with two digits or more. It
// does without floating point, which takes longer than all else of a flow's summary.
func appendDigits(b []byte, n, one uint64) []byte {
	if n >= one*9+one/20*19 {
		return strconv.AppendUint(b, n/one+(n%one+one/2)/one, 10)
	}
	tenths := (n + one/20) / (one / 10)
	return append(strconv.AppendUint(b, tenths/10, 10), '.', '0'+byte(tenths%10))
}

// Duration is d for a person: 40µs, 0.4ms, 3.2s, 2m5s, 3h10m.
func Duration(d time.Duration) string { return string(appendDuration(nil, d)) }

func appendDuration(b []byte, d time.Duration) []byte {
	switch {
	case d < 0:
		return appendDuration(append(b, '-'), max(-d, 0)) // the smallest has no opposite
	case d < 95*time.Microsecond:
		return append(strconv.AppendInt(b, d.Round(time.Microsecond).Microseconds(), 10), "µs"...)
	case d < 999500*time.Microsecond:
		return append(appendDigits(b, uint64(d), uint64(time.Millisecond)), "ms"...)
	case d < 59500*time.Millisecond:
		return append(appendDigits(b, uint64(d), uint64(time.Second)), 's')
	case d < time.Hour:
		d = d.Round(time.Second)
		return appendTwo(b, int64(d.Minutes()), 'm', int64(d.Seconds())%60, 's')
	}
	d = d.Round(time.Minute)
	return appendTwo(b, int64(d.Hours()), 'h', int64(d.Minutes())%60, 'm')
}

func appendTwo(b []byte, n int64, unit byte, m int64, smaller byte) []byte {
	b = append(strconv.AppendInt(b, n, 10), unit)
	return append(strconv.AppendInt(b, m, 10), smaller)
}
