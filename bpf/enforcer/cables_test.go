package enforcer

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// newCabledTown is an occupied town whose gateway the enforcer takes for the host:
// the cables of the others end there.
func newCabledTown(t *testing.T, classic bool, hosts ...string) *town {
	w := newOccupiedTown(t, classic, hosts...)
	gate := w.lab.Neighbour(w.lab.Gateway(), "gate")
	gate.Play(role.Spec{Role: role.UDPServer, Address: "127.0.0.1:0"})
	text, err := os.ReadFile(filepath.Join(gate.CgroupPath, "cgroup.procs"))
	if err != nil || len(strings.Fields(string(text))) == 0 {
		t.Fatalf("nobody at the gateway: %v", err)
	}
	w.devices.host = &namespace{inode: gate.NetNS, path: fmt.Sprintf("/proc/%s/ns/net", strings.Fields(string(text))[0])}
	return w
}

// strip takes the programs from the devices of a host, or, with far, from the other
// ends of all cables.
func (w *town) strip(host *lab.Host, h hook) {
	w.t.Helper()
	if w.devices.classic {
		if err := host.Run(func() error {
			nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
			if err != nil {
				return err
			}
			defer nl.Close()
			return cleanDevices(nl, filterHandle(w.cfg.PinDir))
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	for at, l := range w.devices.links {
		if at.ns == host.NetNS && at.hook == h {
			if err := w.drop(at, l); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// A frame that its own device's program did not see is judged at the other end of
// the cable, and one that it did see is not told of again.
func TestCablesAreJudgedAtTheirFarEnds(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := newCabledTown(t, classic, "client", "server", "friend")
		w.apply(map[string]policy.Set{"client": {Egress: policy.Posture{Audit: true}}})
		if d, err := w.Devices(); err != nil || d.Cables != 3 || d.Early != 0 {
			t.Fatalf("devices %+v: %v", d, err)
		}
		server := fmt.Sprintf("%s:99", w.hosts["server"].V4)
		if got := w.sneak(role.Frame, server); got != "" || w.verdicts()["client egress"].Count != 1 {
			t.Errorf("audited: %q, or not told once", got)
		}
		w.apply(map[string]policy.Set{"client": toFriendAlone(w)})
		w.strip(w.hosts["client"], outbound)
		arrived := w.storm("server", frameWays, func(v way, failed string) {
			if failed != "" {
				t.Errorf("%s: %q, though nobody judges it there", v, failed)
			}
			if told := w.verdicts()["client egress"]; told == nil || !told.Denied {
				t.Errorf("%s: told %+v", v, told)
			}
		})
		if arrived != 0 {
			t.Errorf("%d bytes arrived", arrived)
		}
		if arrived := w.storm("friend", frameWays[:2], func(way, string) {}); arrived != 2*frameBytes {
			t.Errorf("to the friend: %d bytes arrived", arrived)
		}
		w.everyWay("client", "friend", "", "", "")
		w.strip(w.lab.Gateway(), farEnd)
		if arrived := w.storm("server", frameWays[:2], func(way, string) {}); arrived != 2*frameBytes {
			t.Errorf("with no program at either end: %d bytes arrived", arrived)
		}
	})
}

// What a new cable has carried before it was looked at is counted.
func TestCablesThatWereQuickerAreCounted(t *testing.T) {
	w := newCabledTown(t, false, "client", "server")
	w.apply(map[string]policy.Set{"client": {Egress: enforced}})
	w.hosts["late"] = w.lab.Host("late")
	if got := w.reach("late", role.Spec{Role: role.Sneak, Way: role.FrameBurst, Address: fmt.Sprintf("%s:99", w.hosts["server"].V4)}); got != "" {
		t.Fatal(got)
	}
	for range 2 {
		if d, err := w.Devices(); err != nil || d.Cables != 3 || d.Early < role.FrameBurstLen || d.Early > role.FrameBurstLen+50 {
			t.Errorf("devices %+v: %v", d, err)
		}
	}
	w.apply(nil)
	if d, err := w.Devices(); err != nil || d.Cables != 0 {
		t.Errorf("with nobody ruled: devices %+v: %v", d, err)
	}
	if pins, _ := filepath.Glob(filepath.Join(w.linkDir(), farEnd.pin+"-*")); len(pins) > 0 {
		t.Errorf("with nobody ruled: %v", pins)
	}
}

// An AF_XDP socket that is older than the rules cannot be taken back: it is told of,
// and its frames get no further than the cable.
func TestOlderExpressSockets(t *testing.T) {
	w := newCabledTown(t, false, "client", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(0)})
	w.apply(nil)
	// The socket is the test's own: everyone's rules are its.
	var s *role.XDPSocket
	send := func(to netip.Addr) {
		if err := w.hosts["client"].Run(func() (err error) {
			if s == nil {
				if s, err = role.OpenXDP(); err != nil {
					return err
				}
			}
			return s.SendTo(netip.AddrPortFrom(to, p.Addr.Port()))
		}); err != nil {
			t.Fatal(err)
		}
	}
	send(w.hosts["server"].V4)
	defer s.Close()
	w.apply(map[string]policy.Set{"": notToServer(w)})
	for range 2 {
		d, err := w.Devices()
		if err != nil || !slices.ContainsFunc(d.Uncovered, func(what string) bool {
			return strings.Contains(what, fmt.Sprintf("process %d sends by an AF_XDP socket", os.Getpid()))
		}) {
			t.Errorf("devices %+v: %v", d, err)
		}
	}
	w.verdicts()
	send(w.hosts["server"].V4)
	send(w.hosts["server"].V6)
	told := 0
	if _, err := w.Verdicts(func(v *kernel.Verdict) { told += int(v.Count) }); err != nil || told != 2 {
		t.Errorf("%d frames were told of: %v", told, err)
	}
	if got := p.Stop().Received; got != frameBytes {
		t.Errorf("%d bytes arrived, and one frame was sent before the rules", got)
	}
}

func TestParseProtocols(t *testing.T) {
	const head = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\n"
	for text, want := range map[string]int{
		"": 0, head: 0, "XDP": 0, "XDP 1 x\n": 0, "XDP 1 -3\n": 0,
		head + "XDP       1088      2      -1   NI       0   no   kernel      n  n  n\nTCP 2 9\n": 2,
	} {
		if got := parseProtocols(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestMapsExpress(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "\n": false,
		"7f0c00000000-7f0c00001000 rw-s 00000000 00:08 4711                       socket:[4711]\n":      false,
		"7f0c00000000-7f0c00001000 rw-s 80000000 fe:00 4711                       /tmp/socket:[4711]\n": false,
		"00400000-00401000 r-xp 00000000 fe:00 1 /bin/x\n" +
			"7f0c00000000-7f0c00001000 rw-s 80000000 00:08 4711                       socket:[4711]\n": true,
	} {
		if got := mapsExpress(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
