package enforcer

import (
	"fmt"

	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// newOccupiedTown has a process on each host, as containers have: by it the
// host's network namespace is found.
func newOccupiedTown(t *testing.T, classic bool, hosts ...string) *town {
	w := newTown(t, hosts...)
	w.devices.classic = classic
	for _, h := range w.hosts {
		h.Play(role.Spec{Role: role.UDPServer, Address: "127.0.0.1:0"})
	}
	return w
}

// eachKind runs a test with tcx, where the kernel has it, and with filters.
func eachKind(t *testing.T, test func(t *testing.T, classic bool)) {
	kinds := []bool{true}
	if _, err := link.QueryPrograms(link.QueryOptions{Target: 1, Attach: ebpf.AttachTCXEgress}); err == nil {
		kinds = []bool{false, true}
	}
	for _, classic := range kinds {
		t.Run(fmt.Sprintf("classic=%v", classic), func(t *testing.T) { test(t, classic) })
	}
}

var frameWays = []way{
	{way: role.Frame, server: role.UDPServer},
	{way: role.Frame, server: role.UDPServer, v6: true},
	{way: role.FrameCooked, server: role.UDPServer},
	{way: role.FrameCooked, server: role.UDPServer, v6: true},
	{way: role.FrameTagged, server: role.UDPServer},
	{way: role.FrameTagged, server: role.UDPServer, v6: true},
	{way: role.FrameMislabeled, server: role.UDPServer},
	{way: role.FrameExtended, server: role.UDPServer, v6: true},
}

var (
	toFriendAlone = func(w *town) policy.Set {
		return policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("friend"), 0, 0, policy.Allow)}}
	}
	notToServer = func(w *town) policy.Set {
		return policy.Set{Entries: []policy.Entry{both(policy.Egress, w.identity("server"), udp, 0, policy.Deny)}}
	}
)

// storm sends to a host by every way there is and tells what failed, by way, and
// how many bytes arrived.
func (w *town) storm(to string, ways []way, check func(v way, failed string)) (arrived uint64) {
	w.t.Helper()
	p := w.hosts[to].Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(0)})
	for _, v := range ways {
		address := p.On(w.hosts[to].V4)
		if v.v6 {
			address = p.On(w.hosts[to].V6)
		}
		check(v, w.sneak(v.way, address))
	}
	return p.Stop().Received
}

const frameBytes = 32 // what a frame's datagram carries

// Frames of packet sockets reach the server without a policy, and do not with
// one: neither by default deny, nor by a deny of the client or of everyone. Those
// to whom is allowed pass.
func TestDeviceFramesAreJudged(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := newOccupiedTown(t, classic, "client", "server", "friend")
		pass := func(v way, failed string) {
			if failed != "" {
				t.Errorf("%s: failed %q", v, failed)
			}
		}
		w.apply(nil)
		if arrived := w.storm("server", frameWays, pass); arrived != uint64(frameBytes*len(frameWays)) {
			t.Errorf("without a policy %d bytes of %d frames arrived", arrived, len(frameWays))
		}
		for name, sets := range map[string]map[string]policy.Set{
			"default deny":     {"client": toFriendAlone(w)},
			"deny":             {"client": notToServer(w)},
			"deny of everyone": {"": notToServer(w)},
		} {
			w.apply(sets)
			arrived := w.storm("server", frameWays, func(v way, failed string) {
				if failed != "dropped" {
					t.Errorf("%s by %s: %q", name, v, failed)
				}
				told := w.verdicts()["client egress"]
				if told == nil || !told.Denied {
					t.Errorf("%s by %s: told %+v", name, v, told)
				} else if v.way != role.FrameExtended && (told.Protocol != udp || told.Port == 0 || told.Identity != w.identity("server")) {
					t.Errorf("%s by %s: told of protocol %d, port %d, peer %d", name, v, told.Protocol, told.Port, told.Identity)
				}
			})
			if arrived != 0 {
				t.Errorf("%s: %d bytes arrived", name, arrived)
			}
			if arrived := w.storm("friend", frameWays[:2], pass); arrived != 2*frameBytes {
				t.Errorf("%s, to the friend: %d bytes arrived", name, arrived)
			}
		}
	})
}

// sneak sends once from the client.
func (w *town) sneak(v role.Way, address string) string {
	w.t.Helper()
	return w.reach("client", role.Spec{Role: role.Sneak, Way: v, Address: address})
}

func TestDeviceFramesAreAudited(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server", "friend")
	set := policy.Set{Egress: policy.Posture{Audit: true}}
	w.apply(map[string]policy.Set{"client": set})
	ways := append([]way{{way: role.FrameBypass, server: role.UDPServer}}, frameWays...)
	arrived := w.storm("server", ways, func(v way, failed string) {
		if failed != "" {
			t.Errorf("%s: failed %q", v, failed)
		}
		if told := w.verdicts()["client egress"]; told == nil || told.Denied {
			t.Errorf("%s: told %+v", v, told)
		}
	})
	if arrived != uint64(frameBytes*len(ways)) {
		t.Errorf("%d bytes of %d frames arrived", arrived, len(ways))
	}
}

// Frames that are not IP are for nobody whom a rule could name.
func TestDeviceFramesWithoutIP(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server", "friend")
	own, others := fmt.Sprintf("%s:9", w.hosts["client"].V4), fmt.Sprintf("%s:9", w.hosts["server"].V4)
	everyPeer := policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, policy.IdentityAny, 0, 0, policy.Allow)}}
	for name, c := range map[string]struct {
		set                             policy.Set
		foreign, announceOwn, announced string
	}{
		"default deny":  {toFriendAlone(w), "dropped", "", "dropped"},
		"deny":          {notToServer(w), "", "", ""},
		"every peer":    {everyPeer, "", "", ""},
		"nothing ruled": {policy.Set{Ingress: enforced}, "", "", ""},
	} {
		w.apply(map[string]policy.Set{"client": c.set})
		if got := w.sneak(role.FrameForeign, others); got != c.foreign {
			t.Errorf("%s, neither IP nor ARP: %q, want %q", name, got, c.foreign)
		}
		w.verdicts()
		if got := w.sneak(role.FrameAnnounce, own); got != c.announceOwn {
			t.Errorf("%s, its own address: %q, want %q", name, got, c.announceOwn)
		}
		if told := w.verdicts(); len(told) != 0 {
			t.Errorf("%s, its own address: told %v", name, told)
		}
		if got := w.sneak(role.FrameAnnounce, others); got != c.announced {
			t.Errorf("%s, another's address: %q, want %q", name, got, c.announced)
		}
		if told := w.verdicts()["client egress"]; c.announced != "" && (told == nil || told.Peer.Addr() != w.hosts["server"].V4) {
			t.Errorf("%s, another's address: told %+v", name, told)
		}
	}
}

// A fragment alone has no ports, and a loopback address on a wire is for a
// neighbour that takes it for its own.
func TestDeviceFramesToNoPort(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server")
	server := fmt.Sprintf("%s:99", w.hosts["server"].V4)
	for name, c := range map[string]struct {
		entry          policy.Entry
		tail, loopback string
	}{
		"one port":  {both(policy.Egress, w.identity("server"), udp, 99, policy.Allow), "dropped", "dropped"},
		"all ports": {both(policy.Egress, w.identity("server"), udp, 0, policy.Allow), "", "dropped"},
		"all":       {both(policy.Egress, policy.IdentityAny, 0, 0, policy.Allow), "", ""},
	} {
		w.apply(map[string]policy.Set{"client": {Egress: enforced, Entries: []policy.Entry{c.entry}}})
		if got := w.sneak(role.FrameTail, server); got != c.tail {
			t.Errorf("%s, fragment: %q, want %q", name, got, c.tail)
		}
		if got := w.sneak(role.Frame, "127.0.0.1:99"); got != c.loopback {
			t.Errorf("%s, loopback: %q, want %q", name, got, c.loopback)
		}
	}
}

// The server knows by the socket who sent it a frame.
func TestDeviceFramesAreKnownByTheirSocket(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server", "friend")
	fromClientAlone := policy.Set{Ingress: enforced, Entries: []policy.Entry{both(policy.Ingress, w.identity("client"), 0, 0, policy.Allow)}}
	// The rule about something else brings the program to the clients' devices.
	other := policy.Set{Entries: []policy.Entry{both(policy.Egress, policy.IdentityWorld, tcp, 9, policy.Deny)}}
	w.apply(map[string]policy.Set{"server": fromClientAlone, "client": other, "friend": other})
	v := way{way: role.Frame, server: role.UDPServer}
	if failed, arrived := v.try(w, w.hosts["client"], "server", "friend"); failed != "" || arrived == 0 {
		t.Errorf("the client: failed %q, %d bytes arrived", failed, arrived)
	}
	if failed, arrived := v.try(w, w.hosts["friend"], "server", "client"); failed != "" || arrived != 0 {
		t.Errorf("the friend: failed %q, %d bytes arrived", failed, arrived)
	}
	if told := w.verdicts()["server ingress"]; told == nil || told.PeerCgroup != w.hosts["friend"].CgroupID {
		t.Errorf("told %+v", told)
	}
}
