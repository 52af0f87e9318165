package enforcer

import (
	"context"
	"fmt"
	"net"

	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
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

// What goes past the device's hook is refused to who is ruled in what it sends,
// and to nobody else.
func TestDeviceBypassIsRefused(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server", "friend")
	server := fmt.Sprintf("%s:99", w.hosts["server"].V4)
	for name, c := range map[string]struct {
		sets map[string]policy.Set
		want string
	}{
		"nobody is ruled":          {nil, ""},
		"another is ruled":         {map[string]policy.Set{"server": toFriendAlone(w)}, ""},
		"ruled in what it is sent": {map[string]policy.Set{"client": {Ingress: enforced}}, ""},
		"default deny":             {map[string]policy.Set{"client": toFriendAlone(w)}, "denied"},
		"everyone":                 {map[string]policy.Set{"": notToServer(w)}, "denied"},
	} {
		w.apply(c.sets)
		for _, v := range []role.Way{role.FrameBypass, role.FrameXDP} {
			if got := w.sneak(v, server); got != c.want {
				t.Errorf("%s, %s: %q, want %q", name, v, got, c.want)
			}
			told := w.verdicts()["client egress"]
			if (told != nil) != (c.want != "") || told != nil && (!told.Denied || told.PID == 0 || told.Comm == [16]byte{}) {
				t.Errorf("%s, %s: told %+v", name, v, told)
			}
		}
	}
}

// A packet socket that was told to go past the devices before there was a rule
// does not any more when there is one.
func TestDeviceBypassIsTakenBack(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server")
	w.apply(nil)
	send := w.packetSocket("client", "eth0", func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	})
	for _, c := range []struct {
		set  policy.Set
		want error
	}{
		{policy.Set{}, nil},
		{policy.Set{Egress: policy.Posture{Audit: true}}, nil},
		{notToServer(w), unix.ENOBUFS},
	} {
		// The socket is the test's own: everyone's rules are its.
		w.apply(map[string]policy.Set{"": c.set})
		if err := send("server"); err != c.want {
			t.Errorf("sent under %+v: %v, want %v", c.set, err, c.want)
		}
	}
}

// packetSocket opens a packet socket of the test's own process in a host's network
// namespace. What it returns sends an empty UDP datagram to another host.
func (w *town) packetSocket(host, device string, prepare func(fd int) error) (send func(to string) error) {
	w.t.Helper()
	fd, link := -1, &unix.SockaddrLinklayer{Protocol: 0x0008, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	if err := w.hosts[host].Run(func() (err error) {
		d, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		link.Ifindex = d.Index
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return prepare(fd)
	}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { unix.Close(fd) })
	return func(to string) error {
		packet := make([]byte, 28)
		packet[0], packet[8], packet[9] = 0x45, 64, udp
		copy(packet[16:], w.hosts[to].V4.AsSlice())
		return unix.Sendto(fd, packet, 0, link)
	}
}

// A TUN device's frames begin with IP.
func TestDeviceWithoutEthernet(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server", "friend")
	w.hosts["client"].Wire()
	send := w.packetSocket("client", "wire0", func(int) error { return nil })
	w.apply(nil)
	if err := send("server"); err != nil {
		t.Errorf("without a policy: %v", err)
	}
	w.apply(map[string]policy.Set{"": notToServer(w)})
	if err := send("server"); err != unix.ENOBUFS {
		t.Errorf("to the server: %v", err)
	}
	if err := send("friend"); err != nil {
		t.Errorf("to the friend: %v", err)
	}
}

func TestParsePacketSockets(t *testing.T) {
	const header = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
	for text, want := range map[string][]uint64{
		"":     nil,
		header: nil,
		header + "00000000d7c2b9a1 3      3    0003   2     1 0      0      23456 \n" +
			"0000000000000000 3      2    88cc   0     1 0      0      7\n": {23456, 7},
		header + "\n0 0 -1\n99999999999999999999999\n": nil,
	} {
		if got := parsePacketSockets(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzParsePacketSockets(f *testing.F) {
	f.Add("sk RefCnt Inode\n0 3 23456\n")
	f.Fuzz(func(t *testing.T, text string) {
		if slices.Contains(parsePacketSockets(text), 0) {
			t.Error("an inode of 0")
		}
	})
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

// Devices that come later are covered when they are looked for, and a change of
// devices is told.
func TestDeviceThatComesLater(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := newOccupiedTown(t, classic, "client", "server")
		changes, err := LinkChanges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.apply(map[string]policy.Set{"client": {Egress: enforced}})
		count := func() kernel.Devices {
			d, err := w.Devices()
			if err != nil || len(d.Uncovered) > 0 || d.Namespaces != 1 {
				t.Fatalf("devices %+v: %v", d, err)
			}
			return d
		}
		first := count()
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "later"}}
		for _, step := range []struct {
			do   func() error
			more int
		}{
			{func() error { return netlink.LinkAdd(bridge) }, 1},
			{func() error { return netlink.LinkDel(bridge) }, 0},
			{func() error { return netlink.LinkAdd(bridge) }, 1},
		} {
			if err := w.hosts["client"].Run(step.do); err != nil {
				t.Fatal(err)
			}
			if d := count(); d.Devices != first.Devices+step.more {
				t.Errorf("%d devices, and %d at first: want %d more", d.Devices, first.Devices, step.more)
			}
		}
		w.lab.Host("newcomer") // its cable is laid from the gateway's namespace
		host := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("weir%d", os.Getpid()%1e5)}}
		if err := netlink.LinkAdd(host); err != nil {
			t.Fatal(err)
		}
		defer netlink.LinkDel(host)
		select {
		case <-changes:
		case <-time.After(10 * time.Second):
			t.Error("nobody told of a new device")
		}
		// With nobody ruled the program goes from the devices where it can be told apart.
		w.apply(nil)
		if pins, _ := filepath.Glob(filepath.Join(w.linkDir(), "tcx-*")); len(pins) > 0 {
			t.Errorf("still there: %v", pins)
		}
	})
}

// What was enforced stays so without the daemon, and its successor takes it over.
func TestDeviceProgramsStay(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := newOccupiedTown(t, classic, "client", "server")
		server := fmt.Sprintf("%s:99", w.hosts["server"].V4)
		sets := map[string]policy.Set{"client": {Egress: enforced}}
		w.apply(sets)
		check := func(when, want string) {
			t.Helper()
			if got := w.sneak(role.Frame, server); got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		check("at work", "dropped")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		check("without its owner", "dropped")
		w.open()
		w.devices.classic = classic
		check("before the successor's first plan", "dropped")
		before, err := os.ReadDir(w.linkDir())
		if err != nil {
			t.Fatal(err)
		}
		w.apply(sets)
		check("by the successor", "dropped")
		after, err := os.ReadDir(w.linkDir())
		if err != nil || len(after) != len(before) {
			t.Errorf("%d pins, %d before: %v", len(after), len(before), err)
		}
		if err := w.Off(); err != nil {
			t.Fatal(err)
		}
		check("off", "")
		if err := w.hosts["client"].Run(func() error {
			qdiscs, err := netlink.QdiscList(nil)
			for _, q := range qdiscs {
				if q.Type() == "clsact" {
					return fmt.Errorf("a qdisc is left: %v", q)
				}
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}

// Other options are the kernel's business, also those of more than a page.
func TestDeviceLeavesOtherOptionsAlone(t *testing.T) {
	w := newOccupiedTown(t, false, "client")
	w.apply(map[string]policy.Set{"": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, policy.IdentityAny, 0, 0, policy.Allow)}}})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, size := range []int{4, 4096, 4097, 70000} {
		option := make([]byte, size)
		*(*int32)(unsafe.Pointer(&option[0])) = int32(20000 + size)
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, string(option)); err != nil {
			t.Errorf("an option of %d bytes: %v", size, err)
		}
		if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil || got != 2*(20000+size) {
			t.Errorf("an option of %d bytes came to %d: %v", size, got, err)
		}
	}
}

func TestLinkChangesEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := LinkChanges(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range changes {
	}
}
