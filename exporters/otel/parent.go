package otel

import "sync"

// maxServings bounds the requests that are remembered as served.
const maxServings = 4096

// servings are the requests with a traceparent that workloads of this host served
// of late.
//
// A service that takes part in tracing sends a header of its own with each request
// that it makes, whose parent is its own span. One that does not may hand on the
// header that it got: then header and workload are the same of the request that it
// serves and of the one that it makes, and the parent of the latter is the former.
// The inner request is told before the outer, which ends later: so spans wait for
// Limits.Delay before the outer is looked for.
//
// It is safe for many goroutines.
type servings struct {
	mu     sync.Mutex
	newest map[servingKey]uint64 // the number of the latest with a key
	ring   []serving             // the latest maxServings, by number
	added  uint64                // the number of the latest; the first is 1
}

type servingKey struct {
	trace    traceID
	parent   spanID
	workload uint64 // cgroup id
}

// serving is the span of a request that a workload served, from start to end.
type serving struct {
	key        servingKey
	span       spanID
	start, end int64
	before     uint64 // the number of the one before with the same key; 0 for none
}

func newServings() *servings { return &servings{newest: map[servingKey]uint64{}} }

// add notes that a workload of this host served a request.
func (s *servings) add(t *told) {
	w := t.l.Server.Workload
	if !t.up.valid() || t.ends()&serverEnd == 0 || w == nil || w.CgroupID == 0 {
		return
	}
	x := t.l.Exchange
	key := servingKey{t.up.trace, t.up.parent, w.CgroupID}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added++
	one := serving{key: key, span: t.ids.server, start: x.Start, end: x.Start + max(x.Latency, 0), before: s.newest[key]}
	s.newest[key] = s.added
	if len(s.ring) < maxServings {
		s.ring = append(s.ring, one)
		return
	}
	oldest := s.at(s.added)
	if s.newest[oldest.key] == s.added-maxServings {
		delete(s.newest, oldest.key)
	}
	*oldest = one
}

// at is the place of a number.
func (s *servings) at(number uint64) *serving { return &s.ring[(number-1)%maxServings] }

// kept tells whether one with this number is remembered.
func (s *servings) kept(number uint64) bool { return number > 0 && number+maxServings > s.added }

// maxAlike bounds how many requests with one header are looked through: a client
// may send all of its own with the same.
const maxAlike = 64

// wanted is the parent of a span that a workload's request has: which it is can be
// said once the request that caused it is told.
type wanted struct {
	at    int // in the wire, where the header's stands
	key   servingKey
	start int64 // of the request
}

// cause is what the request that caused t was served as; not ok where there is none.
func (t *told) cause() (key servingKey, ok bool) {
	w := t.l.Client.Workload
	if !t.up.valid() || w == nil {
		return key, false
	}
	return servingKey{t.up.trace, t.up.parent, w.CgroupID}, true
}

// settle puts the spans of a parcel below those that caused them, as far as they are
// known now.
func (s *servings) settle(p *parcel) {
	for _, w := range p.wanted {
		if span, ok := s.serving(w.key, w.start); ok {
			copy(p.wire[w.at:], span[:])
		}
	}
}

// serving is the span within which a request was made: of the requests with the same
// header that the workload was serving then, the one that began last. Each begins
// before what it causes, so that no spans are each other's parents.
func (s *servings) serving(key servingKey, at int64) (spanID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found *serving
	number := s.newest[key]
	for range maxAlike {
		if !s.kept(number) {
			break
		}
		c := s.at(number)
		if c.start < at && at <= c.end && (found == nil || c.start >= found.start) {
			found = c
		}
		number = c.before
	}
	if found == nil {
		return spanID{}, false
	}
	return found.span, true
}
