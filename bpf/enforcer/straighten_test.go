package enforcer

import (
	"fmt"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

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
	fd, via := -1, &unix.SockaddrLinklayer{Protocol: 0x0008, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	if err := w.hosts[host].Run(func() (err error) {
		d, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		via.Ifindex = d.Index
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
		return unix.Sendto(fd, packet, 0, via)
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
