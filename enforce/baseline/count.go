package baseline

import "math"

// Seen is when something was seen, ns since the Unix epoch. The zero value was
// never seen.
type Seen struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

func (s *Seen) at(t int64) {
	if s.First == 0 || t < s.First {
		s.First = t
	}
	s.Last = max(s.Last, t)
}

func (s *Seen) merge(o Seen) {
	if o.First != 0 {
		s.at(o.First)
	}
	if o.Last != 0 {
		s.at(o.Last)
	}
}

// Traffic is what passed between a workload and a peer over one service.
type Traffic struct {
	Seen
	Started     uint64 `json:"started"`               // flows whose start was seen
	Ended       uint64 `json:"ended"`                 // flows whose end was seen
	Preexisting uint64 `json:"preexisting,omitempty"` // of those that started, those that are older than weir
	Failed      uint64 `json:"failed,omitempty"`      // flows that were refused, reset, or not answered
	Dropped     uint64 `json:"dropped,omitempty"`     // records of dropped packets, whoever dropped them: a policy, a firewall, the kernel
	Audited     uint64 `json:"audited,omitempty"`     // records that a policy would have denied
	Sent        uint64 `json:"sent"`                  // payload bytes, client to server
	Received    uint64 `json:"received"`              // payload bytes, server to client
}

// Flows is how many flows there were at least.
func (t *Traffic) Flows() uint64 { return max(t.Started, t.Ended, 1) }

func (t *Traffic) merge(o *Traffic) {
	t.Seen.merge(o.Seen)
	add(&t.Started, o.Started)
	add(&t.Ended, o.Ended)
	add(&t.Preexisting, o.Preexisting)
	add(&t.Failed, o.Failed)
	add(&t.Dropped, o.Dropped)
	add(&t.Audited, o.Audited)
	add(&t.Sent, o.Sent)
	add(&t.Received, o.Received)
}

// Count is how often an operation was asked for.
type Count struct {
	Seen
	Count  uint64 `json:"count"`
	Errors uint64 `json:"errors,omitempty"` // of them, those that failed, see flow.L7
}

func (c *Count) merge(o *Count) {
	c.Seen.merge(o.Seen)
	add(&c.Count, o.Count)
	add(&c.Errors, o.Errors)
}

// add adds, and stays at the end of the range: a recording may claim any number.
func add(to *uint64, n uint64) {
	if *to > math.MaxUint64-n {
		*to = math.MaxUint64
		return
	}
	*to += n
}
