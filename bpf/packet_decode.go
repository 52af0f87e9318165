package bpf

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"github.com/seed79351815/weir/collector/flow"
)

var errSnap = errors.New("ring of packets: a packet is shorter than it says")

// decode reads what the programs wrote. The packet's data is a copy.
func (p *Packets) decode(raw []byte, offset int64) (*Packet, error) {
	const head = int(unsafe.Sizeof(captureSnapHead{}))
	if len(raw) < head {
		return nil, errSnap
	}
	h := (*captureSnapHead)(unsafe.Pointer(unsafe.SliceData(raw)))
	if int64(h.Captured) > int64(len(raw)-head) {
		return nil, errSnap
	}
	pkt := &Packet{
		Time: int64(h.Time) + offset, Cookie: h.Cookie, Cgroup: h.Cgroup, Length: int(h.Len),
		Data: slices.Clone(raw[head : head+int(h.Captured)]), PID: h.Pid, Comm: flow.Comm(h.Comm), skb: h.Skb,
	}
	switch captureSnapKind(h.Kind) {
	case captureSnapKindSNAP_EGRESS:
		pkt.Egress = true
	case captureSnapKindSNAP_DROP:
		pkt.Drop, pkt.HeadOnly = p.names.reason(h.Reason), true
	}
	if listeners := p.listeners.Load(); listeners != nil && pkt.PID == 0 {
		o := (*listeners)[listenerKey{pkt.Cgroup, localPort(pkt)}]
		pkt.PID, pkt.Comm = o.pid, o.comm
	}
	return pkt, nil
}

// listenerKey finds who listens, where the kernel does not tell it of a socket.
type listenerKey struct {
	cgroup uint64
	port   uint16
}

type snapOwner struct {
	pid  uint32
	comm flow.Comm
}

// parseListeners reads what snap_files wrote.
func parseListeners(raw []byte) map[listenerKey]snapOwner {
	const size = int(unsafe.Sizeof(captureSnapListener{}))
	out := make(map[listenerKey]snapOwner)
	for ; len(raw) >= size; raw = raw[size:] {
		l := (*captureSnapListener)(unsafe.Pointer(unsafe.SliceData(raw)))
		out[listenerKey{l.Cgroup, l.Port}] = snapOwner{l.Pid, flow.Comm(l.Comm)}
	}
	return out
}

// localPort is the socket's own port of a TCP packet; 0 where it has none.
func localPort(p *Packet) uint16 {
	source, destination, _ := tcpPorts(p.Data)
	if p.Egress || p.HeadOnly { // packets that are dropped before they pass are mostly sent ones
		return source
	}
	return destination
}

// tcpPorts are the ports of a TCP packet, past the header that makes a packet of
// IPv6 a jumbogram (RFC 2675), as the kernel makes them on loopback.
func tcpPorts(data []byte) (source, destination uint16, ok bool) {
	if len(data) < 40 {
		return 0, 0, false
	}
	head, protocol := int(data[0]&15)*4, data[9]
	if data[0]>>4 == 6 {
		head, protocol = 40, data[6]
		if protocol == 0 && len(data) >= 48 {
			head, protocol = 40+8*(int(data[41])+1), data[40]
		}
	}
	if flow.Protocol(protocol) != flow.TCP || len(data) < head+4 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint16(data[head:]), binary.BigEndian.Uint16(data[head+2:]), true
}

// rangeWords are the base and the mask of a range of addresses, as two words of 16
// bytes in memory each. IPv4 is mapped into IPv6.
func rangeWords(r netip.Prefix) (base, mask [2]uint64) {
	bits := r.Bits()
	if r.Addr().Is4() {
		bits += 96
	}
	a := r.Addr().As16()
	var m [16]byte
	for i := range bits {
		m[i/8] |= 0x80 >> (i % 8)
	}
	for i := range a {
		a[i] &= m[i]
	}
	for i := range base {
		base[i], mask[i] = binary.NativeEndian.Uint64(a[8*i:]), binary.NativeEndian.Uint64(m[8*i:])
	}
	return base, mask
}

const (
	// settleTime is how long a packet waits for the news that it was dropped: the
	// kernel tells of most drops in the same call in which the packet passed.
	settleTime = 20 * time.Millisecond
	// settleBytes bounds what waits.
	settleBytes = 8 << 20
)

// dropper joins packets with what became of them. A packet that was dropped behind
// the place where it is captured is told once, with the reason.
type dropper struct {
	take    func(*Packet) error
	waiting []*Packet // oldest first
	bytes   int
}

func (d *dropper) add(p *Packet) error {
	if p.Drop != "" {
		for _, w := range slices.Backward(d.waiting) {
			if w.skb == p.skb && w.Cookie == p.Cookie && w.Drop == "" {
				w.Drop = p.Drop
				return nil
			}
		}
	}
	d.waiting = append(d.waiting, p)
	d.bytes += len(p.Data)
	return d.settle(p.Time)
}

// settle hands over what has waited long enough at a time, or is too much.
func (d *dropper) settle(now int64) error {
	n := 0
	for n < len(d.waiting) && (d.bytes > settleBytes || now-d.waiting[n].Time >= int64(settleTime)) {
		if err := d.take(d.waiting[n]); err != nil {
			return err
		}
		d.bytes -= len(d.waiting[n].Data)
		d.waiting[n] = nil
		n++
	}
	d.waiting = d.waiting[n:]
	return nil
}

// finish hands over all the rest.
func (d *dropper) finish() error {
	for _, p := range d.waiting {
		if err := d.take(p); err != nil {
			return err
		}
	}
	return nil
}
