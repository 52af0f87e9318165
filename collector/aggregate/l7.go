package aggregate

import (
	"math"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

const (
	maxUnnamed = 4096 // exchanges and tallies that wait for a workload's name
	l7Chunk    = 32   // records' L7 of tallies that are made at once
	maxOwn     = 256  // ports that weir itself serves
)

// exchanges is what a Table keeps for layer 7.
type exchanges struct {
	book    *l7.Book
	pending fifo[unnamed]
	behind  behind
	own     map[ownPort]struct{}
	chunk   []flow.L7
}

// unnamed is a thing told of a workload whose runtime is still being asked.
type unnamed struct {
	l7.Told
	since int64
}

// ownPort is a port that weir itself serves.
type ownPort struct {
	cgroup uint64
	port   uint16
}

// exchange takes an exchange that was told in full.
func (t *Table) exchange(ev *flow.Event) {
	if x := ev.Exchange; x != nil && !t.isOwn(&x.Counted) && !t.ofOwnFlow(x) {
		t.l7.book.Exchange(ev.Time, x)
		t.due = min(t.due, t.l7.book.Due())
	}
}

// tally takes exchanges that were counted.
func (t *Table) tally(ev *flow.Event) {
	if c := ev.Tally; c != nil && !t.isOwn(&c.Counted) {
		t.l7.book.Tally(ev.Time, c)
		t.due = min(t.due, t.l7.book.Due())
	}
}

// serves notes a port that weir itself serves. The kernel leaves weir's sockets
// out, but not those of whoever asks weir.
func (t *Table) serves(s *flow.Socket) {
	if s.Self && (s.Role == flow.RoleServer || !s.Remote.IsValid()) && len(t.l7.own) < maxOwn {
		t.l7.own[ownPort{s.Cgroup, s.Local.Port()}] = struct{}{}
	}
}

// isOwn tells whether weir's own server was asked.
func (t *Table) isOwn(c *flow.Counted) bool {
	if len(t.l7.own) == 0 {
		return false
	}
	server := c.Cgroup
	if c.Role == flow.RoleClient {
		server = c.Peer
	}
	_, own := t.l7.own[ownPort{server, c.Port}]
	return own && server != 0
}

// ofOwnFlow tells whether an exchange is of a flow of which one end is weir's own.
func (t *Table) ofOwnFlow(x *flow.Exchange) bool {
	e, _ := t.flowOf(x)
	return e != nil && e.self
}

// told takes what the book gives. A workload whose name is still awaited holds it
// back, as it does a flow's start.
func (t *Table) told(w *l7.Told) {
	r := t.next()
	t.describeL7(w, r)
	if pending(r.L7) && t.l7.pending.len() < maxUnnamed {
		t.out = t.out[:len(t.out)-1]
		t.l7.pending.push(unnamed{*w, t.now})
		t.due = min(t.due, t.now+int64(patience))
	}
}

// tellUnnamed makes the records that waited for a workload's name long enough.
func (t *Table) tellUnnamed(all bool) {
	for t.l7.pending.len() > 0 && (all || t.l7.pending.front().since+int64(patience) <= t.now) {
		w := t.l7.pending.pop()
		t.describeL7(&w.Told, t.next())
	}
}

func (t *Table) unnamedDue() int64 {
	if t.l7.pending.len() == 0 {
		return math.MaxInt64
	}
	return t.l7.pending.front().since + int64(patience)
}

func pending(l *flow.L7) bool {
	c, s := l.Client.Workload, l.Server.Workload
	return c != nil && c.Pending || s != nil && s.Pending
}

// describeL7 makes the record of what the book gave.
func (t *Table) describeL7(w *l7.Told, r *flow.Record) {
	r.Kind, r.Time, r.Verdict = flow.RecordL7, w.At, flow.VerdictForwarded
	var counted *flow.Counted
	var status uint16
	if w.Exchange != nil {
		r.L7 = new(flow.L7) // whoever keeps it keeps nothing else
		counted, status = &w.Exchange.Counted, w.Exchange.Status
		if h := w.Exchange.HTTP; h != nil {
			r.L7.TraceID = l7.TraceID(h.Traceparent)
		}
	} else {
		r.L7 = t.tallyL7()
		counted, status = &w.Tally.Counted, w.Tally.Status
	}
	l := r.L7
	l.Tally, l.Exchange = w.Tally, w.Exchange
	l.Protocol, l.Seen, l.Both = counted.Protocol, counted.Role, counted.Peer != 0
	l.Method, l.Route, l.Rule = w.Name.Method, w.Name.Route, w.Name.Rule
	l.Error = l7.Failed(counted.Protocol, status)
	t.endsOfL7(l, counted, w.Exchange)
}

// tallyL7 is one of a chunk: tallies are many, and seldom kept.
func (t *Table) tallyL7() *flow.L7 {
	if len(t.l7.chunk) == 0 {
		t.l7.chunk = make([]flow.L7, l7Chunk)
	}
	l := &t.l7.chunk[0]
	t.l7.chunk = t.l7.chunk[1:]
	return l
}

// l7Due is when something of layer 7 has waited long enough.
func (t *Table) l7Due() int64 { return min(t.l7.book.Due(), t.unnamedDue()) }

// advanceL7 gives what has waited long enough.
func (t *Table) advanceL7() {
	t.l7.book.Advance(t.now)
	t.tellUnnamed(false)
}

// drainL7 gives all that waits.
func (t *Table) drainL7() {
	t.l7.book.Drain()
	t.tellUnnamed(true)
}
