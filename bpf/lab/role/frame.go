package role

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Ways past the IP stack: frames of packet sockets. They need CAP_NET_RAW, which
// is among what Docker gives by default.
const (
	Frame           Way = "frame"            // UDP in an Ethernet frame
	FrameCooked     Way = "frame-cooked"     // the same, with the kernel's Ethernet header
	FrameBurst      Way = "frame-burst"      // FrameBurstLen of them by one socket; it fails where none of them passes
	FrameTagged     Way = "frame-tagged"     // with a priority tag (IEEE 802.1Q)
	FrameMislabeled Way = "frame-mislabeled" // with another protocol beside the frame than in it
	FrameExtended   Way = "frame-extended"   // IPv6, behind eight extension headers
	FrameTail       Way = "frame-tail"       // a fragment alone, which has no ports
	FrameForeign    Way = "frame-foreign"    // neither IP nor ARP
	FrameBypass     Way = "frame-bypass"     // past the queueing discipline too
	FrameAnnounce   Way = "frame-announce"   // ARP: Spec.Address is the sender's own
	FrameXDP        Way = "frame-xdp"        // by an AF_XDP socket
)

const (
	ethertypeIPv4 = 0x0800
	ethertypeARP  = 0x0806
	ethertypeVLAN = 0x8100
	ethertypeIPv6 = 0x86dd
	ethertypeLab  = 0x88b5 // IEEE 802: for experiments
)

var frames = map[Way]func(to, other netip.AddrPort) error{
	Frame: func(to, _ netip.AddrPort) error { return sendFrame(unix.SOCK_RAW, ethernet(to, ipUDP(to, 0, 0)), nil) },
	FrameCooked: func(to, _ netip.AddrPort) error {
		return sendFrame(unix.SOCK_DGRAM, frame{kind(to), ipUDP(to, 0, 0)}, nil)
	},
	FrameBurst: func(to, _ netip.AddrPort) error { return sendBurst(ethernet(to, ipUDP(to, 0, 0))) },
	FrameTagged: func(to, _ netip.AddrPort) error {
		inner := binary.BigEndian.AppendUint16([]byte{0, 0}, kind(to))
		return sendFrame(unix.SOCK_RAW, link(ethertypeVLAN, append(inner, ipUDP(to, 0, 0)...)), nil)
	},
	FrameMislabeled: func(to, _ netip.AddrPort) error {
		return sendFrame(unix.SOCK_RAW, frame{ethertypeLab, ethernet(to, ipUDP(to, 0, 0)).bytes}, nil)
	},
	FrameExtended: func(to, _ netip.AddrPort) error {
		return sendFrame(unix.SOCK_RAW, ethernet(to, ipUDP(to, 8, 0)), nil)
	},
	FrameTail: func(to, _ netip.AddrPort) error {
		return sendFrame(unix.SOCK_RAW, ethernet(to, ipUDP(to, 0, 100)), nil)
	},
	FrameForeign: func(_, _ netip.AddrPort) error {
		return sendFrame(unix.SOCK_RAW, link(ethertypeLab, make([]byte, 46)), nil)
	},
	FrameBypass: func(to, _ netip.AddrPort) error {
		return sendFrame(unix.SOCK_RAW, ethernet(to, ipUDP(to, 0, 0)), bypass)
	},
	FrameAnnounce: func(to, _ netip.AddrPort) error {
		return sendFrame(unix.SOCK_RAW, link(ethertypeARP, announcement(to)), nil)
	},
	FrameXDP: func(to, _ netip.AddrPort) error {
		s, err := OpenXDP()
		if err != nil {
			return err
		}
		defer s.Close()
		return s.SendTo(to)
	},
}

// frame is what a packet socket is given, and the protocol that it is told of it.
type frame struct {
	protocol uint16
	bytes    []byte
}

func kind(to netip.AddrPort) uint16 {
	if to.Addr().Is4() {
		return ethertypeIPv4
	}
	return ethertypeIPv6
}

func ethernet(to netip.AddrPort, packet []byte) frame { return link(kind(to), packet) }

// link is a frame for every station: who has the address takes it.
func link(protocol uint16, payload []byte) frame {
	b := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1}
	b = binary.BigEndian.AppendUint16(b, protocol)
	return frame{protocol, append(b, payload...)}
}

// sendFrame sends by eth0.
func sendFrame(kind int, f frame, prepare func(fd int, to *unix.SockaddrLinklayer) error) error {
	device, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrLinklayer{
		Protocol: f.protocol<<8 | f.protocol>>8, Ifindex: device.Index, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	if prepare != nil {
		if err := prepare(fd, to); err != nil {
			return err
		}
	}
	return unix.Sendto(fd, f.bytes, 0, to)
}

// FrameBurstLen is how many frames are in a burst.
const FrameBurstLen = 500

// sendBurst is sendFrame, often.
func sendBurst(f frame) error {
	passed := false
	err := sendFrame(unix.SOCK_RAW, f, func(fd int, to *unix.SockaddrLinklayer) error {
		for range FrameBurstLen - 1 {
			if unix.Sendto(fd, f.bytes, 0, to) == nil {
				passed = true
			}
		}
		return nil
	})
	if passed {
		return nil
	}
	return err
}

func bypass(fd int, _ *unix.SockaddrLinklayer) error {
	return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
}

// ipUDP is a packet from eth0's address: UDP behind so many extension headers
// (IPv6 alone), or (IPv4 alone) the fragment at offset, in units of 8 bytes.
func ipUDP(to netip.AddrPort, extensions int, offset uint16) []byte {
	udp := make([]byte, 8+32)
	binary.BigEndian.PutUint16(udp, 4321)
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	source, destination := ownAddress(to.Addr()).AsSlice(), to.Addr().AsSlice()
	if to.Addr().Is4() {
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP // no checksum of UDP: RFC 768 lets it be 0
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(udp)))
		binary.BigEndian.PutUint16(ip[6:], offset)
		copy(ip[12:], source)
		copy(ip[16:], destination)
		binary.BigEndian.PutUint16(ip[10:], onesComplement(ip))
		return append(ip, udp...)
	}
	pseudo := append(append([]byte{}, source...), destination...)
	pseudo = append(pseudo, 0, 0, 0, byte(len(udp)), 0, 0, 0, unix.IPPROTO_UDP)
	binary.BigEndian.PutUint16(udp[6:], onesComplement(append(pseudo, udp...)))
	const destinationOptions = 60
	var headers []byte
	next := byte(unix.IPPROTO_UDP)
	for range extensions {
		headers = append([]byte{next, 0, 1, 4, 0, 0, 0, 0}, headers...)
		next = destinationOptions
	}
	ip := make([]byte, 40)
	ip[0], ip[6], ip[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(ip[4:], uint16(len(headers)+len(udp)))
	copy(ip[8:], source)
	copy(ip[24:], destination)
	return append(append(ip, headers...), udp...)
}

// ownAddress is eth0's in the family of the other.
func ownAddress(other netip.Addr) netip.Addr {
	device, err := net.InterfaceByName("eth0")
	if err != nil {
		return netip.Addr{}
	}
	addrs, _ := device.Addrs()
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() == other.Is4() && !p.Addr().IsLinkLocalUnicast() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// onesComplement is the Internet checksum of an even number of bytes. RFC 1071.
func onesComplement(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// announcement is gratuitous ARP. RFC 5227 §3.
func announcement(of netip.AddrPort) []byte {
	b := []byte{0, 1, ethertypeIPv4 >> 8, ethertypeIPv4 & 0xff, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1}
	b = append(b, of.Addr().AsSlice()...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, of.Addr().AsSlice()...)
}
