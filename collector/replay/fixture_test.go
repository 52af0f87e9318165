package replay

import (
	"bytes"
	"context"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

const base = int64(1_700_000_000_000_000_000)

func ms(n int64) int64 { return base + n*1_000_000 }

var testMeta = Meta{Weir: "1.2", Host: "box", Kernel: "6.12.0", Started: base}

// sample has every kind and every field.
func sample() []flow.Event {
	s := flow.Socket{
		Cookie: 1 << 63, Cgroup: 7, NetNS: 4026531840, PID: 99, Comm: flow.MakeComm("cur\"l\\ä"), Protocol: flow.TCP,
		Role: flow.RoleClient, Local: netip.MustParseAddrPort("10.0.0.2:40000"), Remote: netip.MustParseAddrPort("[fd00::1]:443"),
		Wire:   netip.MustParseAddrPort("[fd00::2]:8443"),
		ConnID: 0xdeadbeefcafe0123, Start: ms(0), ConnectLatency: 1, RTT: 2, Retransmits: 3,
		Sent: flow.Counters{Packets: 1, Payload: 2, Wire: 3}, Received: flow.Counters{Packets: 4, Payload: 5, Wire: 1<<64 - 1},
	}
	closed, old := s, s
	closed.End = flow.EndResetRemote
	old.Preexisting, old.Self, old.Comm = true, true, flow.MakeComm("\xff\xfe")
	ping := flow.Socket{
		Cookie: 2, Protocol: flow.ICMPv6, ICMPType: 128, ICMPCode: 1,
		Local: netip.MustParseAddrPort("[fd00::2]:0"), Remote: netip.MustParseAddrPort("[::ffff:10.0.0.1]:0"),
	}
	listen := flow.Socket{Cookie: 3, Protocol: flow.TCP, Role: flow.RoleServer, Local: netip.MustParseAddrPort("0.0.0.0:80")}
	return []flow.Event{
		{Kind: flow.KindWorkload, Time: ms(0), Workload: &flow.Workload{
			CgroupID: 7, Cgroup: "/docker/\xffabc", Runtime: flow.RuntimeDocker, Container: "abc", Name: "web\x1b[31m", Namespace: "shop",
			Image: "nginx:1", Owner: flow.Owner{Kind: "ComposeService", Name: "web"}, PID: 12, Pending: true,
			Labels: []flow.Label{{Source: "container", Key: "a", Value: "b"}, {Source: "reserved", Key: "world"}},
			Addrs:  []netip.Addr{netip.MustParseAddr("10.0.0.2")},
		}},
		{Kind: flow.KindOpen, CPU: 3, Time: ms(1), Socket: s},
		{Kind: flow.KindUpdate, Time: ms(2), Socket: old},
		{Kind: flow.KindOpen, Time: ms(3), Socket: ping},
		{Kind: flow.KindListen, Time: ms(4), Socket: listen},
		{Kind: flow.KindDrop, Time: ms(5), Drop: &flow.Drop{
			NetNS: 1, Protocol: flow.UDP, Source: netip.MustParseAddrPort("10.0.0.2:1"), Destination: netip.MustParseAddrPort("10.0.0.3:2"),
			Reason: "NO_SOCKET", Packets: 3, Bytes: 99,
		}},
		{Kind: flow.KindCgroupCreated, Time: ms(6), Cgroup: &flow.Cgroup{ID: 9, Path: "/a b/\x00c"}},
		{Kind: flow.KindCgroupRemoved, Time: ms(7), Cgroup: &flow.Cgroup{ID: 9, Path: "/a"}},
		{Kind: flow.KindDNS, Time: ms(8), DNS: &flow.DNSAnswer{
			Cgroup: 7, NetNS: 1, Resolver: netip.MustParseAddrPort("127.0.0.11:53"), Name: "example.com",
			Addrs: []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("2001:db8::1")}, CNAMEs: []string{"a.example"},
			TTL: 300, RCode: 3,
		}},
		{Kind: flow.KindExchange, Time: ms(10), CPU: 1, Exchange: sampleHTTP()},
		{Kind: flow.KindExchange, Time: ms(11), Exchange: sampleLookup()},
		{Kind: flow.KindExchange, Time: ms(12), Exchange: sampleTLS()},
		{Kind: flow.KindTally, Time: ms(13), CPU: 2, Tally: sampleTally()},
		{Kind: flow.KindVerdict, Time: ms(13), Judged: sampleJudged()},
		{Kind: flow.KindVerdict, Time: ms(13), Judged: &flow.Judged{
			Cgroup: 1, Protocol: flow.UDP, Local: netip.AddrPortFrom(netip.Addr{}, 5), Remote: netip.MustParseAddrPort("[fd00::1]:53"), Port: 53, Count: 1,
		}},
		{Kind: flow.KindTally, Time: ms(13), Tally: &flow.Tally{
			Counted: flow.Counted{Protocol: flow.DNS, Role: flow.RoleClient}, Status: flow.NoAnswer, Count: 1,
		}},
		{Kind: flow.KindClose, Time: ms(14), Socket: closed},
	}
}

func sampleStats() flow.SourceStats {
	return flow.SourceStats{
		PerCPU: []flow.CPUCounts{{Produced: 12, Delivered: 10, Lost: 2}},
		Lost:   map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: 2, {Stage: "reader", Reason: "decode"}: 1},
		Unread: 8, Ring: 1 << 20, Tables: []flow.TableFill{{Name: "flows", Entries: 5, Max: 9}},
		Unseen: []flow.Unseen{{Protocol: flow.HTTP, Reason: "gap", Stretches: 3, Bytes: 1 << 40}, {Protocol: flow.TLS, Reason: "busy\xff"}},
	}
}

// written is a whole recording of the events.
func written(t testing.TB, events []flow.Event) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, testMeta)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(events); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(sampleStats()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gather is an Out that keeps what is sent.
type gather struct {
	events []flow.Event
	sent   atomic.Int64 // events, for who looks on meanwhile
	full   bool         // it has no room: Offer drops, Send waits
}

func (g *gather) Batch() []flow.Event { return make([]flow.Event, 0, 4) }

func (g *gather) Offer(batch []flow.Event) {
	if !g.full {
		g.events = append(g.events, batch...)
	}
}

func (g *gather) Send(ctx context.Context, batch []flow.Event) error {
	if g.full {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	g.sent.Add(int64(len(batch)))
	g.events = append(g.events, batch...)
	return nil
}

// read gives the events of a recording, and how reading it ended.
func read(t testing.TB, recording []byte) ([]flow.Event, *Source, error) {
	t.Helper()
	s, err := NewSource(bytes.NewReader(recording), "test", Options{})
	if err != nil {
		return nil, nil, err
	}
	var g gather
	err = s.Run(t.Context(), &g)
	return g.events, s, err
}
