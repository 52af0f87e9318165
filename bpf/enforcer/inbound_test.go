package enforcer

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// ping tells what becomes of echo requests by both families.
func (w *town) ping(from, to string, bytes int) (v4, v6 string) {
	w.t.Helper()
	one := func(a netip.Addr) string {
		return w.reach(from, role.Spec{Role: role.Ping, Address: a.String(), Bytes: bytes, Timeout: 300e6})
	}
	return one(w.hosts[to].V4), one(w.hosts[to].V6)
}

func (w *town) pings(when, from, to, wantV4, wantV6 string) {
	w.t.Helper()
	if v4, v6 := w.ping(from, to, 32); v4 != wantV4 || v6 != wantV6 {
		w.t.Errorf("%s, %s to %s: %q and %q, want %q and %q", when, from, to, v4, v6, wantV4, wantV6)
	}
}

func (w *town) takes(from string, entries ...policy.Entry) policy.Set {
	if from != "" {
		entries = append(entries, both(policy.Ingress, w.identity(from), 0, 0, policy.Allow))
	}
	return policy.Set{Ingress: enforced, Entries: entries}
}

// What the kernel answers without a socket is judged as what meets one.
func TestInboundRequestsAreJudged(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := newOccupiedTown(t, classic, "client", "server", "friend")
		w.apply(nil)
		w.pings("without rules", "client", "server", "", "")
		w.apply(map[string]policy.Set{"server": w.takes("friend")})
		w.pings("default deny", "client", "server", "timeout", "timeout")
		told := w.verdicts()
		if v := told["server ingress"]; len(told) != 1 || v == nil || !v.Denied || v.Rule != 0 || v.Identity != w.identity("client") ||
			v.Protocol != icmpv6 && v.Protocol != icmp || v.Port != 8 && v.Port != 128 {
			t.Errorf("%d told, the server %+v", len(told), v)
		}
		w.pings("who is allowed", "friend", "server", "", "")
		w.pings("answers", "server", "client", "", "")
		w.pings("itself", "server", "server", "", "")
		if told := w.verdicts(); len(told) != 0 {
			t.Errorf("told of what passed: %v", told)
		}
		if v4, v6 := w.ping("client", "server", 4000); v4 != "timeout" || v6 != "timeout" {
			t.Errorf("in fragments: %q and %q", v4, v6)
		}
		w.apply(map[string]policy.Set{"server": w.takes("", both(policy.Ingress, policy.IdentityAny, icmp, 8, policy.Allow))})
		w.pings("a rule of ICMP alone", "client", "server", "", "timeout")
		w.apply(map[string]policy.Set{"server": {Entries: []policy.Entry{both(policy.Ingress, w.identity("client"), icmpv6, 128, policy.Deny)}}})
		w.pings("a deny of ICMPv6 alone", "client", "server", "", "timeout")
		w.pings("a deny of another", "friend", "server", "", "")
		w.apply(nil)
		w.pings("without rules again", "client", "server", "", "")
	})
}

func TestInboundRequestsAreAudited(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server")
	w.apply(map[string]policy.Set{"server": {Ingress: policy.Posture{Audit: true}}})
	w.pings("audit", "client", "server", "", "")
	if v := w.verdicts()["server ingress"]; v == nil || v.Denied || v.Count != 1 {
		t.Errorf("told %+v", v)
	}
}

// The namespace's answer is each tenant's: all of those that rules speak of must
// take the request.
func TestInboundRequestsToSharedNamespaces(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server", "friend")
	w.hosts["inmate"] = w.lab.Neighbour(w.hosts["server"], "inmate")
	w.hosts["inmate"].Play(role.Spec{Role: role.UDPServer, Address: "127.0.0.1:0"})
	for _, c := range []struct {
		sets           map[string]policy.Set
		client, friend string
		told           []string
	}{
		{map[string]policy.Set{"server": w.takes("friend")}, "timeout", "", []string{"server ingress"}},
		{map[string]policy.Set{"server": w.takes("friend"), "inmate": w.takes("client")}, "timeout", "timeout", []string{"inmate ingress", "server ingress"}},
		{map[string]policy.Set{"server": w.takes("friend"), "inmate": {Ingress: policy.Posture{Audit: true}}}, "timeout", "", []string{"inmate ingress", "server ingress"}},
	} {
		w.apply(c.sets)
		w.verdicts()
		w.pings(fmt.Sprint(c.told), "client", "server", c.client, c.client)
		w.pings(fmt.Sprint(c.told), "friend", "server", c.friend, c.friend)
		var told []string
		for who := range w.verdicts() {
			told = append(told, who)
		}
		slices.Sort(told)
		if !slices.Equal(told, c.told) {
			t.Errorf("told %v, want %v", told, c.told)
		}
	}
}

// What a ruled namespace routes on is not its own, and who asks through a router
// is known by the address.
func TestInboundRequestsThatAreRoutedOn(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "far", "friend")
	w.hosts["router"] = w.lab.Neighbour(w.lab.Gateway(), "router")
	w.hosts["router"].Play(role.Spec{Role: role.UDPServer, Address: "127.0.0.1:0"})
	behind := netip.MustParseAddr("10.98.0.1")
	net := &netlink.Addr{IPNet: netlink.NewIPNet(behind.AsSlice())}
	if err := w.hosts["far"].Run(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, net)
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.hosts["router"].Run(func() error {
		return netlink.RouteAdd(&netlink.Route{Dst: net.IPNet, Gw: w.hosts["far"].V4.AsSlice()})
	}); err != nil {
		t.Fatal(err)
	}
	through := func(from string) string {
		return w.reach(from, role.Spec{Role: role.Ping, Address: behind.String(), Timeout: 300e6})
	}
	w.apply(map[string]policy.Set{"router": w.takes(""), "far": w.takes("client")})
	w.pings("the router itself", "client", "router", "timeout", "timeout")
	if got := through("client"); got != "" {
		t.Errorf("through the router: %q", got)
	}
	if got := through("friend"); got != "timeout" {
		t.Errorf("through the router, of another: %q", got)
	}
	if v := w.verdicts()["far ingress"]; v == nil || v.PeerCgroup != 0 || v.Identity != w.identity("friend") {
		t.Errorf("told %+v", v)
	}
}

// The kernel's decision is Decide's, whatever is in the tables.
func TestInboundRequestsAgreeWithDecide(t *testing.T) {
	w := newTown(t, "server", "inmate", "client")
	own := cgroupOf(t)
	ns, ok := namespaceOf("self")
	if !ok {
		t.Fatal("no namespace")
	}
	random := rand.New(rand.NewPCG(1, 2))
	peers := []policy.Identity{policy.IdentityAny, policy.IdentityWorld, w.identity("client"), w.identity("inmate")}
	types := []uint16{8, 13, 128, 42, 160, 5}
	decision := func() policy.Decision {
		v := []policy.Verdict{policy.None, policy.Allow, policy.Deny}[random.IntN(3)]
		return policy.Decision{Verdict: v, Rule: policy.RuleID(v)} // none has no rule
	}
	set := func() policy.Set {
		s := policy.Set{Ingress: policy.Posture{Enforce: random.IntN(3) == 0, Audit: random.IntN(2) == 0}}
		seen := map[policy.Entry]bool{}
		for range random.IntN(6) {
			e := policy.Entry{Direction: policy.Ingress, Peer: peers[random.IntN(len(peers))]}
			if e.Protocol = []uint8{0, icmp, icmpv6, tcp}[random.IntN(4)]; e.Protocol != 0 && random.IntN(2) == 0 {
				e.Port, e.PortBits = types[random.IntN(len(types))], 16
			}
			if !seen[e] {
				seen[e] = true
				e.Enforced, e.Audited = decision(), decision()
				s.Entries = append(s.Entries, e)
			}
		}
		slices.SortFunc(s.Entries, func(a, b policy.Entry) int {
			return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
		})
		return s
	}
	results := map[policy.Result]int{}
	for range 40 {
		plan := w.plan(map[string]policy.Set{"server": set(), "inmate": set()})
		plan.Tables.Workloads[own] = policy.WorkloadEntry{Identity: peers[1+random.IntN(len(peers)-1)]}
		if _, err := w.Apply(plan); err != nil {
			t.Fatal(err)
		}
		tenants := deviceTenants{Count: 2, Cgroups: [16]uint64{w.hosts["server"].CgroupID, w.hosts["inmate"].CgroupID}}
		if err := w.maps["namespaces"].Put(uint32(ns.inode), &tenants); err != nil {
			t.Fatal(err)
		}
		for _, kind := range types[:5] {
			protocol := uint8(icmp)
			if kind >= 128 {
				protocol = icmpv6
			}
			want := policy.Forwarded
			for _, c := range tenants.Cgroups[:2] {
				o := plan.Tables.Decide(policy.Query{Workload: c, Direction: policy.Ingress, PeerCgroup: own, Protocol: protocol, Port: kind})
				want = max(want, o.Result)
			}
			results[want]++
			w.verdicts()
			ret, err := w.programs["device_inbound"].Run(&ebpf.RunOptions{Data: request(protocol, uint8(kind))})
			if err != nil {
				t.Fatal(err)
			}
			got := policy.Forwarded
			for _, v := range w.verdicts() {
				got = policy.Audited
				if v.Denied {
					got = policy.Denied
				}
			}
			if dropped := ret == 2; got != want || dropped != (want == policy.Denied) {
				t.Errorf("type %d: %s, returned %d, want %s; sets %+v", kind, got, int32(ret), want, plan.Tables.Sets)
			}
		}
	}
	for _, r := range []policy.Result{policy.Forwarded, policy.Audited, policy.Denied} {
		if results[r] < 10 {
			t.Errorf("%s only %d times", r, results[r])
		}
	}
}

// cgroupOf is the cgroup of this process, which the kernel takes for the sender of
// packets that a program is tried with.
func cgroupOf(t *testing.T) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			var st syscall.Stat_t
			if err := syscall.Stat(lab.CgroupRoot(t)+strings.TrimSpace(path), &st); err != nil {
				t.Fatal(err)
			}
			return st.Ino
		}
	}
	t.Fatal("no cgroup")
	return 0
}

// request is a frame with a request of ICMP to this host.
func request(protocol, kind uint8) []byte {
	b := make([]byte, 12, 100)
	if protocol == icmp {
		b = binary.BigEndian.AppendUint16(b, 0x0800)
		b = append(b, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, icmp, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1)
	} else {
		b = binary.BigEndian.AppendUint16(b, 0x86dd)
		b = append(b, 0x60, 0, 0, 0, 0, 8, icmpv6, 64)
		loopback := netip.IPv6Loopback().As16()
		b = append(append(b, loopback[:]...), loopback[:]...)
	}
	return append(b, kind, 0, 0, 0, 0, 1, 0, 1)
}
