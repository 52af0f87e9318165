package aggregate

import "github.com/seed79351815/weir/collector/flow"

// socket takes the report of one socket about one of its flows.
func (t *Table) socket(ev *flow.Event) {
	s := &ev.Socket
	v := tuple{pack(s.Local), pack(s.Remote), uint16(s.Protocol)}
	h := t.hash.socket(s.Cookie, v)
	n := t.find(h, s.Cookie, &v)
	if n != 0 && t.replaced(n, ev, &v) {
		n = 0
	}
	joined := n == 0
	uncounted := false // what it counted so far was told before
	if joined {
		switch t.tombs.meet(h, s) {
		case tombLate:
			return
		case tombLateNews:
			t.stats.Late++
			return
		case tombRevived:
			uncounted = true
		}
		n = t.join(s, v, h)
		uncounted = uncounted || s.Preexisting && s.Protocol == flow.TCP
	}
	slot, e := n.slot(), t.slab.at(n.slot())
	e.heard = t.seconds()
	t.slab.touch(slot, e)
	if t.absorb(slot, e, n.side(), ev, uncounted) || joined {
		t.changed(slot, e)
	}
	if n.side() == client && s.Wire.IsValid() && e.xlated == (addr{}) && !e.paired() {
		// NAT's work is told late: the server's end may have a flow of its own.
		t.translate(slot, e, pack(s.Wire))
		if !e.started && !e.ends[client].guessed {
			t.reconsider(slot, e)
			joined = true
		}
	}
	if ev.Kind == flow.KindClose {
		t.close(slot, e, n.side(), ev)
	} else if joined && !e.started && e.paired() {
		t.ready(slot, e)
	}
}

// find is the end that the socket reported before; 0 for none.
func (t *Table) find(h, cookie uint64, v *tuple) node {
	for n := t.sockets.head(h); n != 0; {
		e := t.slab.at(n.slot())
		x := &e.ends[n.side()]
		if x.cookie == cookie && uint16(e.proto) == v.proto &&
			(e.proto == flow.TCP || x.local == v.local && x.remote == v.remote) {
			return n
		}
		n = x.nextSock
	}
	return 0
}

// replaced tells whether the report is about a new flow of a socket whose older
// flow is still held. The older one then ends here.
func (t *Table) replaced(n node, ev *flow.Event, v *tuple) bool {
	e := t.slab.at(n.slot())
	x := &e.ends[n.side()]
	switch {
	case x.closed && ev.Socket.Start > e.ended:
	case ev.Kind == flow.KindOpen && !x.closed && (x.local != v.local || x.remote != v.remote) && ev.Socket.Start > e.start:
		x.closed, x.how, e.ended = true, flow.EndLost, e.last
	default:
		return false
	}
	r := ref{n.slot(), e.gen}
	t.begin(r.slot, e)
	if t.slab.get(r) != nil {
		t.finish(r.slot, e)
	}
	return true
}

// absorb takes the report's content into the flow and tells whether any of it is
// new. Counters are the larger of what the two ends saw: a sender's count is
// never below its receiver's, unless its report is older or was lost.
func (t *Table) absorb(slot uint32, e *entry, sd side, ev *flow.Event, uncounted bool) (news bool) {
	s, x := &ev.Socket, &e.ends[sd]
	sent, received := e.sent, e.received
	if sd == client {
		raise(&e.sent, &s.Sent)
		raise(&e.received, &s.Received)
	} else {
		raise(&e.sent, &s.Received)
		raise(&e.received, &s.Sent)
	}
	news = sent != e.sent || received != e.received || s.Retransmits > x.retransmits
	if uncounted {
		e.sentTold.Add(e.sent.Sub(sent))
		e.receivedTold.Add(e.received.Sub(received))
		e.retransmitsTold += s.Retransmits - min(x.retransmits, s.Retransmits)
	}
	x.retransmits = max(x.retransmits, s.Retransmits)
	if s.RTT != 0 && (sd == client || !e.rttByClient) {
		e.rtt, e.rttByClient = s.RTT, sd == client
	}
	if sd == client && s.ConnectLatency != 0 {
		e.latency = s.ConnectLatency
	}
	if s.ConnID != 0 && e.conn == 0 {
		e.conn = s.ConnID
		t.conns.add(t.hash.number(e.conn), nodeOf(slot, whole))
	}
	if x.pid == 0 && s.PID != 0 {
		x.pid, x.comm = s.PID, s.Comm
	}
	e.preexisting = e.preexisting || s.Preexisting
	if s.Start != 0 && (e.start == 0 || s.Start < e.start) {
		e.start = s.Start
	}
	if news || e.last == 0 || ev.Kind != flow.KindUpdate {
		e.last = max(e.last, ev.Time)
	}
	return news
}

func raise(c, o *flow.Counters) {
	c.Packets = max(c.Packets, o.Packets)
	c.Payload = max(c.Payload, o.Payload)
	c.Wire = max(c.Wire, o.Wire)
}

// close notes that an end has closed, and ends the flow where nothing more is to
// be waited for.
func (t *Table) close(slot uint32, e *entry, sd side, ev *flow.Event) {
	x := &e.ends[sd]
	first := !e.ends[client].closed && !e.ends[server].closed
	x.closed, x.how = true, ev.Socket.End
	e.ended = max(e.ended, ev.Time)
	r := ref{slot, e.gen}
	if first {
		t.wait(&t.closing, lingerTime, r)
	}
	if e.started {
		t.conclude(slot, e)
	} else if e.paired() {
		t.ready(slot, e)
	}
}

// ready starts a flow whose ends are both seen, unless a name is still awaited.
func (t *Table) ready(slot uint32, e *entry) {
	if t.resolve(e); !e.unnamed() {
		t.start(slot, e)
	}
}

// begin starts a flow that has not started, with what is known by now, and ends
// it where it is over.
func (t *Table) begin(slot uint32, e *entry) {
	if e.started {
		t.conclude(slot, e)
		return
	}
	t.reconsider(slot, e)
	t.resolve(e)
	t.start(slot, e)
}

// start makes the start record, and the end record too where the flow is over.
func (t *Table) start(slot uint32, e *entry) {
	e.started = true
	t.noteBehind(e)
	t.tell(e, flow.RecordStart)
	t.conclude(slot, e)
}

// conclude ends a started flow whose every end has closed. One end alone is
// believed when there cannot be another: its peer is not of this host, or no
// connection came about.
func (t *Table) conclude(slot uint32, e *entry) {
	if !e.done() {
		return
	}
	if !e.paired() {
		x := &e.ends[e.lone()]
		foreign := e.ends[e.lone().other()].workload == nil && t.now-e.start >= int64(settleTime)
		if !foreign && !neverWas(x.how) {
			return
		}
	}
	t.finish(slot, e)
}

func neverWas(how flow.End) bool { return how == flow.EndRefused || how == flow.EndUnreachable }

// finish makes the end record and lets the flow go.
func (t *Table) finish(slot uint32, e *entry) {
	t.tell(e, flow.RecordEnd)
	t.leave(slot, e, false)
}

// lose ends a flow whose end was not told.
func (t *Table) lose(slot uint32, e *entry) {
	r := ref{slot, e.gen}
	t.begin(slot, e)
	if t.slab.get(r) == nil {
		return
	}
	if e.ended == 0 {
		e.ended = e.last
	}
	t.tell(e, flow.RecordEnd)
	t.leave(slot, e, true)
}

func (t *Table) leave(slot uint32, e *entry, lost bool) {
	for sd := range e.ends {
		if x := &e.ends[sd]; x.seen {
			h := t.hash.socket(x.cookie, tuple{x.local, x.remote, uint16(e.proto)})
			t.tombs.add(h, tomb{ended: e.ended, packets: e.sent.Packets + e.received.Packets, lost: lost})
		}
	}
	t.unlink(slot, e)
	t.slab.give(slot)
}
