package pack

import (
	"encoding/binary"
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// Which of a record's rarer parts follow.
const (
	hasPreexisting = 1 << iota
	hasClientSeen
	hasServerSeen
	hasXlated
	hasDelta
	hasDrops
	hasDrop
	hasICMP
)

// merged stands in the byte of the verdict where the record stands for others, too:
// their number follows.
const merged = 0x80

// record appends r. The order is that of cursor.record.
func (p *Packer) record(b []byte, r *flow.Record) []byte {
	if r.Kind == flow.RecordL7 {
		return p.l7(b, r)
	}
	f := &r.Flow
	flags := byte(0)
	set := func(bit byte, on bool) {
		if on {
			flags |= bit
		}
	}
	set(hasPreexisting, f.Preexisting)
	set(hasClientSeen, f.Client.Seen)
	set(hasServerSeen, f.Server.Seen)
	set(hasXlated, f.ServerXlated != netip.AddrPort{} || f.ClientXlated != netip.AddrPort{})
	set(hasDelta, r.Delta != flow.Delta{})
	set(hasDrops, f.Drops != 0 || f.DropReason != "")
	set(hasDrop, r.Drop != nil)
	set(hasICMP, f.ICMPType != 0 || f.ICMPCode != 0)

	b = append(appendHead(b, r, flags), byte(f.Protocol), byte(f.End))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Time))
	// The other times are near the record's: a difference is short.
	b = binary.AppendVarint(b, f.Start-r.Time)
	b = binary.AppendVarint(b, f.Last-r.Time)
	if f.Ended == 0 {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		b = binary.AppendVarint(b, f.Ended-r.Time)
	}
	b = binary.AppendUvarint(b, f.ID)
	b = p.endpoint(b, &f.Client)
	b = p.endpoint(b, &f.Server)
	if flags&hasXlated != 0 {
		b = appendAddrPort(b, f.ServerXlated)
		b = appendAddrPort(b, f.ClientXlated)
	}
	if flags&hasICMP != 0 {
		b = append(b, f.ICMPType, f.ICMPCode)
	}
	b = binary.AppendVarint(b, f.ConnectLatency)
	b = binary.AppendVarint(b, f.RTT)
	b = binary.AppendUvarint(b, uint64(f.Retransmits))
	b = appendCounters(b, f.Sent)
	b = appendCounters(b, f.Received)
	if flags&hasDelta != 0 {
		b = appendCounters(b, r.Delta.Sent)
		b = appendCounters(b, r.Delta.Received)
		b = binary.AppendUvarint(b, uint64(r.Delta.Retransmits))
	}
	if flags&hasDrops != 0 {
		b = binary.AppendUvarint(b, f.Drops)
		b = binary.AppendUvarint(b, p.text(f.DropReason))
	}
	if flags&hasDrop != 0 {
		b = p.drop(b, r.Drop)
	}
	if r.Kind == flow.RecordVerdict {
		b = p.judged(b, r.Judged)
	}
	return b
}

// appendHead writes what every record begins with.
func appendHead(b []byte, r *flow.Record, flags byte) []byte {
	if r.More == 0 {
		return append(b, byte(r.Kind), byte(r.Verdict)&^merged, flags)
	}
	return binary.AppendUvarint(append(b, byte(r.Kind), byte(r.Verdict)|merged, flags), r.More)
}

func (p *Packer) endpoint(b []byte, e *flow.Endpoint) []byte {
	b = appendAddrPort(b, e.Addr)
	b = binary.AppendUvarint(b, p.workload(e.Workload))
	b = binary.AppendUvarint(b, p.nameList(e.Names))
	b = binary.AppendUvarint(b, p.text(e.Via))
	b = binary.AppendUvarint(b, e.Cookie)
	b = binary.AppendUvarint(b, uint64(e.NetNS))
	b = binary.AppendUvarint(b, uint64(e.PID))
	return appendComm(b, &e.Comm)
}

func appendComm(b []byte, c *flow.Comm) []byte {
	n := len(c)
	for n > 0 && c[n-1] == 0 {
		n--
	}
	b = append(b, byte(n))
	return append(b, c[:n]...)
}

func (p *Packer) drop(b []byte, d *flow.Drop) []byte {
	b = append(b, byte(d.Protocol))
	b = binary.AppendUvarint(b, uint64(d.NetNS))
	b = appendAddrPort(b, d.Source)
	b = appendAddrPort(b, d.Destination)
	b = binary.AppendUvarint(b, p.text(d.Reason))
	b = binary.AppendUvarint(b, d.Packets)
	return binary.AppendUvarint(b, d.Bytes)
}

func appendCounters(b []byte, c flow.Counters) []byte {
	b = binary.AppendUvarint(b, c.Packets)
	b = binary.AppendUvarint(b, c.Payload)
	return binary.AppendUvarint(b, c.Wire)
}

// appendAddrPort writes the address's length, 0 for none, then address and
// port. An IPv6 zone is lost: the kernel's events carry none.
func appendAddrPort(b []byte, a netip.AddrPort) []byte {
	ip := a.Addr()
	switch {
	case ip.Is4():
		v := ip.As4()
		b = append(b, 4)
		b = append(b, v[:]...)
	case ip.Is6():
		v := ip.As16()
		b = append(b, 16)
		b = append(b, v[:]...)
	default:
		b = append(b, 0)
	}
	return binary.LittleEndian.AppendUint16(b, a.Port())
}
