package aggregate

import "github.com/seed79351815/weir/collector/flow"

// tell makes a record of the flow. Its delta is what the counters gained since
// the record before, so the deltas of a flow's records sum up to its totals.
func (t *Table) tell(e *entry, kind flow.RecordKind) {
	if e.self {
		return
	}
	r := t.next()
	r.Kind, r.Verdict = kind, flow.VerdictForwarded
	t.describe(e, &r.Flow)
	r.Delta = flow.Delta{
		Sent: e.sent.Sub(e.sentTold), Received: e.received.Sub(e.receivedTold),
		Retransmits: e.retransmits() - e.retransmitsTold,
	}
	e.sentTold, e.receivedTold, e.retransmitsTold = e.sent, e.received, e.retransmits()
	e.lastRecord = t.now
	switch kind {
	case flow.RecordStart:
		r.Time = e.start
	case flow.RecordEnd:
		r.Time = r.Flow.Ended
		if r.Flow.End == flow.EndIdle || r.Flow.End == flow.EndLost {
			r.Time = t.now // an end that is concluded, not seen
		}
	default:
		r.Time = e.last
	}
	if kind != flow.RecordEnd {
		r.Flow.Ended, r.Flow.End = 0, flow.EndNone // one end has closed, the flow lives until the other has
	}
}

// next gives the room of the next record, zeroed. It stays the table's.
func (t *Table) next() *flow.Record {
	if len(t.out) == cap(t.out) {
		t.Flush()
	}
	t.out = t.out[:len(t.out)+1]
	r := &t.out[len(t.out)-1]
	*r = flow.Record{}
	return r
}

func (t *Table) describe(e *entry, f *flow.Flow) {
	f.ID, f.Protocol, f.ICMPType, f.ICMPCode = e.id, e.proto, e.icmpType, e.icmpCode
	c, s := &e.ends[client], &e.ends[server]
	describeEnd(c, e.clientAddr(), &f.Client)
	describeEnd(s, e.serverAddr(), &f.Server)
	if real, differs := e.realServer(); differs {
		f.ServerXlated = real.unpack()
	}
	if e.paired() && s.remote != c.local {
		f.ClientXlated = s.remote.unpack()
	}
	f.Start, f.Last, f.Ended, f.End = e.start, e.last, e.ended, e.how()
	f.Preexisting, f.ConnectLatency, f.RTT = e.preexisting, e.latency, e.rtt
	f.Retransmits, f.Sent, f.Received = e.retransmits(), e.sent, e.received
	f.Drops, f.DropReason = e.drops, t.reasons.name(e.reason)
}

func describeEnd(x *end, a addr, p *flow.Endpoint) {
	p.Addr, p.Workload, p.Names, p.Seen = a.unpack(), x.workload, x.names, x.seen
	p.Cookie, p.NetNS, p.PID, p.Comm = x.cookie, x.netns, x.pid, x.comm
	if x.proxied {
		p.Via = viaProxy
	}
}

// how is the flow's end as its client sees it, of what both ends saw. A failure
// that one of them saw outranks an orderly end, and anything that was seen
// outranks what was only concluded.
func (e *entry) how() flow.End {
	c, s := e.ends[client].how, e.ends[server].how.Flip()
	switch {
	case rank(s) > rank(c):
		return s
	case c == flow.EndNone:
		return flow.EndLost
	}
	return c
}

func rank(e flow.End) int {
	switch e {
	case flow.EndNone:
		return 0
	case flow.EndIdle, flow.EndLost:
		return 1
	case flow.EndClosed, flow.EndAborted:
		return 2
	}
	return 3
}

// maxReasons bounds the names that are kept; the kernel has about a hundred.
const maxReasons = 1024

// reasons give each name of a drop reason a small number, once.
type reasons struct {
	names   []string
	numbers map[string]uint16
}

func newReasons() reasons { return reasons{[]string{""}, map[string]uint16{"": 0}} }

func (r *reasons) number(name string) uint16 {
	n, ok := r.numbers[name]
	if !ok && len(r.names) < maxReasons {
		n = uint16(len(r.names))
		r.names = append(r.names, name)
		r.numbers[name] = n
	}
	return n
}

func (r *reasons) name(n uint16) string { return r.names[n] }
