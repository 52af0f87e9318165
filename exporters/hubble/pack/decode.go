package pack

import (
	"encoding/binary"
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// cursor reads what Packer.record wrote. The bytes never leave this process,
// so a malformed record is a bug of this package and panics as an index would.
type cursor struct{ data []byte }

func (c *cursor) byte() byte {
	v := c.data[0]
	c.data = c.data[1:]
	return v
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.data)
	c.data = c.data[n:]
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.data)
	c.data = c.data[n:]
	return v
}

func (c *cursor) record(r *flow.Record, b *Batch) {
	*r = flow.Record{Kind: flow.RecordKind(c.byte()), Verdict: flow.Verdict(c.byte())}
	flags := c.byte()
	if r.Kind == flow.RecordL7 {
		c.l7(r, b, flags)
		return
	}
	f := &r.Flow
	f.Protocol, f.End = flow.Protocol(c.byte()), flow.End(c.byte())
	f.Preexisting = flags&hasPreexisting != 0
	r.Time = int64(c.fixed())
	f.Start = r.Time + c.varint()
	f.Last = r.Time + c.varint()
	if c.byte() != 0 {
		f.Ended = r.Time + c.varint()
	}
	f.ID = c.uvarint()
	c.endpoint(&f.Client, b)
	c.endpoint(&f.Server, b)
	f.Client.Seen, f.Server.Seen = flags&hasClientSeen != 0, flags&hasServerSeen != 0
	if flags&hasXlated != 0 {
		f.ServerXlated, f.ClientXlated = c.addrPort(), c.addrPort()
	}
	if flags&hasICMP != 0 {
		f.ICMPType, f.ICMPCode = c.byte(), c.byte()
	}
	f.ConnectLatency, f.RTT = c.varint(), c.varint()
	f.Retransmits = uint32(c.uvarint())
	f.Sent, f.Received = c.counters(), c.counters()
	if flags&hasDelta != 0 {
		r.Delta.Sent, r.Delta.Received = c.counters(), c.counters()
		r.Delta.Retransmits = uint32(c.uvarint())
	}
	if flags&hasDrops != 0 {
		f.Drops = c.uvarint()
		f.DropReason = b.text(c.uvarint())
	}
	if flags&hasDrop != 0 {
		r.Drop = c.drop(b)
	}
	if r.Kind == flow.RecordVerdict {
		r.Judged = c.judged(b)
	}
}

func (c *cursor) endpoint(e *flow.Endpoint, b *Batch) {
	e.Addr = c.addrPort()
	if i := c.uvarint(); i > 0 {
		e.Workload = b.workloads[i-1]
	}
	if i := c.uvarint(); i > 0 {
		e.Names = b.names[i-1]
	}
	e.Via = b.text(c.uvarint())
	e.Cookie = c.uvarint()
	e.NetNS = uint32(c.uvarint())
	e.PID = uint32(c.uvarint())
	e.Comm = c.comm()
}

func (c *cursor) comm() (v flow.Comm) {
	n := int(c.byte())
	copy(v[:], c.data[:n])
	c.data = c.data[n:]
	return v
}

func (c *cursor) drop(b *Batch) *flow.Drop {
	d := &flow.Drop{Protocol: flow.Protocol(c.byte()), NetNS: uint32(c.uvarint())}
	d.Source, d.Destination = c.addrPort(), c.addrPort()
	d.Reason = b.text(c.uvarint())
	d.Packets, d.Bytes = c.uvarint(), c.uvarint()
	return d
}

func (c *cursor) counters() flow.Counters {
	return flow.Counters{Packets: c.uvarint(), Payload: c.uvarint(), Wire: c.uvarint()}
}

func (c *cursor) addrPort() netip.AddrPort {
	n := int(c.byte())
	ip, _ := netip.AddrFromSlice(c.data[:n]) // length 0 gives the zero Addr
	port := binary.LittleEndian.Uint16(c.data[n:])
	c.data = c.data[n+2:]
	return netip.AddrPortFrom(ip, port)
}

func (b *Batch) text(i uint64) string {
	if i == 0 {
		return ""
	}
	return b.texts[i-1]
}
