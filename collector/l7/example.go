package l7

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	maxFailed  = 3
	maxSlow    = 3
	exampleAge = 5 * time.Minute // a slow exchange gives way to a faster one after it
)

// Example is an exchange that is kept to be looked at.
type Example struct {
	At int64 // ns since the Unix epoch
	L7 *flow.L7
}

// Examples keeps a few exchanges that failed, the newest, and a few that were slow,
// the slowest of late.
type Examples struct {
	failed, slow []Example
}

// Add keeps a copy of an exchange's record where it failed or was slow.
func (e *Examples) Add(at int64, l *flow.L7) {
	switch {
	case l.Exchange == nil:
	case l.Error:
		if len(e.failed) == maxFailed {
			e.failed = slices.Delete(e.failed, 0, 1)
		}
		e.failed = append(e.failed, example(at, l))
	case l.Exchange.Why == flow.WhySlow:
		e.addSlow(at, l)
	}
}

// addSlow lets the oldest go where it is old, else the fastest where the new one
// is slower.
func (e *Examples) addSlow(at int64, l *flow.L7) {
	if len(e.slow) < maxSlow {
		e.slow = append(e.slow, example(at, l))
		return
	}
	out := 0
	for i := range e.slow {
		if e.slow[i].L7.Exchange.Latency < e.slow[out].L7.Exchange.Latency {
			out = i
		}
	}
	if at-e.slow[0].At > int64(exampleAge) {
		out = 0
	} else if l.Exchange.Latency <= e.slow[out].L7.Exchange.Latency {
		return
	}
	e.slow = append(slices.Delete(e.slow, out, out+1), example(at, l))
}

// example copies the record: it may be part of a larger piece of memory.
func example(at int64, l *flow.L7) Example {
	own := *l
	return Example{at, &own}
}

// Newest is what is kept, the newest first; nil where nothing is.
func (e *Examples) Newest() []*flow.L7 {
	if len(e.failed)+len(e.slow) == 0 {
		return nil
	}
	all := slices.Concat(e.failed, e.slow)
	slices.SortStableFunc(all, func(a, b Example) int { return cmp.Compare(b.At, a.At) })
	kept := make([]*flow.L7, len(all))
	for i := range all {
		kept[i] = all[i].L7
	}
	return kept
}
