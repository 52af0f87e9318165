package pcap

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/seed79351815/weir/collector/flow"
)

// ping is an ICMP echo request, and udp a datagram to port 53, without payload.
var (
	ping = []byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x66, 0xde, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0xf7, 0xfe, 0, 1, 0, 0}
	udp  = []byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0x66, 0xce, 10, 0, 0, 1, 10, 0, 0, 2, 0xc0, 0, 0, 53, 0, 8, 0, 0}
)

var epoch = time.Date(2026, 6, 1, 12, 0, 0, 123456789, time.UTC)

func packets() []*Packet {
	return []*Packet{
		{Time: epoch.UnixNano(), Workload: "shop/web", PID: 42, Comm: flow.MakeComm("nginx"), Direction: Egress, Length: 28, Data: ping},
		{Time: epoch.UnixNano() + 1, Workload: "shop/db", Direction: Ingress, Length: 28, Data: udp, Drop: "NETFILTER_DROP"},
		{Time: epoch.UnixNano() + 2, Workload: "x\x1b[2J y", Direction: Unknown, Length: 98_304, Data: udp[:20]},
		{Time: epoch.UnixNano() + 3, Length: 28, Data: udp, Direction: Egress},
	}
}

var comments = []string{
	"workload=shop/web process=nginx pid=42 direction=egress verdict=FORWARDED",
	"workload=shop/db direction=ingress verdict=DROPPED reason=NETFILTER_DROP",
	`workload="x\x1b[2J y" direction=unknown verdict=FORWARDED captured=20/98304`,
	"direction=egress verdict=FORWARDED",
}

func write(t *testing.T, out io.Writer) *Writer {
	t.Helper()
	w, err := NewWriter(out, Meta{Application: "weir 1.0", OS: "Linux", Name: "web", SnapLength: 65536})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets() {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestReadsBack(t *testing.T) {
	var b bytes.Buffer
	w := write(t, &b)
	if n, size := w.Written(); n != 4 || size != int64(b.Len()) || w.Whole() != size {
		t.Errorf("%d packets, %d and %d bytes of %d", n, size, w.Whole(), b.Len())
	}
	r, err := pcapgo.NewNgReader(&b, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range packets() {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, want.Data) || ci.Length != want.Length || ci.Timestamp.UnixNano() != want.Time {
			t.Errorf("packet %d: %+v", i, ci)
		}
		if len(opts.Comments) != 1 || opts.Comments[0] != comments[i] {
			t.Errorf("packet %d: comments %q, want %q", i, opts.Comments, comments[i])
		}
		in, err := r.Interface(ci.InterfaceIndex)
		if err != nil || in.LinkType != layers.LinkTypeRaw {
			t.Errorf("packet %d: interface %+v, %v", i, in, err)
		}
		name := map[string]string{"": "web", "x\x1b[2J y": `"x\x1b[2J y"`}[want.Workload]
		if name == "" {
			name = want.Workload
		}
		if in.Name != name {
			t.Errorf("packet %d: interface %q, want %q", i, in.Name, name)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// Wireshark's own reader finds packets, directions, names and comments.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	path := filepath.Join(t.TempDir(), "x.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write(t, f)
	cmd := exec.CommandContext(t.Context(), tshark, "-r", path, "-T", "fields", "-E", "separator=|", "-e", "frame.comment", "-e", "frame.interface_name",
		"-e", "frame.packet_flags_direction", "-e", "ip.src", "-e", "udp.dstport", "-e", "frame.len", "-e", "frame.time_epoch")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 4 {
		t.Fatalf("tshark reads %q", out)
	}
	for i, want := range []string{"|shop/web|0x00000002|10.0.0.1||28|1780315200.123456789", "|shop/db|0x00000001|10.0.0.1|53|28|1780315200.123456790", "|98304|", "|web|0x00000002|10.0.0.1|53|28|"} {
		first, _, _ := strings.Cut(comments[i], " direction")
		if !strings.Contains(lines[i], want) || i != 2 && !strings.HasPrefix(lines[i], first) {
			t.Errorf("packet %d: %q, want %q and %q", i, lines[i], first, want)
		}
	}
}

// More workloads than a file tells apart cost a name, and no packet.
func TestManyWorkloads(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, Meta{Name: "all"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxInterfaces + 10 {
		if err := w.Write(&Packet{Workload: time.Duration(i).String(), Data: ping, Length: 28}); err != nil {
			t.Fatal(err)
		}
	}
	if n, _ := w.Written(); n != maxInterfaces+10 || len(w.interfaces) != maxInterfaces {
		t.Errorf("%d packets of %d interfaces", n, len(w.interfaces))
	}
}

// A full disk is told at once and for good, and what stands before it is whole.
func TestFull(t *testing.T) {
	full := errors.New("no room")
	room := &limited{room: 4 << 10, err: full}
	w, err := NewWriter(room, Meta{Name: "all"})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if err = w.Write(packets()[0]); err != nil {
			break
		}
		if err = w.Flush(); err != nil {
			break
		}
	}
	if !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	if again := w.Write(packets()[0]); again != err || w.Flush() != err {
		t.Errorf("afterwards %v", again)
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(room.got[:w.Whole()]), pcapgo.DefaultNgReaderOptions)
	for n := 0; err == nil; n++ {
		if _, _, err = r.ReadPacketData(); errors.Is(err, io.EOF) && n < 10 {
			t.Errorf("%d packets", n)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the whole packets end with %v", err)
	}
}

type limited struct {
	room int
	got  []byte
	err  error
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.room-len(l.got))
	l.got = append(l.got, b[:n]...)
	if n < len(b) {
		return n, l.err
	}
	return n, nil
}

func TestLongName(t *testing.T) {
	c := comment(&Packet{Workload: strings.Repeat("é", 40_000)})
	if len(c) > 400 {
		t.Errorf("a comment of %d bytes", len(c))
	}
}
