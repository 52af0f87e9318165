package pack

import (
	"encoding/binary"
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// cursor reads what Packer.record wrote. Of bytes that nobody wrote so it makes
// zeros, and says that they are bad.
type cursor struct {
	data []byte
	bad  bool
}

// take gives the next n bytes; nil where there are not so many.
func (c *cursor) take(n int) []byte {
	if n > len(c.data) {
		c.fail()
		return nil
	}
	v := c.data[:n]
	c.data = c.data[n:]
	return v
}

func (c *cursor) fail() { c.data, c.bad = nil, true }

func (c *cursor) byte() byte {
	if len(c.data) == 0 {
		c.fail()
		return 0
	}
	v := c.data[0]
	c.data = c.data[1:]
	return v
}

func (c *cursor) uvarint() uint64 {
	if len(c.data) > 0 && c.data[0] < 0x80 { // most are short
		return uint64(c.byte())
	}
	v, n := binary.Uvarint(c.data)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.data = c.data[n:]
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.data)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.data = c.data[n:]
	return v
}

// count is how many things follow, each of at least one byte.
func (c *cursor) count() int {
	n := c.uvarint()
	if n > uint64(len(c.data)) {
		c.fail()
		return 0
	}
	return int(n)
}

func (c *cursor) fixed() uint64 {
	b := c.take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// entry is what a table has at a place, from 1 on; the zero value for 0.
func entry[V any](c *cursor, table []V) (v V) {
	i := c.uvarint()
	switch {
	case i == 0:
	case i > uint64(len(table)):
		c.fail()
	default:
		v = table[i-1]
	}
	return v
}

func (c *cursor) text(b *Batch) string { return entry(c, b.texts) }

func (c *cursor) record(r *flow.Record, b *Batch) {
	*r = flow.Record{Kind: flow.RecordKind(c.byte())}
	verdict, flags := c.byte(), c.byte()
	if r.Verdict = flow.Verdict(verdict &^ merged); verdict&merged != 0 {
		r.More = c.uvarint()
	}
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
		f.DropReason = c.text(b)
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
	e.Workload, e.Names = entry(c, b.workloads), entry(c, b.names)
	e.Via = c.text(b)
	e.Cookie = c.uvarint()
	e.NetNS = uint32(c.uvarint())
	e.PID = uint32(c.uvarint())
	e.Comm = c.comm()
}

func (c *cursor) comm() (v flow.Comm) {
	n := int(c.byte())
	if n > len(v) {
		c.fail()
		return v
	}
	copy(v[:], c.take(n))
	return v
}

func (c *cursor) drop(b *Batch) *flow.Drop {
	d := &flow.Drop{Protocol: flow.Protocol(c.byte()), NetNS: uint32(c.uvarint())}
	d.Source, d.Destination = c.addrPort(), c.addrPort()
	d.Reason = c.text(b)
	d.Packets, d.Bytes = c.uvarint(), c.uvarint()
	return d
}

func (c *cursor) counters() flow.Counters {
	return flow.Counters{Packets: c.uvarint(), Payload: c.uvarint(), Wire: c.uvarint()}
}

func (c *cursor) addrPort() netip.AddrPort {
	n := int(c.byte())
	if n != 0 && n != 4 && n != 16 {
		c.fail()
	}
	b := c.take(n + 2)
	if b == nil {
		return netip.AddrPort{}
	}
	ip, _ := netip.AddrFromSlice(b[:n]) // length 0 gives the zero Addr
	return netip.AddrPortFrom(ip, binary.LittleEndian.Uint16(b[n:]))
}
