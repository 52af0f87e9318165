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
	by     map[servingKey][]serving
	ring   []servingKey // in the order they came
	oldest int
}

type servingKey struct {
	trace    traceID
	parent   spanID
	workload uint64 // cgroup id
}

// serving is the span of a request that a workload served, from start to end.
type serving struct {
	span       spanID
	start, end int64
}

func newServings() *servings { return &servings{by: map[servingKey][]serving{}} }

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
	if len(s.ring) < maxServings {
		s.ring = append(s.ring, key)
	} else {
		s.forget(s.ring[s.oldest])
		s.ring[s.oldest] = key
		s.oldest = (s.oldest + 1) % maxServings
	}
	s.by[key] = append(s.by[key], serving{t.ids.server, x.Start, x.Start + max(x.Latency, 0)})
}

// forget drops the oldest of a key.
func (s *servings) forget(key servingKey) {
	if list := s.by[key]; len(list) > 1 {
		s.by[key] = list[1:]
	} else {
		delete(s.by, key)
	}
}

// maxAlike bounds how many requests with one header are looked through: a client
// may send all of its own with the same.
const maxAlike = 64

// serving is the span within which a workload made the request t: of the requests
// with the same header that it was serving then, the one that began last. Each
// begins before what it causes, so that no spans are each other's parents.
func (s *servings) serving(t *told) (spanID, bool) {
	w := t.l.Client.Workload
	if !t.up.valid() || w == nil {
		return spanID{}, false
	}
	at := t.l.Exchange.Start
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.by[servingKey{t.up.trace, t.up.parent, w.CgroupID}]
	var found *serving
	for i := range list[max(0, len(list)-maxAlike):] {
		c := &list[max(0, len(list)-maxAlike)+i]
		if c.start < at && at <= c.end && (found == nil || c.start > found.start) {
			found = c
		}
	}
	if found == nil {
		return spanID{}, false
	}
	return found.span, true
}
