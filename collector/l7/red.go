package l7

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// Rates and quantiles are of the slots of a ring: the one that fills, and those
// before it.
const (
	slots    = 6
	slotSpan = time.Second
)

// RED is the account of some exchanges: requests, errors and durations. The zero
// value is empty. It is not safe for two goroutines.
type RED struct {
	Requests uint64
	Errors   uint64
	since    int64 // when the first came
	recent   [slots]slot
}

// slot is what came in a second.
type slot struct {
	second           int64
	requests, errors uint64
	latencies        Histogram
}

// Add counts a tally that was read at a time.
func (r *RED) Add(at int64, t *flow.Tally, failed bool) {
	if r.since == 0 {
		r.since = at
	}
	var errors uint64
	if failed {
		errors = t.Count
	}
	r.Requests += t.Count
	r.Errors += errors
	second := at / int64(slotSpan)
	s := &r.recent[uint64(second)%slots]
	switch {
	case s.second < second:
		s.second, s.requests, s.errors = second, 0, 0
		s.latencies.Reset()
	case s.second > second:
		return // too late for the present
	}
	s.requests += t.Count
	s.errors += errors
	if t.Status != flow.NoAnswer {
		s.latencies.Add(t.Bucket, t.Count, t.Latency)
	}
}

// Present is the last seconds' account.
type Present struct {
	Rate, ErrorRate float64 // per second
	P50, P99        int64   // ns, of those that were answered; 0 where none was
}

// Present is that of a time. scratch is the caller's, to be used again.
func (r *RED) Present(now int64, scratch *Histogram) (p Present) {
	scratch.Reset()
	var requests, errors uint64
	second := now / int64(slotSpan)
	for i := range r.recent {
		s := &r.recent[i]
		if s.second > second-slots && s.requests > 0 {
			requests += s.requests
			errors += s.errors
			scratch.Merge(&s.latencies)
		}
	}
	if requests == 0 {
		return Present{}
	}
	// What came first was counted over the second before.
	span := min((slots-1)*int64(slotSpan)+now%int64(slotSpan), now-r.since+int64(slotSpan))
	seconds := max(float64(span)/float64(time.Second), 1)
	return Present{
		Rate: float64(requests) / seconds, ErrorRate: float64(errors) / seconds,
		P50: scratch.Quantile(0.5), P99: scratch.Quantile(0.99),
	}
}

// maxStatuses bounds the outcomes that Outcomes tells apart: a peer may invent them.
const maxStatuses = 32

// Outcomes counts by status.
type Outcomes []Outcome

// Outcome is how often a status came.
type Outcome struct {
	Status uint16
	Count  uint64
}

// Add counts n. A status for which there is no room is left out.
func (o *Outcomes) Add(status uint16, n uint64) {
	for i := range *o {
		if (*o)[i].Status == status {
			(*o)[i].Count += n
			return
		}
	}
	if len(*o) < maxStatuses {
		*o = append(*o, Outcome{status, n})
	}
}

// Top sorts by count, the highest first, and gives the first n, which stay the
// Outcomes'.
func (o Outcomes) Top(n int) []Outcome {
	slices.SortFunc(o, func(a, b Outcome) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Status, b.Status))
	})
	return o[:min(n, len(o))]
}
