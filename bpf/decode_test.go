package bpf

import (
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed79351815/weir/collector/flow"
	"golang.org/x/net/dns/dnsmessage"
)

// C asserts the same sizes; a change on one side alone fails here.
func TestWireLayout(t *testing.T) {
	for _, s := range []struct {
		name string
		size uintptr
		want uintptr
	}{
		{"event_hdr", unsafe.Sizeof(sharedEventHdr{}), 24},
		{"sock_report", unsafe.Sizeof(sharedSockReport{}), 200},
		{"sock_event", unsafe.Sizeof(sharedSockEvent{}), 224},
		{"cgroup_event", unsafe.Sizeof(sharedCgroupEvent{}), 544},
		{"dns_event", unsafe.Sizeof(sharedDnsEvent{}), 1296},
		{"flow_key", unsafe.Sizeof(sharedFlowKey{}), 56},
		{"flow_value", unsafe.Sizeof(sharedFlowValue{}), 128},
		{"drop_key", unsafe.Sizeof(sharedDropKey{}), 56},
		{"drop_value", unsafe.Sizeof(sharedDropValue{}), 16},
		{"cpu_stats", unsafe.Sizeof(sharedCpuStats{}), 72},
	} {
		if s.size != s.want {
			t.Errorf("%s has %d bytes, C says %d", s.name, s.size, s.want)
		}
	}
	if len(lossNames) > int(sharedLossLOSS_MAX) {
		t.Errorf("%d names of losses, the kernel counts %d", len(lossNames), sharedLossLOSS_MAX)
	}
}

// bytesOf is a wire struct as the ring gives it.
func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

func endpoint(s string) (e sharedEndpoint) {
	ap := netip.MustParseAddrPort(s)
	e.Addr, e.Port = ap.Addr().As16(), ap.Port()
	return e
}

func sockEvent(kind sharedEventKind) *sharedSockEvent {
	e := &sharedSockEvent{Hdr: sharedEventHdr{Time: 5000, Seq: 7, Cpu: 3, Kind: uint16(kind)}}
	e.Sock = sharedSockReport{
		Cookie: 11, Cgroup: 12, Start: 4000, ConnectLatency: 900, Netns: 13, Pid: 14, RttUs: 15, Retransmits: 16,
		Sent: sharedCounters{Packets: 1, Payload: 2, Wire: 3}, Received: sharedCounters{Packets: 4, Payload: 5, Wire: 6},
		Local: endpoint("10.0.0.1:40000"), Remote: endpoint("[2001:db8::1]:80"),
		IsnSent: 100, IsnReceived: 200,
		Protocol: 6, Role: uint8(sharedSockRoleROLE_CLIENT), End: uint8(flow.EndRefused), Flags: uint8(sharedSockFlagFLAG_ESTABLISHED),
	}
	copy(e.Sock.Comm[:], "curl")
	return e
}

func TestDecodeSocket(t *testing.T) {
	d := decoder{offset: 1_000_000, listeners: listeners{}}
	var ev flow.Event
	ok, err := d.event(bytesOf(sockEvent(sharedEventKindEVENT_SOCK_CLOSE)), &ev)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	want := flow.Event{Kind: flow.KindClose, CPU: 3, Time: 1_005_000, Socket: flow.Socket{
		Cookie: 11, Cgroup: 12, NetNS: 13, PID: 14, Comm: flow.MakeComm("curl"), Protocol: flow.TCP, Role: flow.RoleClient,
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("[2001:db8::1]:80"),
		ConnID: 101<<32 | 200, Start: 1_004_000, End: flow.EndRefused, ConnectLatency: 900, RTT: 15_000, Retransmits: 16,
		Sent: flow.Counters{Packets: 1, Payload: 2, Wire: 3}, Received: flow.Counters{Packets: 4, Payload: 5, Wire: 6},
	}}
	if ev != want {
		t.Errorf("got  %+v\nwant %+v", ev, want)
	}
}

func TestConnIDIsTheSameAtBothEnds(t *testing.T) {
	// Sequence numbers wrap; the client's SYN counts as an acknowledged byte.
	for _, isn := range [][2]uint32{{1, 2}, {0xffffffff, 0}, {0, 0xffffffff}, {0x12345678, 0x9abcdef0}} {
		client, server := isn[0], isn[1]
		a := connID(flow.RoleClient, client, server+1)
		b := connID(flow.RoleServer, server+1, client+1)
		if a != b {
			t.Errorf("isn %x and %x: %x at the client, %x at the server", client, server, a, b)
		}
	}
	if connID(flow.RoleUnknown, 1, 2) != 0 {
		t.Error("a socket of unknown role has a connection")
	}
}

func TestListenersTellRolesAndOwners(t *testing.T) {
	d := decoder{listeners: listeners{}}
	listening := sockEvent(sharedEventKindEVENT_SOCK_LISTEN).Sock
	listening.Local, listening.Role, listening.Pid = endpoint("[::]:8080"), uint8(sharedSockRoleROLE_LISTENER), 77
	d.listeners.add(&listening)
	for _, tc := range []struct {
		name          string
		local, remote string
		netns         uint32
		role          flow.Role
		pid           uint32
	}{
		{"accepted", "10.0.0.1:8080", "10.0.0.2:50000", 13, flow.RoleServer, 77},
		{"to a listener beside it", "127.0.0.1:9000", "127.0.0.1:8080", 13, flow.RoleClient, 0},
		{"another namespace, higher port", "10.0.0.1:50000", "10.0.0.2:8080", 99, flow.RoleClient, 0},
		{"another namespace, lower port", "10.0.0.1:80", "10.0.0.2:8080", 99, flow.RoleServer, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := sharedSockReport{Protocol: 6, Netns: tc.netns, Local: endpoint(tc.local), Remote: endpoint(tc.remote)}
			var s flow.Socket
			d.socket(&r, &s)
			if s.Role != tc.role || s.PID != tc.pid {
				t.Errorf("role %v, pid %d; want %v, %d", s.Role, s.PID, tc.role, tc.pid)
			}
		})
	}
}

func TestDecodeRefusesWhatIsNoEvent(t *testing.T) {
	good := bytesOf(sockEvent(sharedEventKindEVENT_SOCK_OPEN))
	unknown := sockEvent(99)
	for name, raw := range map[string][]byte{
		"empty": nil, "short header": good[:20], "short": good[:len(good)-8], "long": append(append([]byte{}, good...), make([]byte, 8)...),
		"unknown kind": bytesOf(unknown),
	} {
		var ev flow.Event
		if ok, err := (&decoder{listeners: listeners{}}).event(raw, &ev); ok || err == nil {
			t.Errorf("%s: taken as %+v", name, ev)
		}
	}
}

func TestDecodeCgroup(t *testing.T) {
	e := &sharedCgroupEvent{Hdr: sharedEventHdr{Kind: uint16(sharedEventKindEVENT_CGROUP_RMDIR)}, Id: 9}
	copy(e.Path[:], "/docker/abc")
	var ev flow.Event
	if ok, err := (&decoder{}).event(bytesOf(e), &ev); !ok || err != nil || ev.Kind != flow.KindCgroupRemoved || *ev.Cgroup != (flow.Cgroup{ID: 9, Path: "/docker/abc"}) {
		t.Errorf("%v %v %+v", ok, err, ev)
	}
}

// message builds a DNS response.
func message(t testing.TB, name string, answers ...dnsmessage.Resource) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1, Response: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
		Answers:   answers,
	}
	raw, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func record(name string, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl}, Body: body}
}

func TestParseDNS(t *testing.T) {
	raw := message(t, "WWW.Example.com.",
		record("www.example.com.", 300, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("edge.example.net.")}),
		record("edge.example.net.", 60, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}),
		record("edge.example.net.", 30, &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}),
		record("edge.example.net.", 5, &dnsmessage.TXTResource{TXT: []string{"x"}}))
	a, ok := parseDNS(raw)
	if !ok || a.Name != "www.example.com" || len(a.Addrs) != 2 || a.TTL != 30 || len(a.CNAMEs) != 1 || a.CNAMEs[0] != "edge.example.net" {
		t.Errorf("%v %+v", ok, a)
	}
	// Cut off by the capture's length: what came before counts.
	if a, ok := parseDNS(raw[:len(raw)-20]); !ok || len(a.Addrs) == 0 {
		t.Errorf("cut off: %v %+v", ok, a)
	}
	query := append([]byte{}, raw...)
	query[2] &^= 0x80
	if _, ok := parseDNS(query); ok {
		t.Error("a query was taken for an answer")
	}
	many := make([]dnsmessage.Resource, 40)
	for i := range many {
		many[i] = record("many.example.", 60, &dnsmessage.AResource{A: [4]byte{192, 0, 2, byte(i)}})
	}
	if a, ok := parseDNS(message(t, "many.example.", many...)); !ok || len(a.Addrs) != maxAnswerAddrs {
		t.Errorf("many addresses: %v, %d kept", ok, len(a.Addrs))
	}
}

func FuzzDNS(f *testing.F) {
	f.Add(message(f, "a.example.", record("a.example.", 1, &dnsmessage.AResource{})))
	f.Add([]byte(strings.Repeat("\xc0\x0c", 100)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := parseDNS(raw)
		if ok != (a != nil) {
			t.Fatal(ok, a)
		}
		if ok && (len(a.Name) > 1024 || len(a.Addrs) > maxAnswerAddrs || len(a.CNAMEs) > maxAnswerCNAMEs) {
			t.Fatalf("unbounded: %+v", a)
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add(bytesOf(sockEvent(sharedEventKindEVENT_SOCK_OPEN)))
	f.Add(bytesOf(lookupEvent()))
	f.Add(bytesOf(&sharedDnsEvent{Hdr: sharedEventHdr{Kind: uint16(sharedEventKindEVENT_DNS)}, Len: 1e9}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		// The ring gives aligned samples; so does this.
		aligned := make([]uint64, len(raw)/8+1)
		b := unsafe.Slice((*byte)(unsafe.Pointer(&aligned[0])), len(raw))
		copy(b, raw)
		d := decoder{listeners: listeners{}}
		var ev flow.Event
		if ok, err := d.event(b, &ev); ok && err != nil {
			t.Fatal("an event and an error")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := bytesOf(sockEvent(sharedEventKindEVENT_SOCK_CLOSE))
	d := decoder{listeners: listeners{}}
	var ev flow.Event
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := d.event(raw, &ev); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
