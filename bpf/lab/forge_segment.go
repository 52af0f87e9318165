package lab

import (
	"encoding/binary"
	"net/netip"
)

// Flags of a TCP header, RFC 9293 §3.1.
const (
	flagFIN = 1
	flagSYN = 2
	flagRST = 4
	flagPSH = 8
	flagACK = 16
)

// segment is a TCP segment on a wire, between two ends.
type segment struct {
	from, to   netip.AddrPort
	seq, ack   uint32
	flags      uint8
	window     uint16
	sent, echo uint32 // timestamps, RFC 7323
	scale      uint8  // of the window, in a SYN; none is 0
	service    uint8  // type of service, or traffic class, as it arrived
	data       []byte
}

const (
	optMSS       = 2
	optScale     = 3
	optTimestamp = 8

	protocolTCP     = 6
	protocolOptions = 60 // IPv6 destination options
)

// marshal is the packet. With behindOptions its IPv6 header is followed by
// destination options, which say nothing.
func (s *segment) marshal(badChecksum, behindOptions bool) []byte {
	tcp := s.header()
	tcp = append(tcp, s.data...)
	v6 := s.from.Addr().Is6()
	sum := checksum(pseudo(s.from.Addr(), s.to.Addr(), len(tcp)), tcp)
	if badChecksum {
		sum ^= 0x5555
	}
	binary.BigEndian.PutUint16(tcp[16:], sum)
	if v6 {
		return append(headerV6(s.from.Addr(), s.to.Addr(), len(tcp), behindOptions), tcp...)
	}
	return append(headerV4(s.from.Addr(), s.to.Addr(), len(tcp)), tcp...)
}

func (s *segment) header() []byte {
	h := make([]byte, 20, 40)
	binary.BigEndian.PutUint16(h, s.from.Port())
	binary.BigEndian.PutUint16(h[2:], s.to.Port())
	binary.BigEndian.PutUint32(h[4:], s.seq)
	binary.BigEndian.PutUint32(h[8:], s.ack)
	h[13] = s.flags
	binary.BigEndian.PutUint16(h[14:], s.window)
	if s.flags&flagSYN != 0 {
		h = append(h, optMSS, 4, 1460>>8, 1460&0xff, 1, optScale, 3, s.scale)
	}
	h = append(h, 1, 1, optTimestamp, 10)
	h = binary.BigEndian.AppendUint32(h, s.sent)
	h = binary.BigEndian.AppendUint32(h, s.echo)
	h[12] = byte(len(h) / 4 << 4)
	return h
}

func headerV4(from, to netip.Addr, length int) []byte {
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, protocolTCP
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+length))
	copy(h[12:], from.AsSlice())
	copy(h[16:], to.AsSlice())
	binary.BigEndian.PutUint16(h[10:], checksum(0, h))
	return h
}

func headerV6(from, to netip.Addr, length int, behindOptions bool) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, protocolTCP, 64
	copy(h[8:], from.AsSlice())
	copy(h[24:], to.AsSlice())
	if behindOptions {
		h[6] = protocolOptions
		h = append(h, protocolTCP, 0, 1, 4, 0, 0, 0, 0) // PadN of four
	}
	binary.BigEndian.PutUint16(h[4:], uint16(len(h)-40+length))
	return h
}

// pseudo is the sum of the pseudo header, RFC 9293 §3.1.
func pseudo(from, to netip.Addr, length int) uint32 {
	sum := uint32(protocolTCP) + uint32(length)
	for _, a := range [][]byte{from.AsSlice(), to.AsSlice()} {
		for i := 0; i < len(a); i += 2 {
			sum += uint32(a[i])<<8 | uint32(a[i+1])
		}
	}
	return sum
}

// checksum is RFC 1071's.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// parseSegment reads what a kernel sent; false where it is no TCP over IP.
func parseSegment(b []byte) (s segment, ok bool) {
	var from, to netip.Addr
	var service uint8
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == protocolTCP:
		from, to = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		service = b[1]
		b = b[min(int(b[0]&15)*4, len(b)):]
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] == protocolTCP:
		from, to = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		service = b[0]<<4 | b[1]>>4
		b = b[40:]
	default:
		return s, false
	}
	if len(b) < 20 || int(b[12]>>4)*4 < 20 || int(b[12]>>4)*4 > len(b) {
		return s, false
	}
	s = segment{
		from: netip.AddrPortFrom(from, binary.BigEndian.Uint16(b)), to: netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:])),
		seq: binary.BigEndian.Uint32(b[4:]), ack: binary.BigEndian.Uint32(b[8:]),
		flags: b[13], service: service, window: binary.BigEndian.Uint16(b[14:]), data: b[int(b[12]>>4)*4:],
	}
	s.options(b[20 : int(b[12]>>4)*4])
	return s, true
}

func (s *segment) options(o []byte) {
	for len(o) > 0 && o[0] != 0 {
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return
		}
		switch {
		case o[0] == optScale && o[1] == 3:
			s.scale = o[2]
		case o[0] == optTimestamp && o[1] == 10:
			s.sent, s.echo = binary.BigEndian.Uint32(o[2:]), binary.BigEndian.Uint32(o[6:])
		}
		o = o[o[1]:]
	}
}
