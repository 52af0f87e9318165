package replay

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

var update = flag.Bool("update", false, "write testdata/events anew")

const golden = "../../testdata/events/shop"

// recorded is an Identity that knows what the recording says.
type recorded struct {
	workloads map[uint64]*flow.Workload
	byAddr    map[netip.Addr]*flow.Workload
	names     map[netip.Addr][]string
	grown     uint64
}

func (r *recorded) Observe(ev *flow.Event) {
	switch ev.Kind {
	case flow.KindWorkload:
		r.workloads[ev.Workload.CgroupID] = ev.Workload
		for _, a := range ev.Workload.Addrs {
			r.byAddr[a] = ev.Workload
		}
		r.grown++
	case flow.KindDNS:
		for _, a := range ev.DNS.Addrs {
			r.names[a] = append(r.names[a], ev.DNS.Name)
		}
	}
}

func (r *recorded) Workload(cgroup uint64) *flow.Workload {
	if w := r.workloads[cgroup]; w != nil {
		return w
	}
	return &flow.Workload{CgroupID: cgroup, Name: "unknown", Pending: true}
}

func (r *recorded) ByAddr(a netip.Addr) *flow.Workload         { return r.byAddr[a] }
func (r *recorded) Names(_ uint64, a netip.Addr) []string      { return r.names[a] }
func (r *recorded) Proxied(uint32) (a netip.AddrPort, ok bool) { return }
func (r *recorded) Generation() uint64                         { return r.grown }
func (r *recorded) Translated(flow.Protocol, netip.AddrPort, netip.AddrPort) (a netip.AddrPort, ok bool) {
	return
}

// printer is a Sink that writes one line a record.
type printer struct{ strings.Builder }

func (p *printer) Name() string { return "printer" }

func (p *printer) Consume(_ context.Context, batch []flow.Record) error {
	kinds := [...]string{flow.RecordStart: "start", flow.RecordUpdate: "update", flow.RecordEnd: "end", flow.RecordDrop: "drop"}
	for i := range batch {
		r := &batch[i]
		if x := r.L7; r.Kind == flow.RecordL7 {
			fmt.Fprintf(p, "%5d ms  l7     %s  %s → %s  %s %s", (r.Time-base)/1e6, x.Protocol, end(&x.Client), end(&x.Server), x.Method, x.Route)
			if x.Tally != nil {
				fmt.Fprintf(p, ", %d of %d", x.Tally.Count, x.Tally.Status)
			} else {
				fmt.Fprintf(p, ", %s: %d", x.Exchange.Why, x.Exchange.Status)
			}
			p.WriteString("\n")
			continue
		}
		f := &r.Flow
		fmt.Fprintf(p, "%5d ms  %-6s %d %s  %s → %s", (r.Time-base)/1e6, kinds[r.Kind], f.ID, f.Protocol, end(&f.Client), end(&f.Server))
		if f.ServerXlated.IsValid() {
			fmt.Fprintf(p, " (really %v)", f.ServerXlated)
		}
		fmt.Fprintf(p, "  +%d/+%d B of %d/%d", r.Delta.Sent.Payload, r.Delta.Received.Payload, f.Sent.Payload, f.Received.Payload)
		if f.Preexisting {
			p.WriteString(", older than weir")
		}
		if r.Drop != nil {
			fmt.Fprintf(p, ", %d dropped: %s", r.Drop.Packets, r.Drop.Reason)
		}
		if f.End != flow.EndNone {
			fmt.Fprintf(p, ", %v", f.End)
		}
		p.WriteString("\n")
	}
	return nil
}

func end(e *flow.Endpoint) string {
	s := e.Addr.String()
	if e.Workload != nil {
		s = e.Workload.String() + " " + s
	}
	if len(e.Names) > 0 {
		s += " " + strings.Join(e.Names, ",")
	}
	if e.Seen {
		s += "*"
	}
	return s
}

// TestGolden replays a recording through the whole pipeline, as fast as it goes
// and in its own time. Both must give the same records.
func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	for _, speed := range []float64{0, 20} {
		// In a bubble: a busy machine must not make the ticks come at other times.
		synctest.Test(t, func(t *testing.T) { replayGolden(t, speed) })
	}
}

func replayGolden(t *testing.T, speed float64) {
	src, err := Open(golden+".jsonl", Options{Speed: speed})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	id := &recorded{map[uint64]*flow.Workload{}, map[netip.Addr]*flow.Workload{}, map[netip.Addr][]string{}, 0}
	var out printer
	c := collector.New(collector.Config{}, src, aggregate.NewTable(aggregate.Config{}, id), &out)
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden+".records", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden + ".records")
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("at speed %v the records are\n%s\nwant\n%s", speed, out.String(), want)
	}
	if h := c.Health(); h.Lost[flow.Loss{Stage: "kernel", Reason: "ring_full"}] != 3 || h.Source.Total().Produced != h.Source.Total().Delivered+3 {
		t.Errorf("health %+v", h)
	}
}

// writeGolden makes the recording: a shop of three containers, of which one is
// named late, with a published port, a name, a refused and a dropped connection, and
// requests of which a few are told and all are counted.
func writeGolden(t *testing.T) {
	var evs []flow.Event
	add := func(k flow.Kind, at int64, s flow.Socket) *flow.Socket {
		evs = append(evs, flow.Event{Kind: k, Time: ms(at), CPU: uint16(s.Cookie % 2), Socket: s})
		return &evs[len(evs)-1].Socket
	}
	workload := func(at int64, cgroup uint64, name, address string) {
		w := &flow.Workload{
			CgroupID: cgroup, Cgroup: "/docker/" + name, Runtime: flow.RuntimeDocker, Container: strings.Repeat(name[:1], 64), Name: name,
			Namespace: "shop", Owner: flow.Owner{Kind: "ComposeService", Name: name}, Addrs: []netip.Addr{netip.MustParseAddr(address)},
		}
		evs = append(evs, flow.Event{Kind: flow.KindWorkload, Time: ms(at), Workload: w})
	}
	socket := func(cookie, cgroup uint64, p flow.Protocol, role flow.Role, local, remote string, at int64) flow.Socket {
		return flow.Socket{
			Cookie: cookie, Cgroup: cgroup, NetNS: 4026532000 + uint32(cgroup), PID: 4000 + uint32(cgroup), Comm: flow.MakeComm("proc"), Protocol: p,
			Role: role, Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote), Start: ms(at),
		}
	}
	count := func(s flow.Socket, sent, received uint64) flow.Socket {
		s.Sent = flow.Counters{Packets: 1 + sent/1448, Payload: sent, Wire: sent + 52*(1+sent/1448)}
		s.Received = flow.Counters{Packets: 1 + received/1448, Payload: received, Wire: received + 52*(1+received/1448)}
		return s
	}
	over := func(s flow.Socket, e flow.End) flow.Socket { s.End = e; return s }

	workload(1, 11, "web", "172.20.0.2")
	workload(1, 12, "db", "172.20.0.3")
	add(flow.KindListen, 2, flow.Socket{Cookie: 90, Cgroup: 12, NetNS: 4026532012, Protocol: flow.TCP, Role: flow.RoleServer,
		Local: netip.MustParseAddrPort("0.0.0.0:3306"), Start: ms(0)})
	// A connection that is older than weir, of which both ends come without a role.
	oldA := socket(21, 11, flow.TCP, flow.RoleUnknown, "172.20.0.2:50000", "172.20.0.3:3306", 3)
	oldB := socket(22, 12, flow.TCP, flow.RoleUnknown, "172.20.0.3:3306", "172.20.0.2:50000", 3)
	oldA.Preexisting, oldB.Preexisting = true, true
	add(flow.KindUpdate, 4, count(oldA, 10_000, 900_000))
	add(flow.KindUpdate, 4, count(oldB, 900_000, 10_000))
	// A visitor comes through a published port; the server's side is told first.
	visitor := socket(31, 1, flow.TCP, flow.RoleClient, "192.168.1.5:41000", "192.168.1.5:8080", 100)
	shop := socket(32, 11, flow.TCP, flow.RoleServer, "172.20.0.2:80", "172.20.0.1:41000", 100)
	visitor.ConnID, shop.ConnID, visitor.ConnectLatency, visitor.RTT = 0xabcdef, 0xabcdef, 80_000, 120_000
	add(flow.KindOpen, 101, shop)
	add(flow.KindOpen, 102, visitor)
	add(flow.KindUpdate, 1000, count(oldA, 10_500, 930_000))
	add(flow.KindClose, 1001, over(count(visitor, 400, 20_000), flow.EndClosed))
	add(flow.KindClose, 1002, over(count(shop, 20_000, 400), flow.EndClosed))
	// A name, asked of the resolver, and the address it gave.
	evs = append(evs, flow.Event{Kind: flow.KindDNS, Time: ms(1100), DNS: &flow.DNSAnswer{
		Cgroup: 11, NetNS: 4026532011, Resolver: netip.MustParseAddrPort("127.0.0.11:53"), Name: "pay.example", TTL: 60,
		Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.7")},
	}})
	add(flow.KindOpen, 1101, socket(41, 11, flow.TCP, flow.RoleClient, "172.20.0.2:51000", "203.0.113.7:443", 1100))
	// A container that a runtime names half a second after its first flow.
	evs = append(evs, flow.Event{Kind: flow.KindCgroupCreated, Time: ms(1200), Cgroup: &flow.Cgroup{ID: 13, Path: "/docker/cron"}})
	add(flow.KindClose, 1210, over(socket(51, 13, flow.TCP, flow.RoleClient, "172.20.0.4:52000", "172.20.0.3:5432", 1209), flow.EndRefused))
	workload(1700, 13, "cron", "172.20.0.4")
	evs = append(evs, flow.Event{Kind: flow.KindDrop, Time: ms(1800), Drop: &flow.Drop{
		NetNS: 4026532011, Protocol: flow.TCP, Source: netip.MustParseAddrPort("203.0.113.7:443"),
		Destination: netip.MustParseAddrPort("172.20.0.2:51000"), Reason: "NETFILTER_DROP", Packets: 2, Bytes: 3000,
	}})
	ping := socket(61, 13, flow.ICMP, flow.RoleClient, "172.20.0.4:0", "172.20.0.3:0", 1850)
	pong := socket(62, 12, flow.ICMP, flow.RoleServer, "172.20.0.3:0", "172.20.0.4:0", 1850)
	ping.ICMPType, pong.ICMPType = 8, 8
	add(flow.KindOpen, 1850, ping)
	add(flow.KindOpen, 1850, pong)
	evs = append(evs, goldenExchanges()...)
	add(flow.KindUpdate, 2000, count(oldA, 11_000, 960_000))
	add(flow.KindUpdate, 2000, count(ping, 64, 64))
	add(flow.KindUpdate, 3100, count(oldB, 990_000, 11_000))

	w, err := Create(golden+".jsonl", Meta{Weir: "0.1.0", Host: "shop", Kernel: "6.12.0", Started: base})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(evs); err != nil {
		t.Fatal(err)
	}
	stats := flow.SourceStats{
		PerCPU: []flow.CPUCounts{{Produced: 14, Delivered: 12, Lost: 2}, {Produced: 10, Delivered: 9, Lost: 1}},
		Lost:   map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: 3}, Ring: 8 << 20,
	}
	if err := w.Close(stats); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(golden+".jsonl", 0o644); err != nil {
		t.Fatal(err)
	}
}

// goldenExchanges: the visitor asks web through the published port, and web asks for
// a name. What is told in full is counted too.
func goldenExchanges() []flow.Event {
	asked := flow.Counted{Protocol: flow.HTTP, Role: flow.RoleServer, Cgroup: 11, Remote: netip.MustParseAddr("172.20.0.1"), Port: 80, Operation: 0xaa}
	lookup := flow.Counted{Protocol: flow.DNS, Role: flow.RoleClient, Cgroup: 11, Remote: netip.MustParseAddr("127.0.0.11"), Port: 53, Operation: 0xbb}
	exchange := func(c flow.Counted, local string, remotePort uint16, p flow.Protocol, status uint16, why flow.Why, at int64) *flow.Exchange {
		return &flow.Exchange{
			Counted: c, Cookie: 32, NetNS: 4026532011, PID: 4011, Comm: flow.MakeComm("proc"), Local: netip.MustParseAddrPort(local), RemotePort: remotePort,
			Transport: p, Status: status, Why: why, Start: ms(at), Latency: 3_000_000, RequestBytes: 120, ResponseBytes: 900,
		}
	}
	first := exchange(asked, "172.20.0.2:80", 41000, flow.TCP, 200, flow.WhyNew, 1900)
	first.HTTP = &flow.HTTPExchange{Method: "GET", Path: "/cart/42", Query: true, Version: 11}
	broken := exchange(asked, "172.20.0.2:80", 41000, flow.TCP, 503, flow.WhyError, 1910)
	broken.HTTP = &flow.HTTPExchange{Method: "GET", Path: "/cart/7", Version: 11}
	name := exchange(lookup, "172.20.0.2:43000", 53, flow.UDP, 3, flow.WhyNew, 1920)
	name.DNS = &flow.DNSExchange{ID: 9, Name: "nobody.example", Type: 1}
	tally := func(c flow.Counted, status uint16, n uint64) *flow.Tally {
		return &flow.Tally{
			Counted: c, Status: status, Bucket: flow.BucketOf(3_000_000), Count: n, Latency: n * 3_000_000, RequestBytes: n * 120, ResponseBytes: n * 900,
		}
	}
	return []flow.Event{
		{Kind: flow.KindExchange, Time: ms(1903), Exchange: first},
		{Kind: flow.KindExchange, Time: ms(1913), CPU: 1, Exchange: broken},
		{Kind: flow.KindExchange, Time: ms(1923), Exchange: name},
		{Kind: flow.KindTally, Time: ms(1990), Tally: tally(asked, 200, 1_204)},
		{Kind: flow.KindTally, Time: ms(1990), Tally: tally(asked, 503, 1)},
		{Kind: flow.KindTally, Time: ms(1990), Tally: tally(lookup, 3, 2)},
	}
}
