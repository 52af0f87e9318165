package prom

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// operationKey is a histogram within its pair. It is made of clean labels, so
// that different keys never give equal series.
type operationKey struct {
	metric id
	method string // HTTP's request method, DNS's question type
	name   string // HTTP's route, DNS's question, TLS's server
	status uint16 // of a tally, as bounded gives it
}

// operation is one thing that a workload asks of another, with one outcome.
type operation struct {
	place
	latencies l7.Histogram
	exemplars []exemplar // at most one for each classic bucket
	created   *timestamppb.Timestamp
	last      time.Time // latest tally or example
}

// tally counts the exchanges of t in the series of k. Where that has no room,
// they are counted under the name other of the same pair; where that has none
// either, in the series of the workloads other.
func (s *store) tally(p *pair, k operationKey, t *flow.Tally, now time.Time) {
	if t.Count == 0 {
		return
	}
	o := s.operation(p, k, now)
	if p.overflow || o == nil {
		s.overflow[k.metric] += t.Count
	}
	if o == nil {
		s.short[k.metric] = true
		k.name = other
		o = s.operation(p, k, now)
	}
	if o == nil {
		o = s.operation(p.home.overflow(p.protocol), k, now)
	}
	o.latencies.Add(t.Bucket, t.Count, t.Latency)
	o.last = now
}

// operation finds or makes the series of k; nil where there is no room for it.
// The overflow pair always has room: it keeps only what strangers do not choose.
func (s *store) operation(p *pair, k operationKey, now time.Time) *operation {
	if p.overflow {
		k.name, k.status = other, anyOutcome(k.metric, k.status)
	}
	o := p.operations[k]
	if o == nil && (p.overflow || s.room(p, k)) {
		o = &operation{place: place{labels: s.pairs.of(k.metric, k.values(p))}, created: s.since(now)}
		p.operations[k] = o
		s.tallied[k.metric].add(o)
		if !p.overflow {
			s.used[k.metric]++
			p.held[k.metric]++
		}
	}
	return o
}

// room tells whether p may have one more series. Names are chosen by whoever
// asks: so that one pair does not take everything, it never holds more than it
// leaves free. The name other needs no more than that something is free.
func (s *store) room(p *pair, k operationKey) bool {
	free := s.budget - s.used[k.metric]
	if k.name == other {
		return free > 0
	}
	return p.held[k.metric] < free
}

// makeRoom removes the operations that were silent since before, of the metrics
// that were short of room: what a scanner asked for once gives its place to what
// is asked for now.
func (s *store) makeRoom(before time.Time) {
	if s.short == [recordMetrics]bool{} {
		return
	}
	for _, p := range s.exchanges.all {
		if p.overflow {
			continue
		}
		for k, o := range p.operations {
			if s.short[k.metric] && o.last.Before(before) {
				delete(p.operations, k)
				s.tallied[k.metric].remove(o)
				s.used[k.metric]--
				p.held[k.metric]--
			}
		}
	}
	s.short = [recordMetrics]bool{}
}
