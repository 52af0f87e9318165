package aggregate

import (
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// request is an exchange of an HTTP client's socket, or of a server's.
func request(role flow.Role, cookie uint64, local, remote string, op flow.Operation, path string) *flow.Exchange {
	l, r := netip.MustParseAddrPort(local), netip.MustParseAddrPort(remote)
	port := r.Port()
	if role == flow.RoleServer {
		port = l.Port()
	}
	return &flow.Exchange{
		Counted: flow.Counted{Protocol: flow.HTTP, Role: role, Cgroup: 100 + cookie, Remote: r.Addr(), Port: port, Operation: op},
		Cookie:  cookie, NetNS: uint32(cookie), PID: uint32(1000 + cookie), Local: l, RemotePort: r.Port(), Transport: flow.TCP, Status: 200,
		Why: flow.WhyNew, HTTP: &flow.HTTPExchange{Method: "GET", Path: path, Version: 11},
	}
}

func asked4(x *flow.Exchange, n uint64) *flow.Tally {
	return &flow.Tally{Counted: x.Counted, Status: x.Status, Bucket: flow.BucketOf(2e6), Count: n, Latency: n * 2e6}
}

func exchanged(ms int, x *flow.Exchange) flow.Event {
	return flow.Event{Kind: flow.KindExchange, Time: at(ms), Exchange: x}
}

func tallied(ms int, t *flow.Tally) flow.Event {
	return flow.Event{Kind: flow.KindTally, Time: at(ms), Tally: t}
}

// l7s takes the records and gives those of layer 7.
func (r *rig) l7s() (got []*flow.L7) {
	for _, rec := range r.take() {
		if rec.Kind == flow.RecordL7 {
			if rec.Flow.ID != 0 || rec.L7 == nil || rec.Verdict != flow.VerdictForwarded {
				r.Errorf("record %+v", rec)
			}
			got = append(got, rec.L7)
		}
	}
	return got
}

// l7 takes the only record of layer 7.
func (r *rig) l7() *flow.L7 {
	r.Helper()
	got := r.l7s()
	if len(got) != 1 {
		r.Fatalf("%d records of layer 7, want 1", len(got))
	}
	return got[0]
}

func wantEnds(t *testing.T, l *flow.L7, client, server string) {
	t.Helper()
	name := func(p *flow.Endpoint) string {
		if p.Workload == nil {
			return p.Addr.Addr().String()
		}
		return p.Workload.Name
	}
	if c, s := name(&l.Client), name(&l.Server); c != client || s != server {
		t.Errorf("%s asks %s, want %s asks %s", c, s, client, server)
	}
}

// Without any flow, what is counted says who: by the cgroups, else by addresses.
func TestL7Ends(t *testing.T) {
	for _, tt := range []struct {
		name           string
		role           flow.Role
		peer           uint64
		remote         string
		client, server string
		both           bool
	}{
		{"both here", flow.RoleClient, 102, "10.0.0.3", "web", "db", true},
		{"a container's address", flow.RoleClient, 0, "10.0.0.3", "web", "db", false},
		{"elsewhere", flow.RoleClient, 0, "192.0.2.1", "web", "192.0.2.1", false},
		{"loopback", flow.RoleClient, 0, "127.0.0.1", "web", "web", false},
		{"a server's", flow.RoleServer, 0, "192.0.2.1", "192.0.2.1", "web", false},
		{"a server's, mapped", flow.RoleServer, 0, "10.0.0.3", "db", "web", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 0)
			r.id.know(101, "web", "10.0.0.2")
			r.id.know(102, "db", "10.0.0.3")
			r.id.names[netip.MustParseAddr("192.0.2.1")] = []string{"api.example.com"}
			x := request(tt.role, 1, "10.0.0.2:80", netip.AddrPortFrom(netip.MustParseAddr(tt.remote), 80).String(), 1, "/users/1")
			x.Peer = tt.peer
			x.HTTP.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
			r.apply(exchanged(0, x), tallied(1, asked4(x, 5)))
			got := r.l7s()
			if len(got) != 2 || got[0].Exchange != x || got[1].Tally.Count != 5 {
				t.Fatalf("%d records", len(got))
			}
			for _, l := range got {
				wantEnds(t, l, tt.client, tt.server)
				near, far := &l.Client, &l.Server
				if tt.role == flow.RoleServer {
					near, far = far, near
				}
				if l.Both != tt.both || l.Seen != tt.role || !near.Seen || far.Seen != tt.both {
					t.Errorf("both %v, seen by %v; %v, %v", l.Both, l.Seen, near.Seen, far.Seen)
				}
				if l.Method != "GET" || l.Route != "/users/{id}" || l.Rule != "collapsed" || l.Error {
					t.Errorf("%q %q by %q, error %v", l.Method, l.Route, l.Rule, l.Error)
				}
				if tt.remote == "192.0.2.1" && len(far.Names) != 1 {
					t.Errorf("names %q", far.Names)
				}
			}
			if got[0].TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || got[1].TraceID != "" {
				t.Errorf("traces %q and %q", got[0].TraceID, got[1].TraceID)
			}
		})
	}
}

func TestL7Errors(t *testing.T) {
	r := newRig(t, 0)
	for status, failed := range map[uint16]bool{200: false, 404: false, 500: true, flow.NoAnswer: true} {
		x := request(flow.RoleClient, 1, "10.0.0.2:4000", "10.0.0.3:80", 1, "/")
		x.Status = status
		r.apply(exchanged(0, x), tallied(0, asked4(x, 1)))
		for _, l := range r.l7s() {
			if l.Error != failed {
				t.Errorf("%d: error %v", status, l.Error)
			}
		}
	}
}

// What the kernel had no room for is somebody's, but asks nobody in particular.
func TestL7Rest(t *testing.T) {
	r := newRig(t, 0)
	web := r.id.know(101, "web", "10.0.0.2")
	r.id.byAddr[netip.IPv6Unspecified()] = r.id.Workload(9)
	c := flow.Counted{Protocol: flow.HTTP, Role: flow.RoleClient, Cgroup: 101, Remote: netip.IPv6Unspecified()}
	r.apply(tallied(0, &flow.Tally{Counted: c, Status: 200, Count: 3}))
	if l := r.l7(); l.Client.Workload != web || l.Server.Workload != nil || l.Server.Addr.IsValid() || l.Route != "" {
		t.Errorf("%+v", l)
	}
}

// The socket's flow tells what its other end is, through a translation and before
// the flow's start was told.
func TestL7OfFlow(t *testing.T) {
	r := newRig(t, 0)
	web, db := r.id.know(101, "web", "10.0.0.2"), r.id.know(102, "db", "10.0.0.3")
	c := tcp(flow.RoleClient, 1, "10.0.0.2:4000", "10.96.0.1:80").conn(5)
	s := tcp(flow.RoleServer, 2, "10.0.0.3:8080", "10.0.0.2:4000").conn(5)
	x := request(flow.RoleClient, 1, "10.0.0.2:4000", "10.96.0.1:80", 1, "/")
	r.apply(c.open(0), s.open(0), exchanged(1, x))
	l := r.l7()
	if l.Client.Workload != web || l.Server.Workload != db || !l.Server.Seen || l.Server.Cookie != 2 || l.Server.PID != 1002 {
		t.Errorf("%+v", l)
	}
	if got := l.Server.Addr.String(); got != "10.96.0.1:80" {
		t.Errorf("the client asked %s", got)
	}
	if l.Client.Cookie != 1 || l.Client.PID != 1001 || l.Client.Addr.String() != "10.0.0.2:4000" {
		t.Errorf("client %+v", l.Client)
	}
	y := request(flow.RoleServer, 2, "10.0.0.3:8080", "10.0.0.2:4000", 2, "/y")
	r.apply(exchanged(2, y))
	if l := r.l7(); l.Client.Workload != web || l.Server.Workload != db || l.Client.Cookie != 1 || l.Server.Cookie != 2 {
		t.Errorf("as the server has it: %+v", l)
	}
}

// A tally names no socket: living flows with the same address tell what NAT did.
func TestL7BehindNAT(t *testing.T) {
	r := newRig(t, 0)
	r.id.know(101, "web", "10.0.0.2")
	r.id.know(102, "db", "10.0.0.3")
	r.id.nat[netip.MustParseAddrPort("192.0.2.1:8080")] = netip.MustParseAddrPort("10.0.0.3:80")
	c := tcp(flow.RoleClient, 1, "10.0.0.2:4000", "192.0.2.1:8080")
	x := request(flow.RoleClient, 1, "10.0.0.2:4000", "192.0.2.1:8080", 1, "/")
	r.apply(c.open(0))
	r.run(300)
	r.apply(exchanged(300, x), tallied(301, asked4(x, 2)))
	for _, l := range r.l7s() {
		wantEnds(t, l, "web", "db")
		if l.Both {
			t.Error("the server's own socket counts for the server")
		}
	}
	// A newer flow of which conntrack has not told yet is taken to go there too.
	delete(r.id.nat, netip.MustParseAddrPort("192.0.2.1:8080"))
	e := tcp(flow.RoleClient, 4, "10.0.0.2:4002", "192.0.2.1:8080").cgroup(101)
	y := request(flow.RoleClient, 4, "10.0.0.2:4002", "192.0.2.1:8080", 1, "/")
	y.Cgroup = 101
	r.apply(e.open(350), exchanged(350, y))
	wantEnds(t, r.l7(), "web", "db")
	// Where the kernel knows the server's socket, no address knows better.
	r.id.know(104, "sidecar", "")
	z := asked4(x, 1)
	z.Peer = 104
	r.apply(tallied(351, z))
	wantEnds(t, r.l7(), "web", "sidecar")
	// The same address may be answered by nobody's container later.
	d := tcp(flow.RoleClient, 3, "10.0.0.2:4001", "192.0.2.1:8080").cgroup(101)
	r.apply(d.open(400))
	r.run(800)
	r.apply(tallied(801, asked4(x, 2)))
	wantEnds(t, r.l7(), "web", "192.0.2.1")
	if n := len(r.table.l7.behind); n != 0 {
		t.Errorf("%d translations are remembered of flows without", n)
	}
}

// docker-proxy's sockets stand for the container behind it.
func TestL7BehindProxy(t *testing.T) {
	r := newRig(t, 0)
	r.id.know(101, "web", "10.0.0.2")
	r.id.know(102, "dockerd", "")
	r.id.know(103, "db", "10.0.0.3")
	r.id.proxies[1002] = netip.MustParseAddrPort("10.0.0.3:80")
	c := tcp(flow.RoleClient, 1, "10.0.0.2:4000", "192.0.2.1:8080").conn(5)
	p := tcp(flow.RoleServer, 2, "192.0.2.1:8080", "10.0.0.2:4000").conn(5)
	r.apply(c.open(0), p.open(0))
	r.run(300)
	x := request(flow.RoleClient, 1, "10.0.0.2:4000", "192.0.2.1:8080", 1, "/")
	x.Peer = 102
	y := request(flow.RoleServer, 2, "192.0.2.1:8080", "198.51.100.9:7777", 1, "/")
	y.Cookie = 77 // of a flow that is not known
	r.apply(exchanged(300, x), tallied(301, asked4(x, 2)))
	for _, l := range r.l7s() {
		wantEnds(t, l, "web", "db")
		if l.Server.Via != "docker-proxy" {
			t.Errorf("via %q", l.Server.Via)
		}
	}
	r.apply(exchanged(302, y), tallied(303, asked4(y, 2)))
	for _, l := range r.l7s() {
		wantEnds(t, l, "198.51.100.9", "db")
		if l.Server.Via != "docker-proxy" {
			t.Errorf("via %q", l.Server.Via)
		}
	}
}

// weir's own exchanges are nobody's, and so are those of whoever asks it.
func TestL7Own(t *testing.T) {
	r := newRig(t, 0)
	client := tcp(flow.RoleClient, 1, "10.0.0.2:4000", "10.0.0.3:80")
	client.Socket.Self = true
	listen := tcp(flow.RoleServer, 3, "127.0.0.1:9934", "127.0.0.1:1")
	listen.Socket.Self, listen.Socket.Remote = true, netip.AddrPort{}
	r.apply(client.open(0), listen.event(flow.KindListen, 0))
	asks := request(flow.RoleClient, 1, "10.0.0.2:4000", "10.0.0.3:80", 1, "/")
	r.apply(exchanged(1, asks))
	scrape := request(flow.RoleClient, 5, "127.0.0.1:4001", "127.0.0.1:9934", 2, "/metrics")
	scrape.Peer = 103
	served := request(flow.RoleServer, 3, "127.0.0.1:9934", "127.0.0.1:4001", 2, "/metrics")
	served.Cookie = 9
	for _, x := range []*flow.Exchange{scrape, served} {
		r.apply(exchanged(2, x), tallied(2, asked4(x, 4)))
	}
	r.run(6000)
	if got := r.l7s(); len(got) != 0 {
		t.Errorf("%d records of weir's own, the first: %+v", len(got), got[0])
	}
	// Another port of the same cgroup is another's.
	scrape.Port = 9935
	r.apply(tallied(7000, asked4(scrape, 4)))
	r.run(12000)
	r.l7()
}

// A tally waits for its operation's name; a new container's for its own too.
func TestL7Waits(t *testing.T) {
	r := newRig(t, 0)
	x := request(flow.RoleClient, 1, "10.0.0.2:4000", "10.0.0.3:80", 1, "/")
	r.apply(tallied(0, asked4(x, 2)))
	r.run(2900)
	if len(r.l7s()) != 0 {
		t.Fatal("it did not wait")
	}
	r.run(3100)
	if l := r.l7(); l.Route != "" || l.Tally.Count != 2 {
		t.Errorf("%+v", l)
	}
	r.id.byCgroup[101] = &flow.Workload{CgroupID: 101, Name: "?", Pending: true}
	r.apply(exchanged(4000, x))
	r.run(4900)
	if len(r.l7s()) != 0 {
		t.Fatal("it did not wait")
	}
	web := r.id.know(101, "web", "")
	r.run(5100)
	if l := r.l7(); l.Client.Workload != web || l.Exchange != x {
		t.Errorf("%+v", l)
	}
	// Nobody waits for ever.
	r.id.byCgroup[101] = &flow.Workload{CgroupID: 101, Name: "?", Pending: true}
	r.apply(exchanged(6000, x))
	r.run(7100)
	r.l7()
	r.apply(exchanged(8000, x), tallied(8000, &flow.Tally{Counted: flow.Counted{Protocol: flow.DNS, Cgroup: 5, Operation: 99}, Count: 1}))
	r.table.Drain()
	if n := len(r.l7s()); n != 2 {
		t.Errorf("%d records of what waited", n)
	}
}

// A runtime that never answers holds back no more than there is room for.
func TestL7WaitsAreBounded(t *testing.T) {
	r := newRig(t, 0)
	r.id.byCgroup[101] = &flow.Workload{CgroupID: 101, Name: "?", Pending: true}
	x := request(flow.RoleClient, 1, "10.0.0.2:4000", "10.0.0.3:80", 1, "/")
	for range maxUnnamed + 10 {
		r.apply(exchanged(0, x))
	}
	if n := len(r.l7s()); n != 10 {
		t.Errorf("%d told at once, want 10", n)
	}
	r.run(1100)
	if n := len(r.l7s()); n != maxUnnamed {
		t.Errorf("%d told later, want %d", n, maxUnnamed)
	}
}

// Events of layer 7 without content are no events.
func TestL7Empty(t *testing.T) {
	r := newRig(t, 0)
	r.apply(flow.Event{Kind: flow.KindExchange, Time: at(0)}, flow.Event{Kind: flow.KindTally, Time: at(0)})
	r.run(5000)
	if len(r.take()) != 0 {
		t.Error("records of nothing")
	}
}

func TestL7Lost(t *testing.T) {
	r := newRig(t, 0)
	for i := range 1000 {
		x := request(flow.RoleClient, 1, "10.0.0.2:4000", "10.0.0.3:80", flow.Operation(i+1), "/x"+string(rune('a'+i%26))+string(rune('a'+i/26)))
		x.Status = 404
		r.apply(exchanged(i, x), tallied(i, asked4(x, 2)))
	}
	other := uint64(0)
	for _, l := range r.l7s() {
		if l.Tally != nil && l.Route == "other" {
			other += l.Tally.Count
		}
	}
	lost := r.table.Stats().Lost()[flow.Loss{Stage: "l7", Reason: "routes_full"}]
	if other == 0 || lost != other {
		t.Errorf("%d went to other, %d told", other, lost)
	}
}

// BenchmarkTableExchanges is exchanges of living flows between two containers of
// this host, told in full. An operation is one event, up to its record.
func BenchmarkTableExchanges(b *testing.B) {
	const flows, batch = 1000, 256
	t := benchTable(0)
	var evs []flow.Event
	for i := range flows {
		for _, role := range []flow.Role{flow.RoleClient, flow.RoleServer} {
			evs = append(evs, flow.Event{Kind: flow.KindOpen, Time: base, Socket: benchSocket(i, role)})
		}
	}
	t.Apply(evs)
	t.Tick(base + int64(time.Second))
	evs = make([]flow.Event, flows-flows%batch)
	for i := range evs {
		s := benchSocket(i, flow.RoleClient)
		x := request(flow.RoleClient, s.Cookie, s.Local.String(), s.Remote.String(), flow.Operation(i%64+1), "/api/thing"+string(rune('a'+i%64/8))+"/42")
		x.Cgroup, x.Peer = s.Cgroup, 6
		x.HTTP.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		evs[i] = exchanged(1000, x)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		i := n % len(evs)
		t.Apply(evs[i : i+batch])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}

// BenchmarkTableTallies is a reading of the kernel's counts.
func BenchmarkTableTallies(b *testing.B) {
	t := benchTable(0)
	evs := make([]flow.Event, 256)
	for i := range evs {
		x := request(flow.RoleClient, uint64(i%4), "10.0.0.2:4000", "10.0.0.3:80", flow.Operation(i%64+1), "/api/thing"+string(rune('a'+i%64/8))+"/42")
		t.Apply([]flow.Event{exchanged(0, x)})
		evs[i] = tallied(0, asked4(x, 3))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(evs) {
		t.Apply(evs)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}
