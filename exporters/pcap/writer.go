package pcap

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Meta is what a file says of itself.
type Meta struct {
	Application string // that writes it
	OS          string
	Comment     string // how it was made
	Name        string // of the first interface: what was captured
	SnapLength  int    // bytes of a packet at most
}

// maxInterfaces bounds the names that a file tells apart; Wireshark shows each as an
// interface. The packets of more workloads are of the first; their comments still
// name them.
const maxInterfaces = 1024

// Writer writes a file. It is safe for many goroutines. After an error every later
// call returns the same one.
type Writer struct {
	mu         sync.Mutex
	ng         *pcapgo.NgWriter
	out        counter
	interfaces map[string]int
	snap       int
	packets    uint64
	whole      int64 // bytes up to the last packet that was surely written whole
	err        error
}

// NewWriter begins a file in out, which stays the caller's to close.
func NewWriter(out io.Writer, meta Meta) (*Writer, error) {
	w := &Writer{out: counter{w: out}, interfaces: map[string]int{}, snap: meta.SnapLength}
	var err error
	w.ng, err = pcapgo.NewNgWriterInterface(&w.out, w.of(quoted(meta.Name)), pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Hardware: runtime.GOARCH, OS: meta.OS, Application: meta.Application, Comment: meta.Comment,
	}})
	if err != nil {
		return nil, fmt.Errorf("write packets: %w", err)
	}
	w.interfaces[quoted(meta.Name)] = 0
	return w, w.Flush()
}

func (w *Writer) of(name string) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeRaw, SnapLength: uint32(w.snap), TimestampResolution: 9}
}

// Write appends a packet. It reaches the file by this or a later call, at the latest
// by Flush.
func (w *Writer) Write(p *Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	i, err := w.index(p.Workload)
	if err != nil {
		return w.fail(err)
	}
	flags := pcapgo.NgEpbFlags{}
	switch p.Direction {
	case Ingress:
		flags.Direction = pcapgo.NgEpbFlagDirectionInbound
	case Egress:
		flags.Direction = pcapgo.NgEpbFlagDirectionOutbound
	}
	err = w.ng.WritePacketWithOptions(gopacket.CaptureInfo{
		Timestamp: time.Unix(0, p.Time), CaptureLength: len(p.Data), Length: max(p.Length, len(p.Data)), InterfaceIndex: i,
	}, p.Data, pcapgo.NgPacketOptions{Comments: []string{comment(p)}, Flags: &flags})
	if err != nil {
		return w.fail(err)
	}
	w.packets++
	return nil
}

// index is the interface of a workload, which is added where it is new.
func (w *Writer) index(workload string) (int, error) {
	if workload == "" {
		return 0, nil
	}
	name := quoted(workload)
	i, known := w.interfaces[name]
	if known || len(w.interfaces) >= maxInterfaces {
		return i, nil
	}
	i, err := w.ng.AddInterface(w.of(name))
	if err == nil {
		w.interfaces[name] = i
	}
	return i, err
}

// Flush writes all that waits.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if err := w.ng.Flush(); err != nil {
		return w.fail(err)
	}
	w.whole = w.out.n
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = fmt.Errorf("write packets: %w", err)
	return w.err
}

// Written is how many packets were taken and how many bytes have gone out.
func (w *Writer) Written() (packets uint64, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets, w.out.n
}

// Whole is the length up to which a file ends with a whole packet, whatever went
// wrong behind it.
func (w *Writer) Whole() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.whole
}

// counter counts what goes through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
