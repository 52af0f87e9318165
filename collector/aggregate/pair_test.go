package aggregate

import (
	"net/netip"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

// Every case is one flow whose two ends report; it must come out as one.
func TestTwoEndsAreOneFlow(t *testing.T) {
	c := tcp(flow.RoleClient, 1, "10.0.0.2:40000", "10.0.0.3:80")
	s := tcp(flow.RoleServer, 2, "10.0.0.3:80", "10.0.0.2:40000")
	u := udp(flow.RoleClient, 1, "10.0.0.2:40000", "10.0.0.3:53")
	w := udp(flow.RoleServer, 2, "10.0.0.3:53", "10.0.0.2:40000")
	ping := newSock(flow.ICMP, flow.RoleClient, 1, "10.0.0.2:0", "10.0.0.3:0")
	pong := newSock(flow.ICMP, flow.RoleServer, 2, "10.0.0.3:0", "10.0.0.2:0")
	ping.Socket.ICMPType, pong.Socket.ICMPType = 8, 8
	mapped := tcp(flow.RoleServer, 2, "[::ffff:10.0.0.3]:80", "[::ffff:10.0.0.2]:40000")

	for name, evs := range map[string][]flow.Event{
		"client first":              {c.conn(7).open(0), s.conn(7).open(1)},
		"server first":              {s.conn(7).open(0), c.conn(7).open(1)},
		"without connection id":     {c.open(0), s.open(1)},
		"id at one end":             {c.conn(7).open(0), s.open(1)},
		"update before open":        {c.conn(7).update(0), s.conn(7).update(1), c.conn(7).open(1), s.conn(7).open(2)},
		"close before other's open": {c.conn(7).open(0), c.conn(7).close(5, flow.EndClosed), s.conn(7).open(6)},
		"udp":                       {u.open(0), w.open(1)},
		"udp server first":          {w.open(0), u.open(1)},
		"icmp":                      {ping.open(0), pong.open(1)},
		"mapped IPv4":               {c.open(0), mapped.open(1)},
		"unknown and client":        {tcp(flow.RoleUnknown, 2, "10.0.0.3:80", "10.0.0.2:40000").update(0), c.update(1)},
		"wrong guess, then client":  {tcp(flow.RoleUnknown, 2, "10.0.0.3:80", "10.0.0.2:79").update(0), tcp(flow.RoleClient, 1, "10.0.0.2:79", "10.0.0.3:80").update(1)},
		"both unknown":              {tcp(flow.RoleUnknown, 2, "10.0.0.3:80", "10.0.0.2:40000").update(0), tcp(flow.RoleUnknown, 1, "10.0.0.2:40000", "10.0.0.3:80").update(1)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			for _, ev := range evs {
				r.apply(ev)
			}
			r.run(900)
			f := r.kinds(start)[0].Flow
			if !f.Client.Seen || !f.Server.Seen {
				t.Errorf("seen: client %v, server %v", f.Client.Seen, f.Server.Seen)
			}
			if f.Client.Cookie != 1 || f.Server.Cookie != 2 {
				t.Errorf("cookies %d → %d, want 1 → 2", f.Client.Cookie, f.Server.Cookie)
			}
			if f.Client.Workload.CgroupID != 101 || f.Server.Workload.CgroupID != 102 {
				t.Errorf("workloads %v → %v", f.Client.Workload, f.Server.Workload)
			}
			if f.ServerXlated.IsValid() || f.ClientXlated.IsValid() {
				t.Errorf("translated to %v, %v without NAT", f.ServerXlated, f.ClientXlated)
			}
			if n := r.table.Stats().Flows; n != 1 {
				t.Errorf("%d flows in the table", n)
			}
		})
	}
}

// Every case is two flows that only look like the ends of one.
func TestTwoFlowsStayTwo(t *testing.T) {
	c := tcp(flow.RoleClient, 1, "10.0.0.2:40000", "10.0.0.3:80")
	s := tcp(flow.RoleServer, 2, "10.0.0.3:80", "10.0.0.2:40000")
	lo := udp(flow.RoleClient, 1, "127.0.0.1:40000", "127.0.0.1:53").netns(1)
	ping := newSock(flow.ICMP, flow.RoleClient, 1, "10.0.0.2:0", "10.0.0.3:0")
	pong := newSock(flow.ICMP, flow.RoleServer, 2, "10.0.0.3:0", "10.0.0.2:0")
	ping.Socket.ICMPType, pong.Socket.ICMPType = 8, 13

	for name, evs := range map[string][]flow.Event{
		"other connection id":       {c.conn(7).open(0), s.conn(8).open(1)},
		"two clients":               {c.open(0), tcp(flow.RoleClient, 2, "10.0.0.3:80", "10.0.0.2:40000").open(1)},
		"two clients with one id":   {c.conn(7).open(0), tcp(flow.RoleClient, 2, "10.0.0.3:80", "10.0.0.2:40000").conn(7).open(1)},
		"same tuple, other netns":   {c.conn(7).open(0), tcp(flow.RoleClient, 9, "10.0.0.2:40000", "10.0.0.3:80").conn(8).open(1)},
		"loopbacks of two netns":    {lo.open(0), udp(flow.RoleServer, 2, "127.0.0.1:53", "127.0.0.1:40000").netns(2).open(1)},
		"other protocol":            {c.open(0), udp(flow.RoleServer, 2, "10.0.0.3:80", "10.0.0.2:40000").open(1)},
		"other ICMP type":           {ping.open(0), pong.open(1)},
		"ports used again":          {c.open(0), c.close(10, flow.EndClosed), s.open(20)},
		"one UDP socket, two peers": {udp(flow.RoleClient, 1, "10.0.0.2:4000", "10.0.0.3:53").open(0), udp(flow.RoleClient, 1, "10.0.0.2:4000", "10.0.0.4:53").open(0)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			r.id.know(500, "other", "10.0.0.3") // so that a closed end waits for its peer
			r.apply(evs...)
			if n := r.table.Stats().Flows; n != 2 {
				t.Errorf("%d flows in the table, want 2", n)
			}
			r.run(900)
			r.kinds(start, start)
		})
	}
}

// A socket connected to itself is one flow with one seen end.
func TestSelfConnected(t *testing.T) {
	r := newRig(t, 0)
	s := tcp(flow.RoleClient, 1, "127.0.0.1:40000", "127.0.0.1:40000")
	r.apply(s.open(0), s.bytes(100, 100).update(10))
	r.run(500)
	if f := r.kinds(start)[0].Flow; f.Server.Seen || !f.Client.Seen {
		t.Errorf("seen: client %v, server %v", f.Client.Seen, f.Server.Seen)
	}
}

func TestNATByConnID(t *testing.T) {
	r := newRig(t, 0)
	r.apply(
		tcp(flow.RoleClient, 1, "192.168.1.9:40000", "192.168.1.1:8080").conn(7).open(0),
		tcp(flow.RoleServer, 2, "172.17.0.2:80", "172.17.0.1:61000").conn(7).open(1),
	)
	f := r.kinds(start)[0].Flow
	want := [4]string{"192.168.1.9:40000", "192.168.1.1:8080", "172.17.0.2:80", "172.17.0.1:61000"}
	got := [4]string{f.Client.Addr.String(), f.Server.Addr.String(), f.ServerXlated.String(), f.ClientXlated.String()}
	if got != want {
		t.Errorf("client, server, real server, client as seen by it: %v, want %v", got, want)
	}
}

// Conntrack may tell of a translation before the flow's first packet is reported,
// or after both ends were.
func TestNATByIdentity(t *testing.T) {
	vip, real := netip.MustParseAddrPort("192.168.1.1:53"), netip.MustParseAddrPort("172.17.0.2:5353")
	c := udp(flow.RoleClient, 1, "172.18.0.9:40000", vip.String()).bytes(500, 300)
	s := udp(flow.RoleServer, 2, real.String(), "172.18.0.9:40000").bytes(300, 500)
	for name, tc := range map[string]struct {
		evs  []flow.Event
		when int // the event before which the translation is known
	}{
		"known at first":     {[]flow.Event{c.open(0), s.open(1)}, 0},
		"server first":       {[]flow.Event{s.open(0), c.open(1)}, 0},
		"known between":      {[]flow.Event{s.open(0), c.open(1)}, 1},
		"known after both":   {[]flow.Event{c.open(0), s.open(1)}, 2},
		"known after, close": {[]flow.Event{c.open(0), s.open(1), s.close(2, flow.EndIdle)}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			for i, ev := range tc.evs {
				if i == tc.when {
					r.id.nat[vip] = real
				}
				r.apply(ev)
			}
			r.id.nat[vip] = real
			r.run(800)
			got := r.kinds(start)[0]
			if f := got.Flow; !f.Client.Seen || !f.Server.Seen || f.Server.Addr != vip || f.ServerXlated != real {
				t.Errorf("flow %+v", f)
			}
			if got.Delta.Sent.Payload != 500 || got.Delta.Received.Payload != 300 {
				t.Errorf("delta %+v, want 500 sent and 300 received", got.Delta)
			}
		})
	}
}

// A client's socket may see itself what NAT makes of its packets (Docker's
// resolver at 127.0.0.11 is such a case), at first or only later.
func TestNATBySocket(t *testing.T) {
	before := udp(flow.RoleClient, 1, "127.0.0.1:40000", "127.0.0.11:53").netns(9)
	after := before
	after.Socket.Wire = netip.MustParseAddrPort("127.0.0.11:9953")
	s := udp(flow.RoleServer, 2, "127.0.0.11:9953", "127.0.0.1:40000").netns(9)
	for name, evs := range map[string][]flow.Event{
		"client first":       {after.open(0), s.open(1)},
		"server first":       {s.open(0), after.open(1)},
		"told between":       {before.open(0), after.update(1), s.open(2)},
		"told after both":    {before.open(0), s.open(1), after.update(2)},
		"server first, late": {s.open(0), before.open(1), after.update(2)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			for _, ev := range evs {
				r.apply(ev)
			}
			r.run(800)
			f := r.kinds(start)[0].Flow
			if !f.Client.Seen || !f.Server.Seen || f.Server.Addr.Port() != 53 || f.ServerXlated.String() != "127.0.0.11:9953" {
				t.Errorf("flow %+v", f)
			}
		})
	}
}

// The other end of a published port may be a remote one: then NAT alone tells
// which container it is.
func TestRemoteBehindNAT(t *testing.T) {
	r := newRig(t, 0)
	w := r.id.know(5, "web", "172.17.0.2")
	r.id.nat[netip.MustParseAddrPort("192.168.1.1:8080")] = netip.MustParseAddrPort("172.17.0.2:80")
	r.apply(tcp(flow.RoleClient, 1, "192.168.1.1:40000", "192.168.1.1:8080").open(0))
	r.run(300)
	if f := r.kinds(start)[0].Flow; f.Server.Workload != w || f.ServerXlated.String() != "172.17.0.2:80" {
		t.Errorf("server %+v, real address %v", f.Server, f.ServerXlated)
	}
}

func TestDockerProxy(t *testing.T) {
	r := newRig(t, 0)
	web := r.id.know(5, "web", "172.17.0.2")
	r.id.proxies[1002], r.id.proxies[1003] = netip.MustParseAddrPort("172.17.0.2:80"), netip.MustParseAddrPort("172.17.0.2:80")
	r.apply(
		tcp(flow.RoleClient, 1, "127.0.0.1:40000", "127.0.0.1:8080").netns(1).conn(7).open(0),
		tcp(flow.RoleServer, 2, "127.0.0.1:8080", "127.0.0.1:40000").netns(1).conn(7).open(1),
		tcp(flow.RoleClient, 3, "172.17.0.1:50000", "172.17.0.2:80").conn(8).open(2),
		tcp(flow.RoleServer, 4, "172.17.0.2:80", "172.17.0.1:50000").cgroup(5).conn(8).open(3),
	)
	got := r.kinds(start, start)
	first, second := got[0].Flow, got[1].Flow
	if s := first.Server; s.Via != "docker-proxy" || s.Workload != web || s.Addr.String() != "127.0.0.1:8080" {
		t.Errorf("first leg's server %+v", s)
	}
	if first.ServerXlated.String() != "172.17.0.2:80" || first.Client.Via != "" {
		t.Errorf("first leg's real server %v, client via %q", first.ServerXlated, first.Client.Via)
	}
	if second.Client.Via != "docker-proxy" || second.Server.Via != "" || second.Server.Workload != web {
		t.Errorf("second leg: client via %q, server %+v", second.Client.Via, second.Server)
	}
}

func TestUnknownRoles(t *testing.T) {
	listen := func(netns uint32, port string) flow.Event {
		ev := sock{Socket: flow.Socket{Protocol: flow.TCP, NetNS: netns, Local: netip.MustParseAddrPort("0.0.0.0:" + port)}}
		return ev.event(flow.KindListen, 0)
	}
	s := tcp(flow.RoleUnknown, 1, "10.0.0.2:50000", "10.0.0.3:40000").older()
	for name, tc := range map[string]struct {
		evs    []flow.Event
		server string
	}{
		"lower port":           {[]flow.Event{s.update(1)}, "10.0.0.3:40000"},
		"listening here":       {[]flow.Event{listen(1, "50000"), s.update(1)}, "10.0.0.2:50000"},
		"peer listening here":  {[]flow.Event{listen(1, "40000"), listen(2, "50000"), s.update(1)}, "10.0.0.3:40000"},
		"listening elsewhere":  {[]flow.Event{listen(2, "50000"), s.update(1)}, "10.0.0.2:50000"},
		"listener told later":  {[]flow.Event{s.update(1), listen(1, "50000")}, "10.0.0.2:50000"},
		"connectionless lower": {[]flow.Event{udp(flow.RoleUnknown, 1, "10.0.0.2:53", "10.0.0.3:40000").open(1)}, "10.0.0.2:53"},
		"no ports":             {[]flow.Event{newSock(flow.ICMP, flow.RoleUnknown, 1, "10.0.0.2:0", "10.0.0.9:0").open(1)}, "10.0.0.9:0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			r.apply(tc.evs...)
			r.run(300)
			if f := r.kinds(start)[0].Flow; f.Server.Addr.String() != tc.server {
				t.Errorf("server %v, want %s", f.Server.Addr, tc.server)
			}
		})
	}
}

// A refused port of one's own: nobody tells of the other end, but loopback is
// within one namespace.
func TestLoopbackIsWhoseItIsAtTheOtherEnd(t *testing.T) {
	for _, s := range []sock{
		tcp(flow.RoleClient, 1, "127.0.0.1:40000", "127.0.0.1:80"),
		tcp(flow.RoleServer, 1, "[::1]:80", "[::1]:40000"),
	} {
		r := newRig(t, 0)
		r.apply(s.close(0, flow.EndRefused))
		r.run(1500)
		f := r.kinds(start, flow.RecordEnd)[0].Flow
		if f.Client.Workload == nil || f.Client.Workload != f.Server.Workload || f.Client.Workload.CgroupID != 101 {
			t.Errorf("%v: workloads %v → %v", s.Socket.Local, f.Client.Workload, f.Server.Workload)
		}
	}
}
