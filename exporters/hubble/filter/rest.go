package filter

import "github.com/seed79351815/weir/collector/flow"

// maxKinds bounds what a Rest remembers.
const maxKinds = 16_384

// Rest tells how many exchanges there were beside those that passed the filters
// and were shown in full: of the same kinds, that is what the kernel counts
// together, with the same outcome. A tally says of its exchanges too little to be
// held against a filter itself. It is used by one goroutine at a time.
type Rest struct {
	any  bool // everything passes: so does what every tally counts
	kind map[kind]uint64
}

// kind is whose exchanges are alike. Its value in a Rest is how many were shown
// that no tally has counted yet.
type kind struct {
	flow.Counted
	status uint16
}

// Rest is a Rest for what passes s.
func (s *Set) Rest() *Rest { return &Rest{any: s.Empty(), kind: make(map[kind]uint64)} }

// Shown notes an exchange that passed. Known does so for one of the past, which
// a tally has counted already.
func (r *Rest) Shown(x *flow.Exchange) { r.note(x, 1) }

// Known is described at Shown.
func (r *Rest) Known(x *flow.Exchange) { r.note(x, 0) }

func (r *Rest) note(x *flow.Exchange, n uint64) {
	k := kind{x.Counted, x.Status}
	if _, known := r.kind[k]; !known && len(r.kind) >= maxKinds {
		// Every kind that goes on is told again within a minute.
		clear(r.kind)
	}
	r.kind[k] += n
}

// Of is how many of the exchanges that t counts were not shown; 0 where none of
// their kind passed.
func (r *Rest) Of(t *flow.Tally) uint64 {
	k := kind{t.Counted, t.Status}
	shown, known := r.kind[k]
	if !known && !r.any {
		return 0
	}
	if shown = min(shown, t.Count); shown > 0 {
		r.kind[k] -= shown
	}
	return t.Count - shown
}
