package bpf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/collector/flow"
)

// snapped runs fn inside of a cgroup that is captured with cfg, and gives the packets.
func snapped(t *testing.T, cfg PacketConfig, fn func()) (out []Packet) {
	t.Helper()
	lab.RequireRoot(t)
	root := lab.CgroupRoot(t)
	dir, err := os.MkdirTemp(root, "weir-snap-")
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenPackets(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	was := ownCgroup(t)
	enter(t, dir)
	defer func() {
		enter(t, filepath.Join(root, was))
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}()
	detach, err := p.Attach(dir)
	if err != nil {
		t.Fatal(err)
	}
	fn()
	detach()
	// What passed before the end is told after it.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx, func(pkt *Packet) error { out = append(out, *pkt); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(p.Lost()) > 0 {
		t.Errorf("lost %v", p.Lost())
	}
	return out
}

// ownCgroup is this process's below the root of cgroup v2.
func ownCgroup(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	t.Skip("this process is in no cgroup of version 2")
	return ""
}

func enter(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		t.Fatal(err)
	}
}

// speak sends payload over a new connection to a new listener, and gives its port.
func speak(t *testing.T, address string, payload int) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	go c.Write(make([]byte, payload))
	buf := make([]byte, 1<<16)
	for n := 0; n < payload; {
		k, err := s.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

func TestKernelSnapsPackets(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			const payload = 1_000_000
			self, err := selfTGID() // this process may be in a PID namespace
			if err != nil {
				t.Fatal(err)
			}
			var port uint16
			pkts := snapped(t, PacketConfig{}, func() { port = speak(t, address, payload) })
			sent, cut := 0, 0
			for i := range pkts {
				p := &pkts[i]
				src, dst, ok := tcpPorts(p.Data)
				if !ok || src != port && dst != port {
					t.Errorf("a packet of ports %d and %d, want %d", src, dst, port)
				}
				if p.Cgroup == 0 || p.Cookie == 0 || p.PID != self || p.Comm.String() == "" || p.Drop != "" {
					t.Errorf("packet of process %d %q, cgroup %d, cookie %d, dropped for %q", p.PID, p.Comm, p.Cgroup, p.Cookie, p.Drop)
				}
				if len(p.Data) != min(p.Length, MaxSnapLength) {
					t.Errorf("%d bytes captured of %d", len(p.Data), p.Length)
				}
				if p.Egress && dst == port {
					sent += p.Length
				}
				if len(p.Data) < p.Length {
					cut++
				}
				if since := time.Since(time.Unix(0, p.Time)); since < -time.Second || since > time.Minute {
					t.Errorf("time %v", time.Unix(0, p.Time))
				}
			}
			t.Logf("%d packets, %d larger than can be captured", len(pkts), cut)
			if sent < payload {
				t.Errorf("%d bytes sent in packets, want at least %d", sent, payload)
			}
		})
	}
}

// The filter is the kernel's, and the snap length holds.
func TestKernelSnapFilter(t *testing.T) {
	fn := func() {
		speak(t, "127.0.0.1:0", 100)
		speak(t, "127.0.0.2:0", 100)
		speak(t, "[::1]:0", 100)
	}
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/31")}
	for _, tt := range []struct {
		name string
		cfg  PacketConfig
		all  bool // that it asks for may be there
	}{
		{"no port", PacketConfig{Ports: []uint16{1, 2}}, false},
		{"a protocol", PacketConfig{Protocol: flow.UDP}, false},
		{"the protocol", PacketConfig{Protocol: flow.TCP}, true},
		{"ranges", PacketConfig{Ranges: local}, true},
		{"another range", PacketConfig{Ranges: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}}, false},
		{"both", PacketConfig{Ranges: local, Protocol: flow.TCP, SnapLength: 60}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pkts := snapped(t, tt.cfg, fn)
			if tt.all != (len(pkts) > 0) {
				t.Errorf("%d packets", len(pkts))
			}
			for _, p := range pkts {
				if n := tt.cfg.SnapLength; n > 0 && len(p.Data) != min(n, p.Length) {
					t.Errorf("%d bytes of %d", len(p.Data), p.Length)
				}
				if tt.cfg.Ranges != nil && (p.Data[0]>>4 != 4 || !slices.Contains([]byte{2, 3}, p.Data[19]) && !slices.Contains([]byte{2, 3}, p.Data[15])) {
					t.Errorf("a packet outside of the range: % x", p.Data[:20])
				}
			}
		})
	}
}

func TestPacketFilter(t *testing.T) {
	nine := make([]uint16, 9)
	if _, err := (PacketConfig{Ports: nine}).filter(); err == nil {
		t.Error("nine ports were taken")
	}
	if _, err := (PacketConfig{Ranges: make([]netip.Prefix, 1)}).filter(); err == nil {
		t.Error("an invalid range was taken")
	}
	if _, err := (PacketConfig{RingSize: 4096, Ports: nine[:8]}).spec(nil); err != nil {
		t.Error(err)
	}
}

// A packet waits for the news that it was dropped, but not for ever.
func TestDropper(t *testing.T) {
	ms := int64(time.Millisecond)
	var got []Packet
	d := dropper{take: func(p *Packet) error { got = append(got, *p); return nil }}
	add := func(p Packet) {
		t.Helper()
		if err := d.add(&p); err != nil {
			t.Fatal(err)
		}
	}
	add(Packet{Time: 0, skb: 1, Cookie: 7, Data: []byte("one")})
	add(Packet{Time: 1 * ms, skb: 2, Cookie: 7})
	add(Packet{Time: 2 * ms, skb: 1, Cookie: 7, Drop: "NETFILTER_DROP", HeadOnly: true})
	add(Packet{Time: 3 * ms, skb: 1, Cookie: 8, Drop: "OTHER", HeadOnly: true}) // another socket's
	if len(got) != 0 {
		t.Errorf("%d packets before their time", len(got))
	}
	add(Packet{Time: 23 * ms, skb: 1, Cookie: 7})
	if len(got) != 3 || got[0].Drop != "NETFILTER_DROP" || string(got[0].Data) != "one" || got[0].HeadOnly || got[1].Drop != "" || got[2].Drop != "OTHER" {
		t.Fatalf("got %+v", got)
	}
	add(Packet{Time: 24 * ms, skb: 3, Data: make([]byte, settleBytes+1)}) // more than may wait
	if len(got) != 5 || d.bytes != 0 {
		t.Errorf("%d packets, %d bytes wait", len(got), d.bytes)
	}
	add(Packet{Time: 25 * ms})
	if err := d.finish(); err != nil || len(got) != 6 {
		t.Errorf("%d packets at the end: %v", len(got), err)
	}
	enough := errors.New("enough")
	d = dropper{take: func(*Packet) error { return enough }, waiting: []*Packet{{}}}
	if err := d.settle(1 << 60); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecodePacket(f *testing.F) {
	f.Add(make([]byte, 72))
	f.Add(append(make([]byte, 72), 1, 2, 3))
	f.Add([]byte{1})
	var p Packets
	f.Fuzz(func(t *testing.T, raw []byte) {
		parseListeners(raw)
		tcpPorts(raw)
		pkt, err := p.decode(raw, 1)
		if err == nil && len(pkt.Data) > len(raw)-72 {
			t.Errorf("%d bytes of %d", len(pkt.Data), len(raw))
		}
	})
}
