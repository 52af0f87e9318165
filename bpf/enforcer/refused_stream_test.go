package enforcer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

const (
	askingOfAll = `endpointSelector: {matchLabels: {name: client}}
egress: [{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.test}]}}]}]
`
	speakingToAll = `endpointSelector: {matchLabels: {name: client}}
egress: [{toPorts: [{ports: [{port: "53"}]}]}]
`
)

// stream is what is said over one connection, in pieces.
type stream struct {
	what    string
	pieces  [][]byte
	most    uint64 // bytes that the resolver may hear
	refused bool
}

func streams(t *testing.T) []stream {
	all := questionsOf(t, "A.test", "evil.test")
	good, bad := framed(all[0].say), framed(all[1].say)
	size := uint64(len(good))
	bytewise := slices.Collect(slices.Chunk(bad, 1))
	many := bytes.Repeat(good, 300) // several segments of a wire, in one of the socket's
	return []stream{
		{"an allowed one", [][]byte{good}, size, false},
		{"many allowed ones", [][]byte{many}, 300 * size, false},
		{"a refused one", [][]byte{bad}, 0, true},
		{"refused byte by byte", bytewise, uint64(len(bad) - 1), true},
		{"refused behind an allowed one", [][]byte{append(bytes.Clone(good), bad...)}, 0, true},
		{"refused after an allowed one", [][]byte{good, bad}, size, true},
		{"refused, begun behind an allowed one", [][]byte{append(bytes.Clone(good), bad[:9]...), bad[9:]}, size + 9, true},
		{"refused behind many", [][]byte{append(bytes.Clone(many), bad...)}, 300 * size, true},
		{"refused before many", [][]byte{append(bytes.Clone(bad), many...)}, 0, true},
		{"more after a refused one", [][]byte{bad, good, good}, 0, true},
		{"no question", [][]byte{framed(make([]byte, 40))}, 0, true},
	}
}

// says has the client say a stream, and gives its connection.
func (w *court) says(to netip.AddrPort, pieces [][]byte) role.Conn {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "pieces.json")
	if err := role.WriteDatagrams(path, role.Datagrams{Client: datagrams(pieces...)}); err != nil {
		w.t.Fatal(err)
	}
	r := w.hosts["client"].Account(role.Spec{Role: role.Asker, Address: to.String(), Path: path, Behaviour: role.Stream, Timeout: 3 * time.Second, Detail: true})
	if len(r.Each) != 1 {
		w.t.Fatalf("to %s: %+v", to, r)
	}
	return r.Each[0]
}

// tap hears what comes to a host for port 53.
type tap struct {
	t           testing.TB
	fd          int
	resets, odd int // resets, and those that are more than a plain header
}

func (w *court) tap(host string) *tap {
	w.t.Helper()
	c := &tap{t: w.t}
	if err := w.hosts[host].Run(func() (err error) {
		if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(htons(unix.ETH_P_ALL))); err != nil {
			return err
		}
		return unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	}); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// payload is how many bytes of a stream came, some perhaps more than once, and ends
// the tap.
func (c *tap) payload() (reached uint64) {
	defer unix.Close(c.fd)
	start := map[uint16]uint32{} // by the client's port: what is left of an earlier connection has none
	b := make([]byte, 128<<10)
	for {
		n, _, err := unix.Recvfrom(c.fd, b, 0)
		if err == unix.EAGAIN {
			return reached
		}
		if err != nil {
			c.t.Fatal(err)
		}
		at, size := 40, 0
		switch {
		case n >= 40 && b[0]>>4 == 4 && b[9] == tcp:
			at, size = int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		case n >= 60 && b[0]>>4 == 6 && b[6] == tcp:
			size = at + int(binary.BigEndian.Uint16(b[4:]))
		default:
			continue
		}
		if h := b[at:n]; binary.BigEndian.Uint16(h[2:]) == 53 {
			port, seq := binary.BigEndian.Uint16(h), binary.BigEndian.Uint32(h[4:])
			if h[13]&2 != 0 {
				start[port] = seq + 1
			}
			first, ok := start[port]
			if !ok || seq-first > 1<<30 {
				continue
			}
			if said := len(h) - int(h[12]>>4)*4; said > 0 {
				reached = max(reached, uint64(seq-first)+uint64(said))
			}
			if h[13]&4 != 0 {
				c.resets++
				if len(h) != 20 || h[12] != 5<<4 || size != n {
					c.odd++
				}
			}
		}
	}
}

// withoutChecksums has the kernel write the checksums of what a device sends.
func withoutChecksums(device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	command := struct{ what, value uint32 }{unix.ETHTOOL_STXCSUM, 0}
	r := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		rest [16]byte
	}{data: unsafe.Pointer(&command)}
	copy(r.name[:], device)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return errno
	}
	return nil
}

// A connection that asks what is refused is reset at once, at both ends, and what
// was refused is not heard.
func TestRefusedStreamsAreReset(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) { resetRefused(t, classic, false) })
}

func TestRefusedStreamsAreResetThroughNAT(t *testing.T) {
	lab.RequireTool(t, "iptables")
	eachKind(t, func(t *testing.T, classic bool) { resetRefused(t, classic, true) })
}

func resetRefused(t *testing.T, classic, translated bool) {
	w := &court{newOccupiedTown(t, classic, "client", "resolver"), nil}
	client := w.hosts["client"]
	w.hosts["daemon"] = w.lab.Neighbour(client, "daemon")
	docker := "127.0.0.11:53"
	if translated {
		docker = "127.0.0.1:9953"
		client.Filter("OUTPUT", "-t", "nat", "-p", "tcp", "-o", "lo", "--dport", "53", "-j", "REDIRECT", "--to-ports", "9953")
	}
	// Then the client's kernel writes checksums, and the resolver's reads them.
	if err := client.Run(func() error { return withoutChecksums("eth0") }); err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		host, listen string
		addr         netip.Addr
	}{
		{"resolver", lab.Listen(53), w.hosts["resolver"].V4},
		{"resolver", lab.Listen(53), w.hosts["resolver"].V6},
		{"daemon", docker, netip.MustParseAddr("127.0.0.11")},
	} {
		w.hold(policy.ModeEnforce, askingOfAll)
		server := w.hosts[at.host].Play(role.Spec{Role: role.TCPServer, Address: at.listen})
		refused, most, quickest := 0, uint64(0), time.Minute
		for _, c := range streams(t) {
			w.verdicts()
			carried := w.tap(at.host)
			got := w.says(netip.AddrPortFrom(at.addr, 53), c.pieces)
			payload, resets := carried.payload(), carried.resets
			told := w.verdicts()["client egress"]
			what := fmt.Sprintf("%s, to %s", c.what, at.addr)
			if at.host == "resolver" && (payload > c.most || (resets > 0) != c.refused || carried.odd > 0) {
				t.Errorf("%s: %d bytes and %d resets, %d of them odd, came by the wire", what, payload, resets, carried.odd)
			}
			most += c.most
			if !c.refused {
				if got.Failure != "" || got.Received != c.most || told != nil {
					t.Errorf("%s: %+v, told %+v", what, got, told)
				}
				continue
			}
			refused++
			quickest = min(quickest, got.Took)
			if got.Failure != "reset" || got.Took > time.Second {
				t.Errorf("%s: %q after %s", what, got.Failure, got.Took)
			}
			if told == nil || told.Count != 1 || !told.Denied || !told.Asked {
				t.Errorf("%s: told %+v", what, told)
			}
		}
		if quickest > 50*time.Millisecond { // no time for anything to be sent again
			t.Errorf("to %s: the quickest reset came after %s", at.addr, quickest)
		}
		time.Sleep(100 * time.Millisecond)
		if r := server.Stop(); r.Received > most || r.Failed["reset"] != refused {
			t.Errorf("%s: the resolver's ends: %+v, want %d resets and %d bytes at most", at.addr, r, refused, most)
		}
	}
}

// Nothing is cut off where it is only audited, or where questions are not judged.
func TestStreamsThatAreNotRefusedLiveOn(t *testing.T) {
	w := &court{newOccupiedTown(t, false, "client", "resolver"), nil}
	w.hosts["resolver"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(53)})
	for _, c := range streams(t) {
		for what, hold := range map[string]func(){
			"audited":          func() { w.hold(policy.ModeAudit, askingOfAll) },
			"without rules":    func() { w.hold(policy.ModeEnforce, speakingToAll) },
			"without policies": func() { w.hold(policy.ModeEnforce) },
		} {
			hold()
			w.verdicts()
			got := w.says(netip.AddrPortFrom(w.hosts["resolver"].V6, 53), c.pieces)
			if got.Failure != "" || !bytes.Equal(got.Heard, slices.Concat(c.pieces...)) {
				t.Errorf("%s, %s: %q, %d bytes came back", c.what, what, got.Failure, len(got.Heard))
			}
			if told := w.verdicts()["client egress"]; (told != nil) != (what == "audited" && c.refused) || (told != nil && told.Count != 1) {
				t.Errorf("%s, %s: told %+v", c.what, what, told)
			}
		}
	}
}

// By a device whose frames begin with IP.
func TestRefusedStreamsAreResetByBareDevices(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := &court{newOccupiedTown(t, classic, "client"), nil}
		wire := w.hosts["client"].Wire()
		w.hold(policy.ModeEnforce, askingOfAll)
		for i, c := range streams(t) {
			if !c.refused {
				continue
			}
			for _, addr := range []netip.Addr{lab.PeerV4(i), lab.PeerV6(i)} {
				peer := wire.Expect(netip.AddrPortFrom(addr, 53))
				got := w.says(netip.AddrPortFrom(addr, 53), c.pieces)
				if got.Failure != "reset" || got.Took > time.Second {
					t.Errorf("%s, to %s: %q after %s", c.what, addr, got.Failure, got.Took)
				}
				if err := peer.Ended(); err != nil {
					t.Error(err)
				}
				if heard, _ := peer.Received(0); uint64(len(heard)) > c.most {
					t.Errorf("%s: %d bytes came to %s", c.what, len(heard), addr)
				}
			}
		}
	})
}

// A reset that was lost comes again with what the client says again, which is not
// told again.
func TestLostResetsComeAgain(t *testing.T) {
	lab.RequireTool(t, "iptables")
	w := &court{newOccupiedTown(t, false, "client", "resolver"), nil}
	w.hosts["resolver"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(53)})
	w.hold(policy.ModeEnforce, askingOfAll)
	w.verdicts()
	w.hosts["client"].Filter("INPUT", "-p", "tcp", "--tcp-flags", "RST", "RST", "-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0", "-j", "DROP")
	got := w.says(netip.AddrPortFrom(w.hosts["resolver"].V4, 53), [][]byte{framed(questionsOf(t, "evil.test")[0].say)})
	if got.Failure != "reset" || got.Took < 100*time.Millisecond {
		t.Errorf("%q after %s", got.Failure, got.Took)
	}
	if told := w.verdicts()["client egress"]; told == nil || told.Count != 1 {
		t.Errorf("told %+v", told)
	}
}

// A connection that is older than the rules says nothing that anybody can follow. It
// lives on while that is only audited.
func TestOlderStreamsAreReset(t *testing.T) {
	w := &court{newOccupiedTown(t, false, "client", "resolver"), nil}
	server := w.hosts["resolver"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(53)})
	w.hold(policy.ModeEnforce, speakingToAll)
	open := w.hosts["client"].Play(role.Spec{Role: role.Steady, Address: netip.AddrPortFrom(w.hosts["resolver"].V6, 53).String(), Timeout: 2 * time.Second})
	w.verdicts()
	w.hold(policy.ModeAudit, askingOfAll)
	time.Sleep(500 * time.Millisecond) // what was dropped would come again meanwhile, and be reset
	if told := w.verdicts()["client egress"]; told == nil || told.Count != 1 || told.Denied {
		t.Errorf("audited: told %+v", told)
	}
	w.hold(policy.ModeEnforce, askingOfAll)
	time.Sleep(500 * time.Millisecond) // the first of it may be dropped, and come again
	if r := open.Stop(); r.Failed["reset"] != 1 {
		t.Errorf("the client's end: %+v", r)
	}
	if r := server.Stop(); r.Failed["reset"] != 1 {
		t.Errorf("the resolver's end: %+v", r)
	}
	if told := w.verdicts()["client egress"]; told == nil || told.Count != 1 || !told.Asked || told.Name != "" {
		t.Errorf("told %+v", told)
	}
}

// Who takes the program from its own device gains nothing: the cable's other end
// knows whose segment it is.
func TestRefusedStreamsDoNotLeaveByStrippedDevices(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := &court{newCabledTown(t, classic, "client", "resolver"), nil}
		server := w.hosts["resolver"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(53)})
		w.hold(policy.ModeEnforce, askingOfAll)
		w.strip(w.hosts["client"], outbound)
		all := questionsOf(t, "a.test", "evil.test")
		good, bad := framed(all[0].say), framed(all[1].say)
		for _, addr := range []netip.Addr{w.hosts["resolver"].V4, w.hosts["resolver"].V6} {
			if got := w.says(netip.AddrPortFrom(addr, 53), [][]byte{good}); got.Failure != "" {
				t.Errorf("an allowed one, to %s: %+v", addr, got)
			}
			if got := w.says(netip.AddrPortFrom(addr, 53), [][]byte{good, bad}); got.Failure == "" {
				t.Errorf("to %s: %+v", addr, got)
			}
		}
		if n, r := uint64(len(good)), server.Stop(); r.Received < 2*n || r.Received > 4*n {
			t.Errorf("the resolver heard %+v", r)
		}
	})
}
