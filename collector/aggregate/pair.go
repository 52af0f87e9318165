package aggregate

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// join finds the flow of a socket that was not heard of before: the one whose
// other end it is, or a new one.
func (t *Table) join(s *flow.Socket, v tuple, h uint64) node {
	sd, guessed := t.listeners.side(s)
	m := v.mirrored()
	n := t.byConn(s, sd, guessed)
	if n == 0 {
		n = t.byView(&m, s, sd, guessed)
	}
	var real addr
	if n == 0 && sd == client {
		if r, ok := t.real(s); ok {
			real = pack(r)
			m.local = real
			n = t.byView(&m, s, sd, guessed)
		}
	}
	if n == 0 {
		n = t.open(s, sd)
	}
	slot, sd := n.slot(), n.side()
	e := t.slab.at(slot)
	x := &e.ends[sd]
	*x = end{
		local: v.local, remote: v.remote, netns: s.NetNS, pid: s.PID, comm: s.Comm, cookie: s.Cookie, cgroup: s.Cgroup,
		workload: x.workload, names: x.names, seen: true, guessed: guessed,
	}
	e.self = e.self || s.Self && !e.started
	t.serves(s)
	t.sockets.add(h, n)
	t.views.add(t.hash.view(v), n)
	if real != (addr{}) && e.xlated == (addr{}) {
		t.translate(slot, e, real)
	}
	t.proxy(slot, e, sd)
	return n
}

// open makes an entry for a flow that begins, of which side sd is known. Where
// the table is full the flow that was silent for longest gives way.
func (t *Table) open(s *flow.Socket, sd side) node {
	if t.slab.used >= t.max {
		t.stats.Evicted++
		t.lose(t.slab.oldest, t.slab.at(t.slab.oldest))
	}
	slot, e := t.slab.take()
	t.lastID++
	e.id, e.proto, e.icmpType, e.icmpCode = t.lastID, s.Protocol, s.ICMPType, s.ICMPCode
	t.wait(&t.settling, settleTime, ref{slot, e.gen})
	return nodeOf(slot, sd)
}

// byConn finds the free end of a TCP connection by the number that both ends
// share, through NAT too.
func (t *Table) byConn(s *flow.Socket, sd side, guessed bool) node {
	if s.ConnID == 0 || s.Protocol != flow.TCP {
		return 0
	}
	for n := t.conns.head(t.hash.number(s.ConnID)); n != 0; n = t.slab.at(n.slot()).nextConn {
		if e := t.slab.at(n.slot()); e.conn == s.ConnID && !e.paired() && t.fits(n.slot(), e, s, sd, guessed) {
			return nodeOf(n.slot(), e.lone().other())
		}
	}
	return 0
}

// byView finds the free end of a flow whose other end sees the tuple m.
func (t *Table) byView(m *tuple, s *flow.Socket, sd side, guessed bool) node {
	for n := t.views.head(t.hash.view(*m)); n != 0; n = *t.views.next(n) {
		e := t.slab.at(n.slot())
		if !e.paired() && t.sees(e, n.side(), m) && t.fits(n.slot(), e, s, sd, guessed) {
			return nodeOf(n.slot(), e.lone().other())
		}
	}
	return 0
}

// sees tells whether the view that a node stands for is m.
func (t *Table) sees(e *entry, place side, m *tuple) bool {
	if uint16(e.proto) != m.proto {
		return false
	}
	if place == whole {
		return e.ends[client].local == m.local && e.xlated == m.remote
	}
	return e.ends[place].local == m.local && e.ends[place].remote == m.remote
}

// fits tells whether the socket can be the end that the flow lacks. Two clients
// never make one flow; a side that was only guessed gives way to one that is
// known, for as long as no record has told it.
func (t *Table) fits(slot uint32, e *entry, s *flow.Socket, sd side, guessed bool) bool {
	lone := e.lone()
	x := &e.ends[lone]
	switch {
	case x.cookie == s.Cookie:
		return false // a socket connected to itself
	case e.conn != 0 && e.conn != s.ConnID && (s.ConnID != 0 || x.closed):
		return false
	case x.closed && s.Start > e.ended && e.conn == 0:
		return false // an older flow with the same ports
	case e.icmpType != s.ICMPType:
		return false
	case s.Remote.Addr().IsLoopback() && s.Local.Addr().IsLoopback() && x.netns != s.NetNS:
		return false // every namespace has a loopback of its own
	}
	if sd != lone || guessed {
		return true
	}
	if x.guessed && !e.started {
		t.flip(slot, e)
		return true
	}
	return x.guessed
}

// flip makes the client the server and the other way round.
func (t *Table) flip(slot uint32, e *entry) {
	t.untranslate(slot, e)
	t.unlink(slot, e)
	e.ends[client], e.ends[server] = e.ends[server], e.ends[client]
	e.sent, e.received = e.received, e.sent
	e.sentTold, e.receivedTold = e.receivedTold, e.sentTold
	e.rttByClient = !e.rttByClient
	t.link(slot, e)
	for sd := range e.ends {
		t.proxy(slot, e, side(sd))
	}
}

// reconsider looks again, before the start is told, for what was not known when
// a lone end came: who listens, and what NAT made of the server's address.
func (t *Table) reconsider(slot uint32, e *entry) {
	if e.paired() {
		return
	}
	x := &e.ends[e.lone()]
	s := flow.Socket{NetNS: x.netns, Protocol: e.proto, Local: x.local.unpack(), Remote: x.remote.unpack()}
	if x.guessed {
		if sd, _ := t.listeners.side(&s); sd != e.lone() {
			t.flip(slot, e)
			x = &e.ends[sd]
		}
	}
	if e.lone() != client {
		return
	}
	real := e.xlated // told by the socket since it joined, or not at all
	if real == (addr{}) {
		r, ok := t.real(&s)
		if !ok {
			return
		}
		real = pack(r)
	}
	m := tuple{real, x.local, uint16(e.proto)}
	s.Cookie, s.ConnID, s.Start, s.ICMPType = x.cookie, e.conn, e.start, e.icmpType
	if n := t.byView(&m, &s, client, x.guessed); n != 0 && n.side() == client && !t.slab.at(n.slot()).started {
		t.merge(slot, e, n.slot())
	}
	t.translate(slot, e, real)
}

// real is where a client's packets go after NAT: as the socket itself saw them
// leave, else as conntrack has it.
func (t *Table) real(s *flow.Socket) (netip.AddrPort, bool) {
	if s.Wire.IsValid() {
		return s.Wire, true
	}
	return t.identity.Translated(s.Protocol, s.Local, s.Remote)
}

// merge takes the server end, which had opened a flow of its own, into e.
func (t *Table) merge(slot uint32, e *entry, from uint32) {
	f := t.slab.at(from)
	t.untranslate(from, f)
	t.unlink(slot, e)
	t.unlink(from, f)
	e.ends[server] = f.ends[server]
	raise(&e.sent, &f.sent)
	raise(&e.received, &f.received)
	raise(&e.sentTold, &f.sentTold)
	raise(&e.receivedTold, &f.receivedTold)
	e.retransmitsTold += f.retransmitsTold
	if e.rtt == 0 {
		e.rtt = f.rtt
	}
	if e.conn == 0 {
		e.conn = f.conn
	}
	e.drops += f.drops
	e.start, e.last, e.ended = min(e.start, f.start), max(e.last, f.last), max(e.ended, f.ended)
	e.preexisting, e.self = e.preexisting || f.preexisting, e.self || f.self
	t.slab.give(from)
	t.link(slot, e)
	if e.ends[server].closed {
		t.wait(&t.closing, lingerTime, ref{slot, e.gen})
	}
}

// translate notes the server's real address, so that it is found by it.
func (t *Table) translate(slot uint32, e *entry, real addr) {
	t.untranslate(slot, e)
	e.xlated, e.translated = real, true
	t.views.add(t.hash.view(tuple{e.ends[client].local, real, uint16(e.proto)}), nodeOf(slot, whole))
	if e.started {
		t.noteBehind(e)
	}
}

func (t *Table) untranslate(slot uint32, e *entry) {
	if e.translated {
		t.views.remove(t.hash.view(tuple{e.ends[client].local, e.xlated, uint16(e.proto)}), nodeOf(slot, whole))
	}
	e.xlated, e.translated = addr{}, false
}

// proxy notes the container behind an end that is docker-proxy's socket.
func (t *Table) proxy(slot uint32, e *entry, sd side) {
	x := &e.ends[sd]
	if !x.seen || x.pid == 0 {
		return
	}
	if behind, ok := t.identity.Proxied(x.pid); ok {
		x.proxied = true
		if sd == server {
			t.untranslate(slot, e)
			e.xlated = pack(behind)
		}
	}
}

// link puts an entry into the indexes, unlink takes it out.
func (t *Table) link(slot uint32, e *entry) {
	t.eachNode(slot, e, (*index).add)
}

func (t *Table) unlink(slot uint32, e *entry) { t.eachNode(slot, e, (*index).remove) }

func (t *Table) eachNode(slot uint32, e *entry, do func(*index, uint64, node)) {
	for sd := range e.ends {
		if x := &e.ends[sd]; x.seen {
			v := tuple{x.local, x.remote, uint16(e.proto)}
			do(&t.sockets, t.hash.socket(x.cookie, v), nodeOf(slot, side(sd)))
			do(&t.views, t.hash.view(v), nodeOf(slot, side(sd)))
		}
	}
	if e.conn != 0 {
		do(&t.conns, t.hash.number(e.conn), nodeOf(slot, whole))
	}
	if e.translated {
		v := tuple{e.ends[client].local, e.xlated, uint16(e.proto)}
		do(&t.views, t.hash.view(v), nodeOf(slot, whole))
	}
}
