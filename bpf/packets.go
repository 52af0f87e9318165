package bpf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/seed79351815/weir/collector/flow"
)

// MaxSnapLength is the most of a packet that can be captured. Packets are larger
// where the kernel cuts them later (segmentation offload).
const MaxSnapLength = 65536

// PacketConfig says which packets of the chosen cgroups are captured, and how much
// of each. The zero value is all of all.
type PacketConfig struct {
	RingSize   int            // bytes, a power of two and a multiple of the page size; 16 MiB
	SnapLength int            // bytes of each packet, at most MaxSnapLength, which is the default
	Protocol   flow.Protocol  // 0 is any
	Ports      []uint16       // any of them at either end; at most MaxPacketFilter
	Ranges     []netip.Prefix // any of them at either end; at most MaxPacketFilter
}

// MaxPacketFilter bounds the values of one kind that the kernel compares each packet with.
const MaxPacketFilter = 8

// Packet is one that passed a socket, or that the kernel dropped.
type Packet struct {
	Time     int64 // ns since the Unix epoch
	Cookie   uint64
	Cgroup   uint64 // of the socket's creator
	Egress   bool
	Length   int       // bytes that it has
	Data     []byte    // from the IP header on; at most the snap length, and a header where it was only dropped
	PID      uint32    // process that opened the socket, its listener for an accepted one; 0 when not known
	Comm     flow.Comm //
	Drop     string    // why the kernel dropped it, enum skb_drop_reason without its prefix; "" for one that passed
	HeadOnly bool      // it is known by its drop alone, and the direction is not known

	skb uint64
}

// Packets captures whole packets of chosen cgroups. It has programs and maps of its
// own, so nobody else pays for it. Attach may be called from any goroutine.
type Packets struct {
	coll   *ebpf.Collection
	drops  link.Link
	reader *ringbuf.Reader
	names  dropTable // of reasons

	listeners atomic.Pointer[map[listenerKey]snapOwner]
}

// OpenPackets loads the programs. Errors are of the kinds that Open gives. Close must be
// called at the end. No packet is captured before Attach.
func OpenPackets(cfg PacketConfig) (*Packets, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, explain("lift the limit of locked memory", err)
	}
	reasons, err := dropReasons()
	if err != nil {
		return nil, err
	}
	spec, err := cfg.spec(reasons)
	if err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, explainLoad("capture", err)
	}
	p := &Packets{coll: coll, names: dropTable{reasons: reasons}}
	if err := p.start(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (cfg PacketConfig) spec(reasons map[uint32]string) (*ebpf.CollectionSpec, error) {
	want, err := cfg.filter()
	if err != nil {
		return nil, err
	}
	spec, err := loadCapture()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF object capture: %w", err)
	}
	ring, snap := cfg.RingSize, cfg.SnapLength
	if ring <= 0 {
		ring = 16 << 20
	}
	if snap <= 0 || snap > MaxSnapLength {
		snap = MaxSnapLength
	}
	spec.Maps[captureMapSnaps].MaxEntries = uint32(ring)
	for name, value := range map[string]any{
		captureVarWanted: want, captureVarSnapLength: uint32(snap), captureVarOrdinaryReasons: ordinaryReasons(reasons),
		captureVarWakeupBytes: uint64(min(ring/8, 256<<10)),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("set %s of BPF object capture: %w", name, err)
		}
	}
	return spec, nil
}

// filter is the condition as the programs read it.
func (cfg PacketConfig) filter() (f captureSnapFilter, err error) {
	if len(cfg.Ports) > MaxPacketFilter || len(cfg.Ranges) > MaxPacketFilter {
		return f, fmt.Errorf("capture: %d ports and %d ranges of addresses, at most %d of each", len(cfg.Ports), len(cfg.Ranges), MaxPacketFilter)
	}
	f.Protocol, f.Ports, f.Ranges = uint8(cfg.Protocol), uint8(len(cfg.Ports)), uint32(len(cfg.Ranges))
	copy(f.Port[:], cfg.Ports)
	for i, r := range cfg.Ranges {
		if !r.IsValid() {
			return f, errors.New("capture: a range of addresses that is none")
		}
		f.Base[i], f.Mask[i] = rangeWords(r)
	}
	return f, nil
}

// start attaches what is not of a single cgroup.
func (p *Packets) start() (err error) {
	if p.reader, err = ringbuf.NewReader(p.coll.Maps[captureMapSnaps]); err != nil {
		return fmt.Errorf("open ring of packets: %w", err)
	}
	p.drops, err = link.AttachTracing(link.TracingOptions{Program: p.coll.Programs[captureProgSnapDropped]})
	if err != nil {
		return explain("attach snap_dropped to tp_btf/kfree_skb", err)
	}
	return nil
}

// meet learns the owners of the sockets that are there already.
func (p *Packets) meet() error {
	it, err := link.AttachIter(link.IterOptions{Program: p.coll.Programs[captureProgSnapFiles]})
	if err != nil {
		return explain("attach snap_files to iter/task_file", err)
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return explain("open iter/task_file", err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		return explain("read iter/task_file", err)
	}
	listeners := parseListeners(raw)
	p.listeners.Store(&listeners)
	return nil
}

// Attach begins to capture the packets of a cgroup and of all below it, by the
// directory that it is. The returned function ends it; so does Close.
func (p *Packets) Attach(cgroup string) (detach func(), err error) {
	var links []link.Link
	detach = func() {
		for _, l := range links {
			l.Close()
		}
	}
	for _, h := range []struct {
		program string
		attach  ebpf.AttachType
	}{
		// The owner first: a packet without one would be told to have none.
		{captureProgSnapCreate, ebpf.AttachCGroupInetSockCreate},
		{captureProgSnapBind4, ebpf.AttachCGroupInet4PostBind}, {captureProgSnapBind6, ebpf.AttachCGroupInet6PostBind},
		{captureProgSnapEgress, ebpf.AttachCGroupInetEgress}, {captureProgSnapIngress, ebpf.AttachCGroupInetIngress},
	} {
		l, err := link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: h.attach, Program: p.coll.Programs[h.program]})
		if err != nil {
			detach()
			return nil, explain("attach "+h.program+" to cgroup "+cgroup, err)
		}
		links = append(links, l)
	}
	if err := p.meet(); err != nil {
		detach()
		return nil, err
	}
	return detach, nil
}

// Lost is what the kernel could not hand over, by stage and reason.
func (p *Packets) Lost() map[flow.Loss]uint64 {
	lost := make(map[flow.Loss]uint64)
	for reason, name := range map[captureSnapLoss]string{
		captureSnapLossSNAP_LOSS_RING_FULL: "ring_full", captureSnapLossSNAP_LOSS_UNREADABLE: "packet_unreadable",
	} {
		var cpus []uint64
		if err := p.coll.Maps[captureMapSnapLosses].Lookup(uint32(reason), &cpus); err != nil {
			continue // the map is an array: its elements are always there
		}
		for _, n := range cpus {
			if n > 0 {
				lost[flow.Loss{Stage: "kernel", Reason: name}] += n
			}
		}
	}
	return lost
}

// packetPoll is how long a packet waits in the ring at most.
const packetPoll = 20 * time.Millisecond

// Run hands take every packet, in the order in which they were seen, until ctx is
// done, which is no error, or take returns an error. What passed before ctx was
// done is still handed over. A packet and its Data are the Packets' again when take
// returns. It is called once.
func (p *Packets) Run(ctx context.Context, take func(*Packet) error) error {
	d := dropper{take: take}
	for ctx.Err() == nil {
		if err := p.drain(&d, time.Now().Add(packetPoll), func(*Packet) bool { return ctx.Err() != nil }); err != nil {
			return err
		}
		if err := d.settle(time.Now().UnixNano()); err != nil {
			return err
		}
	}
	end := time.Now()
	if err := p.drain(&d, end, func(pkt *Packet) bool { return pkt.Time > end.UnixNano() }); err != nil {
		return err
	}
	return d.finish()
}

// drain hands over what the ring holds until it is empty at deadline, or past is true
// of a packet, or the drops' turn has come.
func (p *Packets) drain(d *dropper, deadline time.Time, past func(*Packet) bool) error {
	var rec ringbuf.Record
	offset := bootOffset()
	p.reader.SetDeadline(deadline)
	for range drainLimit {
		err := p.reader.ReadInto(&rec)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read ring of packets: %w", err)
		}
		pkt, err := p.decode(rec.RawSample, offset)
		if err != nil {
			return err
		}
		if err := d.add(pkt); err != nil {
			return err
		}
		if past(pkt) {
			return nil
		}
	}
	return nil
}

// Close takes the programs out of the kernel, those of every cgroup included. It is
// not safe beside Run.
func (p *Packets) Close() {
	if p.drops != nil {
		p.drops.Close()
	}
	if p.reader != nil {
		p.reader.Close()
	}
	p.coll.Close()
}
