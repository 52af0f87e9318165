package aggregate

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// ledger checks what must hold for the records of any events.
type ledger struct {
	*testing.T
	flows map[uint64]*account
	l7    map[any]bool // tallies and exchanges that records told
}

type account struct {
	started, ended bool
	told           flow.Delta
}

func (l *ledger) take(r *flow.Record) {
	if r.Kind == flow.RecordL7 {
		l.takeL7(r)
		return
	}
	a := l.flows[r.Flow.ID]
	if a == nil {
		if r.Kind == flow.RecordDrop && r.Flow.Ended != 0 {
			return // of no flow
		}
		a = &account{}
		l.flows[r.Flow.ID] = a
	}
	if a.ended {
		l.Errorf("flow %d: record of kind %d after its end", r.Flow.ID, r.Kind)
	}
	if first := !a.started; first != (r.Kind == flow.RecordStart) {
		l.Errorf("flow %d: record of kind %d, started is %v", r.Flow.ID, r.Kind, a.started)
	}
	a.started = true
	a.told.Sent.Add(r.Delta.Sent)
	a.told.Received.Add(r.Delta.Received)
	a.told.Retransmits += r.Delta.Retransmits
	total := flow.Delta{Sent: r.Flow.Sent, Received: r.Flow.Received, Retransmits: r.Flow.Retransmits}
	if !r.Flow.Preexisting && a.told != total {
		l.Errorf("flow %d: deltas sum to %+v, totals are %+v", r.Flow.ID, a.told, total)
	}
	if r.Kind == flow.RecordEnd {
		a.ended = true
		if r.Flow.Ended == 0 || r.Flow.End == flow.EndNone {
			l.Errorf("flow %d: ended at %d, how %d", r.Flow.ID, r.Flow.Ended, r.Flow.End)
		}
	}
	if !r.Flow.Client.Seen && !r.Flow.Server.Seen {
		l.Errorf("flow %d has no seen end", r.Flow.ID)
	}
}

// takeL7 wants a tally or an exchange, told once, of somebody.
func (l *ledger) takeL7(r *flow.Record) {
	x := r.L7
	if (x.Tally == nil) == (x.Exchange == nil) {
		l.Fatalf("tally %v, exchange %v", x.Tally, x.Exchange)
	}
	what := any(x.Tally)
	if x.Exchange != nil {
		what = x.Exchange
	}
	if l.l7[what] {
		l.Errorf("told twice: %+v", x)
	}
	l.l7[what] = true
	if near := x.Client; x.Seen == flow.RoleClient && (near.Workload == nil || !near.Seen) {
		l.Errorf("nobody asked: %+v", x)
	}
	if r.Flow.ID != 0 || r.Delta != (flow.Delta{}) {
		l.Errorf("an exchange has a flow: %+v", r)
	}
}

// chaos turns bytes into events of few sockets, so that they meet in all ways.
func chaos(raw []byte) (evs []flow.Event) {
	now := base
	for ; len(raw) >= 5; raw = raw[5:] {
		a, b, c, d, e := raw[0], raw[1], raw[2], raw[3], raw[4]
		now += int64(a) * int64(7*time.Millisecond)
		if a > 250 {
			now += int64(time.Minute)
		}
		host := func(n byte) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n % 3}), uint16(80+n%2))
		}
		s := flow.Socket{
			Cookie: uint64(b%8) + 1, NetNS: uint32(b % 2), PID: uint32(b), Cgroup: uint64(b % 4), Protocol: flow.TCP,
			Role: flow.Role(c % 3), Local: host(d), Remote: host(d / 6), ConnID: uint64(e % 3), Start: now - int64(e)*int64(time.Millisecond),
			Retransmits: uint32(e), End: flow.End(1 + e%9), Self: c > 250,
			Sent: flow.Counters{Packets: uint64(e), Payload: uint64(d)}, Received: flow.Counters{Packets: uint64(c), Wire: uint64(a)},
		}
		if c&0x40 != 0 {
			s.Protocol, s.ConnID = flow.UDP, 0
		}
		kind := flow.Kind(1 + c>>2%4)
		ev := flow.Event{Kind: kind, Time: now - int64(e%4)*int64(time.Millisecond), Socket: s}
		if kind == flow.KindDrop {
			ev.Socket = flow.Socket{}
			ev.Drop = &flow.Drop{NetNS: s.NetNS, Protocol: s.Protocol, Source: s.Local, Destination: s.Remote, Reason: "X", Packets: 1}
		}
		if b&0x80 != 0 {
			ev = chaosL7(ev.Time, &s, d, e)
		}
		evs = append(evs, ev)
	}
	return evs
}

// chaosL7 is a tally, or an exchange of a socket.
func chaosL7(now int64, s *flow.Socket, d, e byte) flow.Event {
	c := flow.Counted{
		Protocol: flow.L7Protocol(d % 5), Role: s.Role, Cgroup: s.Cgroup, Peer: uint64(d / 64), Remote: s.Remote.Addr(),
		Port: 80 + uint16(e%2), Operation: flow.Operation(e % 8),
	}
	if d&0x10 != 0 {
		return flow.Event{Kind: flow.KindTally, Time: now, Tally: &flow.Tally{Counted: c, Status: uint16(e), Bucket: uint16(d) * 300, Count: 1}}
	}
	x := &flow.Exchange{
		Counted: c, Cookie: s.Cookie, Local: s.Local, RemotePort: s.Remote.Port(), Transport: s.Protocol, Status: uint16(e), Why: flow.Why(e % 5),
	}
	switch c.Protocol {
	case flow.HTTP:
		x.HTTP = &flow.HTTPExchange{Method: "GET", Path: string([]byte{'/', d, e})}
	case flow.DNS:
		x.DNS = &flow.DNSExchange{Name: string(e), Type: uint16(d)}
	}
	return flow.Event{Kind: flow.KindExchange, Time: now, Exchange: x}
}

// checkChaos applies events and wants the ledger to hold, and the table to be
// empty and clean once nothing was heard of for long.
func checkChaos(t *testing.T, raw []byte) {
	id := newFake()
	id.nat[netip.MustParseAddrPort("10.0.0.1:80")] = netip.MustParseAddrPort("10.0.0.2:80")
	id.proxies[3] = netip.MustParseAddrPort("10.0.0.2:81")
	id.byAddr[netip.MustParseAddr("10.0.0.2")] = id.Workload(3)
	id.byCgroup[2] = &flow.Workload{CgroupID: 2, Name: "?", Pending: true}
	l := &ledger{t, map[uint64]*account{}, map[any]bool{}}
	table := NewTable(Config{MaxFlows: 12}, id)
	room := make([]flow.Record, 0, 4)
	table.EmitTo(func(full []flow.Record) []flow.Record {
		for i := range full {
			l.take(&full[i])
		}
		return room[:0]
	})
	evs := chaos(raw)
	for i := range evs {
		table.Apply(evs[i : i+1])
		if n := table.Stats().Flows; n > 12 {
			t.Fatalf("%d flows in a table for 12", n)
		}
		if i%16 == 15 {
			id.generation++
			id.byCgroup[2] = &flow.Workload{CgroupID: 2, Name: "two", Pending: i%32 == 31}
		}
	}
	for range 500 {
		table.Tick(table.now + int64(time.Second))
	}
	wantL7(t, l, evs)
	if n := table.Stats().Flows; n != 0 {
		t.Errorf("%d flows left after 500 s of silence", n)
	}
	for id, a := range l.flows {
		if !a.ended {
			t.Errorf("flow %d never ended", id)
		}
	}
	for _, x := range []index{table.sockets, table.views, table.conns} {
		for _, head := range x.heads {
			if head != 0 {
				t.Fatalf("an index of an empty table still holds %d", head)
			}
		}
	}
}

// wantL7 wants all of layer 7 to have been told, but for weir's own.
func wantL7(t *testing.T, l *ledger, evs []flow.Event) {
	own, want := false, 0
	for i := range evs {
		own = own || evs[i].Socket.Self
		if evs[i].Tally != nil || evs[i].Exchange != nil {
			want++
		}
	}
	if n := len(l.l7); n > want || n < want && !own {
		t.Errorf("%d of %d exchanges and tallies told", n, want)
	}
}

func TestChaos(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		raw := make([]byte, 5*(10+r.IntN(200)))
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		if checkChaos(t, raw); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("\x00\x01\x04\x01\x00\x01\x02\x05\x06\x00"))
	f.Fuzz(checkChaos)
}
