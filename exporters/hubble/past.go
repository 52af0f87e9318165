package hubble

import (
	"context"
	"math"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// Past is what is kept of flows beyond the ring: on disk, also of earlier runs. It
// is safe for many goroutines.
type Past interface {
	// Flows yields the flows that q asks for in the order of their arrival, or the
	// newest first, until yield returns false. It may block, holds no lock while it
	// yields, and yields all that has arrived before the call. The flow is the
	// caller's.
	Flows(ctx context.Context, q PastQuery, yield func(PastPlace, *flowpb.Flow) bool) error
}

// PastQuery says which flows of the past are asked for.
type PastQuery struct {
	Since, Until int64                // times of flows, ns since the Unix epoch; both included
	Present      int64                // of this run, only those with a time of at most this: the ring has the others
	Filters      []*flowpb.FlowFilter // flows that none of them matches may be left out, but need not be; empty is all
	From         PastPlace            // where to begin, where the order is that of arrival
	Newest       bool                 // the newest first
}

// PastPlace is where a flow of the past stands. The zero value is before all.
type PastPlace struct {
	Block int64
	Index int
}

// Before tells whether p comes before o in the order of arrival.
func (p PastPlace) Before(o PastPlace) bool {
	return p.Block < o.Block || p.Block == o.Block && p.Index < o.Index
}

// pastQuery asks for what the ring has no more, or never had. gone is the latest
// time of the records that the ring has dropped: nothing newer is missing in it.
func (s *stream) pastQuery(v view) PastQuery {
	return PastQuery{Since: s.q.since, Until: s.q.until, Present: v.gone, Filters: s.q.allow}
}

// past sends what is wanted of the time before the ring: all of it, or the newest
// n, oldest first.
func (s *stream) past(v view, n uint64) error {
	if s.o.cfg.Past == nil || n == 0 {
		return nil
	}
	q := s.pastQuery(v)
	inRing := s.overlap(v)
	wanted := func(f *flowpb.Flow) bool {
		_, twice := inRing[f.GetUuid()]
		return !twice && s.q.filters.Match(f)
	}
	if n < math.MaxUint64 {
		found := uint64(0)
		back := q
		back.Newest = true
		err := s.o.cfg.Past.Flows(s.ctx, back, func(p PastPlace, f *flowpb.Flow) bool {
			if wanted(f) {
				found++
				q.From = p
			}
			return found < n
		})
		if err != nil || found == 0 {
			return err
		}
	}
	var failed error
	err := s.o.cfg.Past.Flows(s.ctx, q, func(_ PastPlace, f *flowpb.Flow) bool {
		if s.enough() {
			return false
		}
		if wanted(f) {
			failed = s.pastFlow(f)
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// overlap names the records of the ring that are no newer than those it has
// dropped: records come in nearly, but not quite, the order of their times.
func (s *stream) overlap(v view) map[string]struct{} {
	out := make(map[string]struct{})
	var r flow.Record
	for i := range v.n {
		b := v.batches[(i+v.skip)/chunk]
		if first, _ := b.Times(); first > v.gone {
			continue
		}
		v.at(i, &r)
		if r.Time <= v.gone {
			out[s.q.conv.Flow(&r).GetUuid()] = struct{}{}
		}
	}
	return out
}

// pastFlow sends a flow that is wanted.
func (s *stream) pastFlow(f *flowpb.Flow) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	at := f.GetTime().AsTime().UnixNano()
	if s.sent == 0 {
		s.began = at
	}
	s.sent++
	if !s.q.mask.wants("extensions") {
		f.Extensions = nil
	}
	s.q.mask.apply(f)
	return s.sendFlow(at, f)
}

// enough tells whether as many were sent as were asked for.
func (s *stream) enough() bool { return s.q.number > 0 && s.sent >= s.q.number && !s.q.follow }
