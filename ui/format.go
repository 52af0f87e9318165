package ui

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// none stands for a value that is zero or not known: a column of it is quiet.
const none text = "-"

// count writes n with separators: 1,204.
func count(n uint64) text {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return text(s)
}

// plural writes n things: 1 row, 2 rows.
func plural(n int, thing text) text {
	if n != 1 {
		thing += "s"
	}
	return count(uint64(max(n, 0))) + " " + thing
}

// shortCount writes n in at most five columns: 12k, 1.2M.
func shortCount(n uint64) text {
	if n < 10_000 {
		return text(strconv.FormatUint(n, 10))
	}
	return scaled(float64(n), "")
}

// bytes writes an amount with SI prefixes: 1.2 MB. Powers of 1000, as network
// rates are given.
func bytes(n uint64) text {
	if n < 1000 {
		return text(strconv.FormatUint(n, 10)) + " B"
	}
	return scaled(float64(n), " ") + "B"
}

// shortBytes is bytes in at most five columns: 1.2M.
func shortBytes(n uint64) text {
	if n < 1000 {
		return text(strconv.FormatUint(n, 10))
	}
	return scaled(float64(n), "")
}

// rate writes bytes per second: 1.2 MB/s.
func rate(perSecond float64) text { return bytes(whole(perSecond)) + "/s" }

// perSecond writes a number of things per second: 0.4, 12, 1.2k.
func perSecond(f float64) text {
	switch {
	case !(f > 0) || f < 0.05:
		return none
	case f < 9.95:
		return text(strconv.FormatFloat(f, 'f', 1, 64))
	}
	return shortCount(whole(f))
}

// whole rounds to what can be shown; what is no number counts as nothing.
func whole(f float64) uint64 {
	if !(f > 0) {
		return 0
	}
	if f > 1e19 {
		return math.MaxUint64
	}
	return uint64(f + 0.5)
}

// scaled writes at most three digits and a prefix.
func scaled(f float64, gap text) text {
	const prefixes = " kMGTPE"
	i := 0
	for f >= 999.5 && i < len(prefixes)-1 {
		f /= 1000
		i++
	}
	digits := 0
	if f < 9.95 && i > 0 {
		digits = 1
	}
	s := text(strconv.FormatFloat(f, 'f', digits, 64)) + gap
	if i > 0 {
		s += text(prefixes[i : i+1])
	}
	return s
}

// latency writes a short time with three digits: 45 µs, 1.2 ms, 3.0 s.
func latency(ns int64) text {
	f := float64(ns)
	switch {
	case ns <= 0:
		return none
	case f < 999.5:
		return text(strconv.FormatInt(ns, 10)) + " ns"
	case f < 999.5e3:
		return short(f/1e3) + " µs"
	case f < 999.5e6:
		return short(f/1e6) + " ms"
	}
	return short(f/1e9) + " s"
}

func short(f float64) text {
	digits := 0
	if f < 9.95 {
		digits = 1
	}
	return text(strconv.FormatFloat(f, 'f', digits, 64))
}

// age writes a time span in at most two units: 12s, 3m04s, 2h05m, 3d04h.
func age(ns int64) text {
	s := max(ns, 0) / int64(time.Second)
	switch {
	case s < 60:
		return text(fmt.Sprintf("%ds", s))
	case s < 3600:
		return text(fmt.Sprintf("%dm%02ds", s/60, s%60))
	case s < 86400:
		return text(fmt.Sprintf("%dh%02dm", s/3600, s/60%60))
	}
	return text(fmt.Sprintf("%dd%02dh", s/86400, s/3600%24))
}

// percent writes part of whole; a part that is not zero never shows as 0 %.
func percent(part, of uint64) text {
	if of == 0 {
		return none
	}
	p := 100 * float64(part) / float64(of)
	if part > 0 && p < 1 {
		return "<1%"
	}
	return text(strconv.FormatFloat(math.Floor(p), 'f', 0, 64)) + "%"
}

// clock writes the time of day, with the date when it is not the day of now.
func clock(ns int64, now time.Time) text {
	if ns == 0 {
		return none
	}
	t := time.Unix(0, ns).In(now.Location())
	if y, m, d := t.Date(); y == now.Year() && m == now.Month() && d == now.Day() {
		return text(t.Format("15:04:05"))
	}
	return text(t.Format("2006-01-02 15:04:05"))
}

// sparkline draws the newest values, scaled to the largest of them. A value
// that is not zero is never drawn as zero.
func sparkline(values []float64, width int) text {
	const levels = "▁▂▃▄▅▆▇█"
	steps := []rune(levels)
	values = values[max(0, len(values)-max(width, 0)):]
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	out := make([]rune, 0, len(values))
	for _, v := range values {
		i := 0
		if top > 0 && v > 0 {
			i = min(1+int(v/top*float64(len(steps)-1)), len(steps)-1)
		}
		out = append(out, steps[i])
	}
	return spaces(width-len(out)) + text(out)
}

// gauge draws how full something is: [####······].
func gauge(part, of uint64, width int) text {
	if of == 0 || width < 3 {
		return ""
	}
	inner := width - 2
	full := min(int(float64(part)/float64(of)*float64(inner)+0.5), inner)
	if part > 0 && full == 0 {
		full = 1
	}
	out := make([]byte, inner)
	for i := range out {
		out[i] = '.'
		if i < full {
			out[i] = '#'
		}
	}
	return "[" + text(out) + "]"
}
