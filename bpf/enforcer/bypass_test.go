package enforcer

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// way is one way round a policy: it works without one, and does not with one.
type way struct {
	way     role.Way
	server  role.Name // whose account shows that something arrived
	v6      bool
	proto   int  // of a raw server
	child   bool // from a cgroup that the workload made below its own
	refused string
	wide    bool // to an address of its own, which a rule about the server does not speak of
}

var ways = []way{
	{way: role.Plain, server: role.TCPServer, refused: "denied"},
	{way: role.Plain, server: role.TCPServer, v6: true, refused: "denied"},
	{way: role.Plain, server: role.TCPServer, child: true, refused: "denied"},
	{way: role.Mapped, server: role.TCPServer, refused: "denied"},
	{way: role.Reconnected, server: role.TCPServer, refused: "denied"},
	{way: role.FastOpen, server: role.TCPServer, refused: "denied"},
	{way: role.Multipath, server: role.TCPServer, refused: "denied"},
	{way: role.BoundDevice, server: role.TCPServer, refused: "denied"},
	{way: role.Ring, server: role.TCPServer, refused: "denied"},
	{way: role.Datagrammed, server: role.UDPServer, refused: "denied"},
	{way: role.Datagrammed, server: role.UDPServer, child: true, refused: "denied"},
	{way: role.SendTo, server: role.UDPServer, refused: "denied"},
	{way: role.SendTo, server: role.UDPServer, v6: true, refused: "denied"},
	{way: role.MappedSendTo, server: role.UDPServer, refused: "denied"},
	{way: role.SendToOther, server: role.UDPServer, refused: "denied"},
	{way: role.DatagramAgain, server: role.UDPServer, refused: "denied"},
	{way: role.Large, server: role.UDPServer, refused: "denied"},
	{way: role.Large, server: role.UDPServer, v6: true, refused: "denied"},
	{way: role.Options, server: role.UDPServer, v6: true, refused: "denied"},
	{way: role.Raw, server: role.UDPServer, refused: "denied"},
	{way: role.Raw, server: role.UDPServer, child: true, refused: "denied"},
	{way: role.RawSource, server: role.UDPServer, refused: "denied"},
	{way: role.Broadcast, server: role.UDPServer, refused: "denied", wide: true},
	{way: role.Multicast, server: role.UDPServer, v6: true, refused: "denied", wide: true},
	{way: role.RawProtocol, server: role.RawServer, proto: 47, refused: "denied"},
}

func (v way) String() string {
	s := string(v.way)
	if v.v6 {
		s += " IPv6"
	}
	if v.child {
		s += " from a child cgroup"
	}
	return s
}

// try sends by the way from one host to another and tells what the sender and the
// receiver say.
func (v way) try(w *town, from *lab.Host, to, other string) (failed string, arrived uint64) {
	w.t.Helper()
	spec := role.Spec{Role: v.server, Address: lab.Listen(0), Count: max(v.proto, 1)}
	if v.server == role.RawServer {
		spec.Address = "0.0.0.0:0"
	}
	p := w.hosts[to].Play(spec)
	address := func(player *lab.Player, h *lab.Host) string {
		if v.v6 {
			return netip.AddrPortFrom(h.V6, player.Addr.Port()).String()
		}
		return netip.AddrPortFrom(h.V4, player.Addr.Port()).String()
	}
	sneak := role.Spec{Role: role.Sneak, Way: v.way, Address: address(p, w.hosts[to])}
	friend := w.hosts[other].Play(role.Spec{Role: v.server, Address: spec.Address, Count: spec.Count})
	defer friend.Stop()
	sneak.Path = address(friend, w.hosts[other])
	for reason := range from.Account(sneak).Failed {
		failed = reason
	}
	return failed, p.Stop().Received
}

// Every way round works without a policy, or it would show nothing, and none
// works with one: neither by default deny nor by a deny of the destination alone.
func TestWaysRoundAreClosed(t *testing.T) {
	w := newTown(t, "client", "server", "friend")
	child := *w.hosts["client"]
	child.Name, child.CgroupPath = "child", filepath.Join(child.CgroupPath, "child")
	if err := os.Mkdir(child.CgroupPath, 0o755); err != nil {
		t.Fatal(err)
	}
	sender := func(v way) *lab.Host {
		if v.child {
			return &child
		}
		return w.hosts["client"]
	}
	w.apply(nil)
	for _, v := range ways {
		if failed, arrived := v.try(w, sender(v), "server", "friend"); failed != "" || arrived == 0 {
			t.Errorf("%s without a policy: failed %q, %d bytes arrived", v, failed, arrived)
		}
	}
	for name, set := range map[string]policy.Set{
		"default deny": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("friend"), 0, 0, policy.Allow)}},
		"deny":         {Entries: []policy.Entry{both(policy.Egress, w.identity("server"), 0, 0, policy.Deny)}},
	} {
		w.apply(map[string]policy.Set{"client": set})
		for _, v := range ways {
			if v.wide && name == "deny" {
				continue
			}
			failed, arrived := v.try(w, sender(v), "server", "friend")
			if failed != v.refused || arrived != 0 {
				t.Errorf("%s by %s: failed %q, want %q; %d bytes arrived", name, v, failed, v.refused, arrived)
			}
			if told := w.verdicts(); len(told) == 0 {
				t.Errorf("%s by %s: nobody was told", name, v)
			}
		}
	}
}

// A fragment alone has no ports: it is judged by rules for every port.
func TestFragmentsWithoutPorts(t *testing.T) {
	w := newTown(t, "client", "server", "friend")
	send := func() string {
		for reason := range w.hosts["client"].Account(role.Spec{Role: role.Sneak, Way: role.RawTail, Address: fmt.Sprintf("%s:99", w.hosts["server"].V4)}).Failed {
			return reason
		}
		return ""
	}
	w.apply(nil)
	if got := send(); got != "" {
		t.Errorf("without a policy: %q", got)
	}
	w.apply(map[string]policy.Set{"client": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("server"), udp, 99, policy.Allow)}}})
	if got := send(); got != "denied" {
		t.Errorf("where one port is allowed: %q", got)
	}
}
