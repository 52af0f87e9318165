package baseline

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
)

// TestSides holds what is learned to what the kernel judges: a client by the
// address that it asks for, a server by the socket that came.
func TestSides(t *testing.T) {
	web, db, unit := flowtest.Service(11, "shop", "web", 1), flowtest.Service(13, "shop", "db", 1), flowtest.Unit(41, "sshd.service")
	sshd := Key{"Unit", "", "sshd.service"}
	addressed := func(a string) Peer { return Peer{Kind: PeerAddress, Addr: netip.MustParseAddr(a)} }
	guessed := flow.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:80"), Workload: web}
	shared := flowtest.Container(21, "cache") // on the host's network
	shared.Addrs = nil
	for _, tc := range []struct {
		name           string
		protocol       flow.Protocol
		client, server flow.Endpoint
		xlated         string
		out, in        Peer // in: the zero Peer where there is no such side
		served         string
	}{
		{"two containers", flow.TCP, flowtest.Local(web, 1), flowtest.Local(db, 80), "", local(Key{"ComposeService", "shop", "db"}), local(Key{"ComposeService", "shop", "web"}), "tcp/80"},
		{"a unit is asked by the host's address", flow.TCP, flowtest.Local(web, 1), flowtest.Local(unit, 22), "", addressed("192.0.2.10"), local(Key{"ComposeService", "shop", "web"}), "tcp/22"},
		{"a unit asks", flow.TCP, flowtest.Local(unit, 1), flowtest.Local(db, 80), "", local(Key{"ComposeService", "shop", "db"}), local(sshd), "tcp/80"},
		{"a unit pings", flow.ICMP, flowtest.Local(unit, 0), flowtest.Local(db, 0), "", local(Key{"ComposeService", "shop", "db"}), addressed("192.0.2.10"), "icmp/8"},
		{"a container on the host's network is asked", flow.TCP, flowtest.Local(web, 1), flowtest.Local(shared, 80), "", addressed("192.0.2.10"), local(Key{"ComposeService", "shop", "web"}), "tcp/80"},
		{"a published port", flow.TCP, flowtest.Local(web, 1), flow.Endpoint{Addr: netip.MustParseAddrPort("192.0.2.10:8080"), Workload: db, Seen: true}, "172.18.0.13:80",
			addressed("192.0.2.10"), local(Key{"ComposeService", "shop", "web"}), "tcp/80"},
		{"loopback is the host's", flow.TCP, flowtest.Local(web, 1), flow.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:80"), Workload: web, Seen: true}, "",
			local(HostKey), local(Key{"ComposeService", "shop", "web"}), "tcp/80"},
		{"nobody reported loopback", flow.TCP, flowtest.Local(web, 1), guessed, "", local(HostKey), Peer{}, ""},
		{"a runtime's resolver", flow.UDP, flowtest.Local(web, 1), flow.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.11:53"), Workload: unit, Seen: true}, "127.0.0.11:41234",
			local(HostKey), local(Key{"ComposeService", "shop", "web"}), "udp/any"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := flow.Flow{Protocol: tc.protocol, Client: tc.client, Server: tc.server}
			if tc.protocol == flow.ICMP {
				f.ICMPType = 8
			}
			if tc.xlated != "" {
				f.ServerXlated = netip.MustParseAddrPort(tc.xlated)
			}
			sides, n := Sides(&f)
			if want := map[bool]int{true: 1, false: 2}[tc.in == Peer{}]; n != want {
				t.Fatalf("%d sides, want %d", n, want)
			}
			if s := sides[0]; !s.Egress || s.Peer != tc.out || s.Addr != tc.server.Addr.Addr() {
				t.Errorf("egress %+v, want the peer %v", s, tc.out)
			}
			if s := sides[1]; n == 2 && (s.Egress || s.Peer != tc.in || s.Service.String() != tc.served) {
				t.Errorf("ingress %+v, want the peer %v and %s", s, tc.in, tc.served)
			}
		})
	}
}

func TestHostKey(t *testing.T) {
	if k, ok := KeyOf(flowtest.Host()); !ok || k != HostKey {
		t.Errorf("the host's key is %+v, %v", k, ok)
	}
	for _, w := range []*flow.Workload{nil, {Name: "x", Pending: true}, {Name: "cgroup-7", Runtime: flow.RuntimeCgroup}, {Name: "w", Runtime: flow.RuntimeWorld}} {
		if k, ok := KeyOf(w); ok {
			t.Errorf("%+v has the key %v", w, k)
		}
	}
}

func TestTextOfKeys(t *testing.T) {
	for _, k := range []Key{HostKey, {"Unit", "a/b", "c%d e"}, {"Container", "", "\u202e\n"}} {
		b, _ := k.MarshalText()
		var back Key
		if err := back.UnmarshalText(b); err != nil || back != k {
			t.Errorf("%q is read as %+v (%v), want %+v", b, back, err, k)
		}
	}
	b := learn(t, slices.Concat(
		flowtest.Flow(1, flow.TCP, flowtest.Local(flowtest.Service(11, "shop", "web", 1), 1), flowtest.Remote("198.51.100.7", 443)),
		flowtest.Flow(2, flow.TCP, flowtest.Local(flowtest.Service(14, "blog", "web", 1), 1), flowtest.Remote("198.51.100.7", 443)),
	))
	for text, want := range map[string]int{"shop/web": 1, "web": 2, "db": 0} {
		if got := b.Find(text); len(got) != want {
			t.Errorf("%q finds %v, want %d", text, got, want)
		}
	}
}
