package convert_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

func one(r flow.Record) *flowpb.Flow { return convert.New("node-1", "1.2.3").Flow(&r) }

func TestFlow(t *testing.T) {
	r := recordtest.New(5, flow.RecordStart)
	r.Flow.ClientXlated = netip.MustParseAddrPort("192.0.2.10:61000")
	f := one(r)
	if got := f.GetTime().AsTime(); !got.Equal(time.Unix(0, recordtest.Epoch).Add(5 * time.Millisecond)) {
		t.Errorf("time %v", got)
	}
	if f.GetIP().GetSource() != "172.18.0.3" || f.GetIP().GetSourceXlated() != "192.0.2.10" || f.GetIP().GetDestination() != "198.51.100.7" || f.GetIP().GetIpVersion() != flowpb.IPVersion_IPv4 {
		t.Errorf("IP %v", f.GetIP())
	}
	if tcp := f.GetL4().GetTCP(); tcp.GetSourcePort() != 40000 || tcp.GetDestinationPort() != 5432 || !tcp.GetFlags().GetSYN() {
		t.Errorf("TCP %v", tcp)
	}
	src := f.GetSource()
	if src.GetNamespace() != "shop" || src.GetPodName() != "shop-web-1" || src.GetWorkloads()[0].GetName() != "web" || src.GetWorkloads()[0].GetKind() != "ComposeService" {
		t.Errorf("source %v", src)
	}
	want := []string{"container:com.docker.compose.service=web", "container:id=0123456789ab", "container:name=shop-web-1", "container:tier=front"}
	if !slices.Equal(src.GetLabels(), want) {
		t.Errorf("labels %q", src.GetLabels())
	}
	if f.GetDestination().GetIdentity() != 2 || f.GetDestination().GetPodName() != "" || !slices.Contains(f.GetDestination().GetLabels(), "reserved:world") {
		t.Errorf("destination %v", f.GetDestination())
	}
	// Hubble's text output asks for no names: the service stands for them.
	if f.GetDestinationService().GetName() != "db.example.com" || f.GetDestinationNames()[0] != "db.example.com" || f.GetSourceService() != nil {
		t.Errorf("services %v, %v", f.GetSourceService(), f.GetDestinationService())
	}
	if f.GetIsReply() == nil || f.GetIsReply().GetValue() || f.GetTrafficDirection() != flowpb.TrafficDirection_EGRESS {
		t.Errorf("is_reply %v, direction %v", f.GetIsReply(), f.GetTrafficDirection())
	}
	if f.GetNodeName() != "node-1" || f.GetEmitter().GetName() != "Weir" || f.GetEmitter().GetVersion() != "1.2.3" || f.GetSocketCookie() != 77 || f.GetCgroupId() != 4711 {
		t.Errorf("origin %v %v %d %d", f.GetNodeName(), f.GetEmitter(), f.GetSocketCookie(), f.GetCgroupId())
	}
	if f.GetVerdict() != flowpb.Verdict_FORWARDED || f.GetType() != flowpb.FlowType_L3_L4 || f.GetExtensions() != nil {
		t.Errorf("verdict %v, type %v, extensions %v", f.GetVerdict(), f.GetType(), f.GetExtensions())
	}
}

func TestSummary(t *testing.T) {
	with := func(kind flow.RecordKind, change func(*flow.Record)) flow.Record {
		r := recordtest.New(2000, kind)
		if change != nil {
			change(&r)
		}
		return r
	}
	ended := func(e flow.End) flow.Record {
		return with(flow.RecordEnd, func(r *flow.Record) {
			r.Flow.End, r.Flow.Sent, r.Flow.Received, r.Flow.RTT = e, flow.Counters{}, flow.Counters{}, 0
		})
	}
	for _, tt := range []struct {
		name string
		in   flow.Record
		want string
	}{
		{"start", with(flow.RecordStart, nil), "TCP Flags: SYN"},
		{"found", with(flow.RecordStart, func(r *flow.Record) { r.Flow.Preexisting = true }), "TCP Flags: ACK; older than weir"},
		{"update", with(flow.RecordUpdate, nil), "TCP Flags: ACK; up 2.0s, 500 B sent, 9.0 kB received, RTT 0.4ms, 4.8 kB/s"},
		{"closed", with(flow.RecordEnd, nil), "TCP Flags: FIN; closed after 3.2s, 1.2 kB sent, 340 kB received, RTT 0.4ms"},
		{"retransmits", with(flow.RecordEnd, func(r *flow.Record) { r.Flow.Retransmits, r.Flow.RTT = 3, 0 }),
			"TCP Flags: FIN; closed after 3.2s, 1.2 kB sent, 340 kB received, 3 retransmits"},
		{"refused", ended(flow.EndRefused), "TCP Flags: RST; connection refused after 3.2s"},
		{"timed out", ended(flow.EndTimedOut), "TCP; timed out after 3.2s"},
		{"reset", ended(flow.EndResetRemote), "TCP Flags: RST; reset by server after 3.2s"},
		{"reset by client", ended(flow.EndResetLocal), "TCP Flags: RST; reset by client after 3.2s"},
		{"drop", with(flow.RecordDrop, nil), "NETFILTER_DROP, 3 packets"},
		{"one packet", with(flow.RecordDrop, func(r *flow.Record) { r.Drop.Packets = 1 }), "NETFILTER_DROP, 1 packet"},
		{"udp", with(flow.RecordStart, func(r *flow.Record) { r.Flow.Protocol = flow.UDP }), "UDP"},
		{"ping", with(flow.RecordStart, func(r *flow.Record) { r.Flow.Protocol, r.Flow.ICMPType = flow.ICMP, 8 }), "ICMPv4 EchoRequest"},
		{"icmpv6", with(flow.RecordStart, func(r *flow.Record) { r.Flow.Protocol, r.Flow.ICMPType = flow.ICMPv6, 200 }), "ICMPv6 type 200"},
		{"gre", with(flow.RecordStart, func(r *flow.Record) { r.Flow.Protocol = 47 }), "IP protocol 47"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			//lint:ignore SA1019 deprecated, and the only text that Hubble's CLI shows
			if got := one(tt.in).GetSummary(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestEventType(t *testing.T) {
	to := func(w *flow.Workload) flow.Record {
		r := recordtest.New(1, flow.RecordStart)
		r.Flow.Server.Workload = w
		return r
	}
	drop := func(reason string) flow.Record {
		r := recordtest.New(1, flow.RecordDrop)
		r.Drop.Reason = reason
		return r
	}
	for _, tt := range []struct {
		name      string
		in        flow.Record
		typ, sub  int32
		dropCause flowpb.DropReason
	}{
		{"to a container", to(recordtest.Web()), 4, 0, 0},
		{"to the host", to(recordtest.Host()), 4, 2, 0},
		{"to the world", to(nil), 4, 3, 0},
		{"firewall", drop("NETFILTER_DROP"), 1, 133, flowpb.DropReason_POLICY_DENIED},
		{"closed port", drop("NO_SOCKET"), 1, 178, flowpb.DropReason_SOCKET_LOOKUP_FAILED},
		{"a reason Cilium lacks", drop("TCP_OFOMERGE"), 1, 255, flowpb.DropReason_DROP_REASON_UNKNOWN},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := one(tt.in)
			if e := f.GetEventType(); e.GetType() != tt.typ || e.GetSubType() != tt.sub || f.GetDropReasonDesc() != tt.dropCause {
				t.Errorf("event %v, reason %v", e, f.GetDropReasonDesc())
			}
		})
	}
}

// A dropped answer is shown as an answer, with the ends turned round.
func TestDroppedReply(t *testing.T) {
	r := recordtest.New(1, flow.RecordDrop)
	r.Drop.Source, r.Drop.Destination = r.Drop.Destination, r.Drop.Source
	f := one(r)
	if !f.GetIsReply().GetValue() || f.GetIP().GetSource() != "198.51.100.7" || f.GetDestination().GetPodName() != "shop-web-1" || f.GetL4().GetTCP().GetSourcePort() != 5432 {
		t.Errorf("reply %v: %v", f.GetIsReply(), f)
	}
	if f.GetTrafficDirection() != flowpb.TrafficDirection_INGRESS || f.GetSourceService().GetName() != "db.example.com" || f.GetDestinationService() != nil {
		t.Errorf("direction %v, services %v %v", f.GetTrafficDirection(), f.GetSourceService(), f.GetDestinationService())
	}
}

func TestIdentity(t *testing.T) {
	number := func(w *flow.Workload) uint32 {
		r := recordtest.New(1, flow.RecordStart)
		r.Flow.Client.Workload = w
		return one(r).GetSource().GetIdentity()
	}
	a, again := recordtest.Web(), recordtest.Web()
	// Another replica: other container, same labels.
	again.CgroupID, again.Container, again.Name = 1, strings.Repeat("e", 64), "shop-web-2"
	again.Labels[1].Value, again.Labels[2].Value = "eeeeeeeeeeee", "shop-web-2"
	if number(a) != number(again) || number(a) < 256 || number(a) >= 1<<24 {
		t.Errorf("identities %d and %d of one label set", number(a), number(again))
	}
	other := recordtest.Web()
	other.Labels = other.Labels[:1]
	if number(a) == number(other) {
		t.Error("two label sets, one identity")
	}
	if number(recordtest.Host()) != 1 || number(nil) != 0 {
		t.Errorf("host %d, unknown local %d", number(recordtest.Host()), number(nil))
	}
	// An end that no socket told of is the world's, but where its address can be nobody's out there.
	for addr, want := range map[string]uint32{"192.0.2.1:80": 2, "127.0.0.1:80": 0, "[fe80::1]:80": 0, "[ff02::16]:0": 0, "[2001:db8::1]:80": 2} {
		r := recordtest.New(1, flow.RecordStart)
		r.Flow.Server = flow.Endpoint{Addr: netip.MustParseAddrPort(addr)}
		if got := one(r).GetDestination().GetIdentity(); got != want {
			t.Errorf("%s: identity %d, want %d", addr, got, want)
		}
	}
}

func TestHostProcess(t *testing.T) {
	for comm, want := range map[string]string{"sshd": "sshd", "": "host", "kworker/0:1": "kworker_0:1", "a b\x1b[": "a_b_[", "x\xff": "x_"} {
		r := recordtest.New(1, flow.RecordStart)
		r.Flow.Client.Workload, r.Flow.Client.Comm = recordtest.Host(), flow.MakeComm(comm)
		if got := one(r).GetSource().GetPodName(); got != want {
			t.Errorf("%q: pod_name %q, want %q", comm, got, want)
		}
	}
}

// Protobuf refuses strings that are not UTF-8, and with them the whole stream.
func TestInvalidUTF8(t *testing.T) {
	const bad = "a\xff\xfe"
	w := &flow.Workload{
		Runtime: flow.RuntimeDocker, Container: bad, Name: bad, Namespace: bad, Image: bad, Cgroup: bad,
		Owner: flow.Owner{Kind: bad, Name: bad}, Labels: []flow.Label{{Source: bad, Key: bad, Value: bad}},
	}
	r := recordtest.New(1, flow.RecordDrop)
	r.Flow.Client.Workload, r.Flow.Client.Names, r.Flow.Client.Comm, r.Flow.Client.Via = w, []string{"ok", bad}, flow.MakeComm(bad), bad
	r.Flow.Server.Names, r.Drop.Reason, r.Flow.DropReason = []string{bad}, bad, bad
	c := convert.New(bad, bad)
	f := c.Flow(&r)
	c.Extend(f, &r)
	raw, err := proto.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), bad) {
		t.Error("invalid bytes left as they were")
	}
	if r.Flow.Client.Names[1] != bad {
		t.Error("the record was changed")
	}
	if _, err := f.Extensions.UnmarshalNew(); err != nil {
		t.Errorf("extensions: %v", err)
	}
}

func TestUUID(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for id := range uint64(200) {
		for _, k := range []flow.RecordKind{flow.RecordStart, flow.RecordUpdate, flow.RecordEnd, flow.RecordDrop} {
			r := recordtest.New(id, k)
			u := one(r).GetUuid()
			if !form.MatchString(u) || u != one(r).GetUuid() || seen[u] {
				t.Fatalf("uuid %q: form, stable or unique", u)
			}
			seen[u] = true
		}
	}
}

func TestTransport(t *testing.T) {
	for _, tt := range []struct {
		protocol flow.Protocol
		want     func(*flowpb.Layer4) bool
	}{
		{flow.UDP, func(l *flowpb.Layer4) bool { return l.GetUDP().GetDestinationPort() == 5432 }},
		{flow.SCTP, func(l *flowpb.Layer4) bool { return l.GetSCTP().GetSourcePort() == 40000 }},
		{flow.ICMP, func(l *flowpb.Layer4) bool { return l.GetICMPv4().GetType() == 3 && l.GetICMPv4().GetCode() == 1 }},
		{flow.ICMPv6, func(l *flowpb.Layer4) bool { return l.GetICMPv6().GetType() == 3 }},
		{flow.IGMP, func(l *flowpb.Layer4) bool {
			return l.GetIGMP() != nil && l.GetIGMP().GetGroupAddress() == "224.0.0.22"
		}},
		{112, func(l *flowpb.Layer4) bool { return l.GetVRRP() != nil }},
		{47, func(l *flowpb.Layer4) bool { return l == nil }},
	} {
		r := recordtest.New(1, flow.RecordStart)
		r.Flow.Protocol, r.Flow.ICMPType, r.Flow.ICMPCode = tt.protocol, 3, 1
		if tt.protocol == flow.IGMP {
			r.Flow.Server.Addr = netip.MustParseAddrPort("224.0.0.22:0")
		}
		if got := one(r).GetL4(); !tt.want(got) {
			t.Errorf("protocol %d: %v", tt.protocol, got)
		}
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9960: "10 kB", 340_000: "340 kB", 999_600: "1.0 MB", 1_200_000: "1.2 MB", 1<<64 - 1: "18 EB"} {
		if got := convert.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0µs", 40 * time.Microsecond: "40µs", 400 * time.Microsecond: "0.4ms", 12 * time.Millisecond: "12ms", 999700 * time.Microsecond: "1.0s",
		3200 * time.Millisecond: "3.2s", 59700 * time.Millisecond: "1m0s", 125 * time.Second: "2m5s", 190 * time.Minute: "3h10m", -time.Second: "-1.0s",
	} {
		if got := convert.Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func BenchmarkFlow(b *testing.B) {
	c, r := convert.New("node", "1"), recordtest.New(1, flow.RecordEnd)
	b.ReportAllocs()
	for b.Loop() {
		c.Flow(&r)
	}
}

func BenchmarkExtend(b *testing.B) {
	c, r := convert.New("node", "1"), recordtest.New(1, flow.RecordEnd)
	f := c.Flow(&r)
	b.ReportAllocs()
	for b.Loop() {
		c.Extend(f, &r)
	}
}

func BenchmarkDecode(b *testing.B) {
	c, d, r := convert.New("node", "1"), convert.NewDecoder(), recordtest.New(1, flow.RecordEnd)
	f := c.Flow(&r)
	c.Extend(f, &r)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Record(f); err != nil {
			b.Fatal(err)
		}
	}
}
