package hubble

import "time"

// rate counts the records of the last minute, by second.
type rate struct {
	seconds [60]struct {
		at int64 // which second this is
		n  int
	}
}

func (r *rate) add(now time.Time, n int) {
	s := now.Unix()
	b := &r.seconds[s%60]
	if b.at != s {
		b.at, b.n = s, 0
	}
	b.n += n
}

// per is records per second over the last minute, or since the start.
func (r *rate) per(now, start time.Time) float64 {
	n := 0
	for _, b := range r.seconds {
		if now.Unix()-b.at < 60 {
			n += b.n
		}
	}
	secs := min(now.Sub(start).Seconds(), 60)
	if secs <= 0 {
		return 0
	}
	return float64(n) / max(secs, 1)
}
