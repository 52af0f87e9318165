// Package recordtest makes flow records for the tests of exporters.
package recordtest

import (
	"math"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
)

// Epoch is the time of the records that New makes.
var Epoch = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).UnixNano()

// Web is a Docker container of a Compose project.
func Web() *flow.Workload {
	return &flow.Workload{
		CgroupID: 4711, Cgroup: "/system.slice/docker-web.scope", Runtime: flow.RuntimeDocker,
		Container: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		Name:      "shop-web-1", Namespace: "shop", Image: "nginx:1.29", PID: 4242,
		Owner: flow.Owner{Kind: "ComposeService", Name: "web"},
		Labels: []flow.Label{
			{Source: "container", Key: "com.docker.compose.service", Value: "web"}, {Source: "container", Key: "id", Value: "0123456789ab"},
			{Source: "container", Key: "name", Value: "shop-web-1"}, {Source: "container", Key: "tier", Value: "front"},
		},
	}
}

// Host is the host as a workload.
func Host() *flow.Workload {
	return &flow.Workload{
		CgroupID: 1, Cgroup: "/", Runtime: flow.RuntimeHost, Name: "host",
		Owner:  flow.Owner{Kind: "Host", Name: "host"},
		Labels: []flow.Label{{Source: "reserved", Key: "host"}},
	}
}

// New is a TCP record of kind from Web to a remote database with a DNS name.
func New(id uint64, kind flow.RecordKind) flow.Record {
	r := flow.Record{
		Kind: kind, Time: Epoch + int64(id)*int64(time.Millisecond), Verdict: flow.VerdictForwarded,
		Flow: flow.Flow{
			ID: id, Protocol: flow.TCP,
			Client: flow.Endpoint{
				Addr: netip.MustParseAddrPort("172.18.0.3:40000"), Workload: Web(), Seen: true,
				Cookie: 77, NetNS: 4026532000, PID: 4242, Comm: flow.MakeComm("nginx"),
			},
			Server: flow.Endpoint{Addr: netip.MustParseAddrPort("198.51.100.7:5432"), Names: []string{"db.example.com"}},
			Start:  Epoch, Last: Epoch + int64(id)*int64(time.Millisecond),
			ConnectLatency: 250_000, RTT: 400_000,
		},
	}
	f := &r.Flow
	switch kind {
	case flow.RecordUpdate:
		f.Sent, f.Received = flow.Counters{Packets: 5, Payload: 500, Wire: 800}, flow.Counters{Packets: 9, Payload: 9000, Wire: 9500}
		r.Delta = flow.Delta{Sent: f.Sent, Received: f.Received}
	case flow.RecordEnd:
		f.Ended, f.End = Epoch+3_200_000_000, flow.EndClosed
		f.Sent, f.Received = flow.Counters{Packets: 9, Payload: 1200, Wire: 1700}, flow.Counters{Packets: 300, Payload: 340_000, Wire: 356_000}
	case flow.RecordDrop:
		r.Verdict = flow.VerdictDropped
		f.Drops, f.DropReason = 3, "NETFILTER_DROP"
		r.Drop = &flow.Drop{
			NetNS: f.Client.NetNS, Protocol: flow.TCP, Source: f.Client.Addr, Destination: f.Server.Addr,
			Reason: "NETFILTER_DROP", Packets: 3, Bytes: 180,
		}
	}
	return r
}

// Any draws records of every shape, with hostile strings in them.
func Any() *rapid.Generator[flow.Record] {
	return rapid.Custom(func(t *rapid.T) flow.Record {
		r := rapid.OneOf(rapid.Custom(anyRecord), AnyL7()).Draw(t, "any")
		if r.Kind == flow.RecordStart || r.Kind == flow.RecordEnd || r.L7 != nil && r.L7.Exchange != nil {
			r.More = uint64(rapid.Uint32Range(0, math.MaxUint32-1).Draw(t, "more"))
		}
		return r
	})
}

func anyRecord(t *rapid.T) flow.Record {
	kind := rapid.SampledFrom([]flow.RecordKind{flow.RecordStart, flow.RecordUpdate, flow.RecordEnd, flow.RecordDrop, flow.RecordVerdict}).Draw(t, "kind")
	proto := rapid.SampledFrom([]flow.Protocol{flow.TCP, flow.UDP, flow.ICMP, flow.ICMPv6, flow.SCTP, flow.IGMP, 47, 112}).Draw(t, "protocol")
	six := rapid.Bool().Draw(t, "six") || proto == flow.ICMPv6
	if proto == flow.ICMP || proto == flow.IGMP {
		six = false
	}
	r := flow.Record{
		Kind: kind, Time: instant(t, "time"),
		Verdict: rapid.SampledFrom([]flow.Verdict{flow.VerdictForwarded, flow.VerdictDropped, flow.VerdictError, flow.VerdictAudit}).Draw(t, "verdict"),
		Flow: flow.Flow{
			ID: rapid.Uint64().Draw(t, "id"), Protocol: proto,
			Client: endpoint(t, "client", six, proto.HasPorts()), Server: endpoint(t, "server", six, proto.HasPorts()),
			Start: instant(t, "start"), Last: instant(t, "last"),
			Preexisting:    rapid.Bool().Draw(t, "preexisting"),
			ConnectLatency: rapid.Int64Range(0, 1<<40).Draw(t, "latency"), RTT: rapid.Int64Range(0, 1<<40).Draw(t, "rtt"),
			Retransmits: rapid.Uint32().Draw(t, "retransmits"), Sent: counters(t, "sent"), Received: counters(t, "received"),
		},
		Delta: flow.Delta{Sent: counters(t, "dsent"), Received: counters(t, "dreceived"), Retransmits: rapid.Uint32().Draw(t, "dretransmits")},
	}
	f := &r.Flow
	if kind == flow.RecordEnd {
		f.Ended = instant(t, "ended")
		f.End = flow.End(rapid.IntRange(int(flow.EndClosed), int(flow.EndLost)).Draw(t, "end"))
	}
	if proto == flow.ICMP || proto == flow.ICMPv6 {
		f.ICMPType, f.ICMPCode = rapid.Byte().Draw(t, "type"), rapid.Byte().Draw(t, "code")
	}
	if rapid.Bool().Draw(t, "xlated") {
		f.ServerXlated = address(t, "xlatedserver", six, proto.HasPorts())
		f.ClientXlated = address(t, "xlatedclient", six, proto.HasPorts())
	}
	if kind == flow.RecordVerdict {
		r.Judged = anyJudged(t, six, proto)
	}
	if kind == flow.RecordDrop {
		f.Drops, f.DropReason = rapid.Uint64().Draw(t, "drops"), text(t, "dropreason")
		r.Drop = &flow.Drop{
			NetNS: rapid.Uint32().Draw(t, "dnetns"), Protocol: proto,
			Source: f.Client.Addr, Destination: f.Server.Addr, Reason: f.DropReason,
			Packets: rapid.Uint64().Draw(t, "dpackets"), Bytes: rapid.Uint64().Draw(t, "dbytes"),
		}
		if rapid.Bool().Draw(t, "reply") {
			r.Drop.Source, r.Drop.Destination = r.Drop.Destination, r.Drop.Source
		}
	}
	return r
}

func endpoint(t *rapid.T, name string, six, ports bool) flow.Endpoint {
	e := flow.Endpoint{
		Addr: address(t, name, six, ports), Seen: rapid.Bool().Draw(t, name+"seen"),
		Via:    rapid.SampledFrom([]string{"", "docker-proxy"}).Draw(t, name+"via"),
		Cookie: rapid.Uint64().Draw(t, name+"cookie"), NetNS: rapid.Uint32().Draw(t, name+"netns"), PID: rapid.Uint32().Draw(t, name+"pid"),
		Comm: flow.MakeComm(rapid.SampledFrom([]string{"", "nginx", "a/b c", "kworker/0:1", "\x1b]0;x"}).Draw(t, name+"comm")),
	}
	for range rapid.IntRange(0, 3).Draw(t, name+"names") {
		e.Names = append(e.Names, text(t, name+"name"))
	}
	if rapid.Bool().Draw(t, name+"known") {
		e.Workload = workload(t, name)
	}
	return e
}

func workload(t *rapid.T, name string) *flow.Workload {
	w := &flow.Workload{
		CgroupID: rapid.Uint64().Draw(t, name+"cgroup"), Cgroup: text(t, name+"path"),
		Runtime: rapid.SampledFrom([]flow.Runtime{
			flow.RuntimeDocker, flow.RuntimeCRIO, flow.RuntimeSystemd, flow.RuntimeCgroup, flow.RuntimeHost, flow.RuntimeWorld,
		}).Draw(t, name+"runtime"),
		Name: "n" + text(t, name+"wname"), Namespace: text(t, name+"namespace"), Image: text(t, name+"image"),
		Owner: flow.Owner{Kind: text(t, name+"okind"), Name: text(t, name+"oname")},
		PID:   rapid.Uint32().Draw(t, name+"wpid"), Pending: rapid.Bool().Draw(t, name+"pending"),
	}
	if w.Runtime == flow.RuntimeDocker || w.Runtime == flow.RuntimeCRIO {
		w.Container = rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, name+"container")
	}
	for range rapid.IntRange(0, 2).Draw(t, name+"addrs") {
		w.Addrs = append(w.Addrs, address(t, name+"own", rapid.Bool().Draw(t, name+"own6"), false).Addr())
	}
	for range rapid.IntRange(0, 3).Draw(t, name+"labels") {
		w.Labels = append(w.Labels, flow.Label{
			Source: rapid.SampledFrom([]string{"container", "k8s", "systemd", "reserved"}).Draw(t, name+"lsource"),
			Key:    rapid.SampledFrom([]string{"app", "com.docker.compose.service", "io.kubernetes.container.name", "tier"}).Draw(t, name+"lkey"),
			Value:  text(t, name+"lvalue"),
		})
	}
	return w
}

// text is valid UTF-8 without U+FFFD, so that it survives a protobuf string
// unchanged, but otherwise as hostile as it can be.
func text(t *rapid.T, name string) string {
	return rapid.SampledFrom([]string{"", "web", "a=b:c/d", "\x1b[31m", "x\u202ey", "\u009bZ", "日本", "tab\tnl\n", "\x00"}).Draw(t, name)
}

func instant(t *rapid.T, name string) int64 {
	return Epoch + rapid.Int64Range(-1<<50, 1<<50).Draw(t, name)
}

func counters(t *rapid.T, name string) flow.Counters {
	n := rapid.OneOf(rapid.Uint64Range(0, 1<<20), rapid.Uint64())
	return flow.Counters{Packets: n.Draw(t, name+"p"), Payload: n.Draw(t, name+"b"), Wire: n.Draw(t, name+"w")}
}

func address(t *rapid.T, name string, six, ports bool) netip.AddrPort {
	port := uint16(0)
	if ports {
		port = rapid.Uint16().Draw(t, name+"port")
	}
	n := 4
	if six {
		n = 16
	}
	raw := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, name+"addr")
	ip, _ := netip.AddrFromSlice(raw)
	if ip.Is4In6() {
		ip = netip.MustParseAddr("2001:db8::1")
	}
	return netip.AddrPortFrom(ip, port)
}
