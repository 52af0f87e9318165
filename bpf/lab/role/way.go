package role

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Way is how a Sneak sends: one of the ways by which a program may try to get
// round whoever judges sockets.
type Way string

// The ways there are. Each sends some bytes to Spec.Address.
const (
	Plain         Way = "plain"         // TCP, as everybody
	Mapped        Way = "mapped"        // TCP to ::ffff:a.b.c.d
	Reconnected   Way = "reconnected"   // TCP, by a socket that was connected to Spec.Path before
	FastOpen      Way = "fast-open"     // TCP, the data with connect
	Multipath     Way = "multipath"     // MPTCP
	BoundDevice   Way = "bound-device"  // TCP, bound to the device eth0
	Datagrammed   Way = "datagram"      // UDP, connected
	SendTo        Way = "sendto"        // UDP, not connected
	MappedSendTo  Way = "mapped-sendto" // UDP to ::ffff:a.b.c.d
	SendToOther   Way = "sendto-other"  // UDP, by a socket that is connected to Spec.Path
	DatagramAgain Way = "udp-again"     // UDP, by a socket that was connected to Spec.Path before
	Large         Way = "large"         // UDP that is sent in fragments
	Options       Way = "options"       // UDP over IPv6 with a destination options header
	Raw           Way = "raw"           // UDP by a raw socket that writes its own IP header
	RawSource     Way = "raw-source"    // the same with Spec.Path's address as the source
	RawTail       Way = "raw-tail"      // a fragment alone, which has no ports
	RawProtocol   Way = "raw-protocol"  // GRE by a raw socket
	Ring          Way = "io-uring"      // TCP, connected and sent by io_uring
	Broadcast     Way = "broadcast"     // UDP to everybody on the host's network
	Multicast     Way = "multicast"     // UDP to all nodes on eth0's link: RFC 4291 §2.7.1
	SourceRoute   Way = "source-route"  // TCP by way of Spec.Path: RFC 791, loose source route
	SourceRoute6  Way = "source-route6" // UDP by way of Spec.Path: a segment routing header, RFC 8754
	Given         Way = "given"         // TCP, by the socket that is its file descriptor 3
	Knock         Way = "knock"         // TCP, begun and not waited for: of a Flood alone
	Moved         Way = "moved"         // TCP, by a socket that was made before the process went to the cgroup Spec.Behaviour
)

// sneak sends Count times by its way, until it is stopped; what fails is in the
// report.
func sneak(ctx context.Context, s Spec, ready func(string), acc *account) error {
	to, err := netip.ParseAddrPort(s.Address)
	if err != nil {
		return err
	}
	var other netip.AddrPort
	if s.Path != "/" {
		if other, err = netip.ParseAddrPort(s.Path); err != nil {
			return err
		}
	}
	send, ok := map[Way]func(to, other netip.AddrPort) error{
		Plain:         func(to, _ netip.AddrPort) error { return stream(to, 0, nil) },
		Mapped:        func(to, _ netip.AddrPort) error { return stream(mapped(to), 0, nil) },
		Reconnected:   reconnected,
		FastOpen:      fastOpen,
		Multipath:     func(to, _ netip.AddrPort) error { return stream(to, unix.IPPROTO_MPTCP, nil) },
		BoundDevice:   func(to, _ netip.AddrPort) error { return stream(to, 0, bindEth0) },
		Datagrammed:   func(to, _ netip.AddrPort) error { return datagram(to, to, nil, 64) },
		SendTo:        func(to, _ netip.AddrPort) error { return datagram(netip.AddrPort{}, to, nil, 64) },
		MappedSendTo:  func(to, _ netip.AddrPort) error { return datagram(netip.AddrPort{}, mapped(to), nil, 64) },
		SendToOther:   func(to, other netip.AddrPort) error { return datagram(other, to, nil, 64) },
		DatagramAgain: udpAgain,
		Large:         func(to, _ netip.AddrPort) error { return datagram(netip.AddrPort{}, to, nil, 4000) },
		Options:       func(to, _ netip.AddrPort) error { return datagram(netip.AddrPort{}, to, destinationOptions, 64) },
		Raw:           func(to, _ netip.AddrPort) error { return raw(to, netip.Addr{}, unix.IPPROTO_UDP, 0) },
		RawSource:     func(to, other netip.AddrPort) error { return raw(to, other.Addr(), unix.IPPROTO_UDP, 0) },
		RawTail:       func(to, _ netip.AddrPort) error { return raw(to, netip.Addr{}, unix.IPPROTO_UDP, 100) },
		RawProtocol:   func(to, _ netip.AddrPort) error { return raw(to, netip.Addr{}, unix.IPPROTO_GRE, 0) },
		Ring:          ringStream,
		Broadcast:     broadcast,
		Multicast:     multicast,
		SourceRoute:   func(to, hop netip.AddrPort) error { return stream(to, 0, looseRoute(hop.Addr(), to.Addr())) },
		SourceRoute6:  func(to, hop netip.AddrPort) error { return datagram(netip.AddrPort{}, to, segments(hop.Addr()), 64) },
		Given:         func(to, _ netip.AddrPort) error { return connectTell(3, to) },
		Moved: func(to, _ netip.AddrPort) error {
			return stream(to, 0, func(int) error {
				return os.WriteFile(filepath.Join(string(s.Behaviour), "cgroup.procs"), []byte("0"), 0)
			})
		},
	}[s.Way]
	if !ok {
		send, ok = frames[s.Way]
	}
	if !ok {
		return fmt.Errorf("way %q: unknown", s.Way)
	}
	for n := 0; n < s.Count && ctx.Err() == nil; n++ {
		err = send(to, other)
		acc.add(Conn{Remote: to}, 0, err == nil, err)
		ready("")
	}
	return nil
}

func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

func sockaddr(a netip.AddrPort) (family int, sa unix.Sockaddr) {
	if a.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// patient bounds what a socket waits for.
func patient(fd int) error {
	return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Usec: 700_000})
}

func stream(to netip.AddrPort, protocol int, prepare func(fd int) error) error {
	family, _ := sockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := patient(fd); err != nil {
		return err
	}
	if prepare != nil {
		if err := prepare(fd); err != nil {
			return err
		}
	}
	return connectTell(fd, to)
}

func connectTell(fd int, to netip.AddrPort) error {
	_, sa := sockaddr(to)
	err := unix.Connect(fd, sa)
	if err == unix.EINTR {
		err = connected(fd)
	}
	if err != nil {
		return err
	}
	return tellStream(fd)
}

// connected waits for what became of a connect(2) that a signal interrupted.
func connected(fd int) error {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(polled, 700)
	for err == unix.EINTR {
		n, err = unix.Poll(polled, 700)
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return unix.ETIMEDOUT
	}
	result, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || result == 0 {
		return err
	}
	return unix.Errno(result)
}

// tellStream sends and waits for the echo, so that what was sent has arrived.
func tellStream(fd int) error {
	if _, err := unix.Write(fd, make([]byte, 64)); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 700_000}); err != nil {
		return err
	}
	_, err := unix.Read(fd, make([]byte, 64))
	for err == unix.EINTR {
		_, err = unix.Read(fd, make([]byte, 64))
	}
	return err
}

func bindEth0(fd int) error {
	return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "eth0")
}

// disconnect is connect(2) with AF_UNSPEC.
func disconnect(fd int) error {
	var sa unix.RawSockaddr
	sa.Family = unix.AF_UNSPEC
	return rawConnect(fd, &sa)
}

func reconnected(to, other netip.AddrPort) error {
	return stream(other, 0, func(fd int) error {
		_, first := sockaddr(other)
		if err := unix.Connect(fd, first); err != nil {
			return err
		}
		if err := tellStream(fd); err != nil {
			return err
		}
		if err := disconnect(fd); err != nil {
			return err
		}
		_, sa := sockaddr(to)
		if err := unix.Connect(fd, sa); err != nil {
			return err
		}
		if err := tellStream(fd); err != nil {
			return err
		}
		return disconnect(fd)
	})
}

func fastOpen(to, _ netip.AddrPort) error {
	family, sa := sockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := patient(fd); err != nil {
		return err
	}
	if err := unix.Sendto(fd, make([]byte, 64), unix.MSG_FASTOPEN, sa); err != nil {
		return err
	}
	return tellStream(fd)
}

// datagram sends size bytes, by a socket that is connected to `connected` where
// that is given.
func datagram(connected, to netip.AddrPort, prepare func(fd int) error, size int) error {
	family, sa := sockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if prepare != nil {
		if err := prepare(fd); err != nil {
			return err
		}
	}
	if connected.IsValid() {
		_, first := sockaddr(connected)
		if err := unix.Connect(fd, first); err != nil {
			return err
		}
		if connected == to {
			_, err := unix.Write(fd, make([]byte, size))
			return err
		}
	}
	return unix.Sendto(fd, make([]byte, size), 0, sa)
}

func broadcast(to, _ netip.AddrPort) error {
	all := to.Addr().As4()
	all[3] = 255
	return datagram(netip.AddrPort{}, netip.AddrPortFrom(netip.AddrFrom4(all), to.Port()), func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	}, 64)
}

func multicast(to, _ netip.AddrPort) error {
	eth, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	return datagram(netip.AddrPort{}, netip.AddrPortFrom(netip.IPv6LinkLocalAllNodes(), to.Port()), func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, eth.Index)
	}, 64)
}

func udpAgain(to, other netip.AddrPort) error {
	return datagram(netip.AddrPort{}, other, func(fd int) error {
		_, first := sockaddr(other)
		if err := unix.Connect(fd, first); err != nil {
			return err
		}
		if _, err := unix.Write(fd, make([]byte, 64)); err != nil {
			return err
		}
		if err := disconnect(fd); err != nil {
			return err
		}
		_, sa := sockaddr(to)
		if err := unix.Connect(fd, sa); err != nil {
			return err
		}
		_, err := unix.Write(fd, make([]byte, 64))
		return err
	}, 64)
}

// looseRoute sends a socket's packets by a hop.
func looseRoute(hop, to netip.Addr) func(fd int) error {
	return func(fd int) error {
		option := append([]byte{1, 131, 11, 4}, hop.AsSlice()...)
		return unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_OPTIONS, string(append(option, to.AsSlice()...)))
	}
}

// segments is the same for IPv6: two segments, of which the kernel puts the
// destination in the place of the last.
func segments(hop netip.Addr) func(fd int) error {
	return func(fd int) error {
		header := append([]byte{0, 4, 4, 1, 1, 0, 0, 0}, make([]byte, 16)...)
		header = append(header, hop.AsSlice()...)
		return unix.SetsockoptString(fd, unix.IPPROTO_IPV6, unix.IPV6_RTHDR, string(header))
	}
}

// destinationOptions makes every packet carry an extension header: RFC 8200 §4.6,
// padding and nothing else.
func destinationOptions(fd int) error {
	const ipv6DstOpts = 59
	return unix.SetsockoptString(fd, unix.IPPROTO_IPV6, ipv6DstOpts, string([]byte{0, 0, 1, 4, 0, 0, 0, 0}))
}

// raw sends one packet with a header of its own making: of UDP to the port, or of
// another protocol. offset is the fragment's, in units of 8 bytes.
func raw(to netip.AddrPort, source netip.Addr, protocol byte, offset uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	packet := make([]byte, 20+8+32)
	packet[0], packet[8], packet[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(packet[6:], offset)
	if source.IsValid() {
		copy(packet[12:], source.AsSlice())
	}
	copy(packet[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(packet[20:], 4321)
	binary.BigEndian.PutUint16(packet[22:], to.Port())
	binary.BigEndian.PutUint16(packet[24:], 8+32) // no checksum: RFC 768 lets it be 0
	_, sa := sockaddr(netip.AddrPortFrom(to.Addr(), 0))
	return unix.Sendto(fd, packet, 0, sa)
}

// rawServer counts the packets of a protocol that arrive, whatever is in them.
func rawServer(ctx context.Context, s Spec, ready func(string), acc *account) error {
	host, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	network := "ip4"
	if strings.Contains(host, ":") {
		network = "ip6"
	}
	pc, err := net.ListenPacket(fmt.Sprintf("%s:%d", network, s.Count), host)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { pc.Close() })
	defer stop()
	ready("0.0.0.0:0")
	buf := make([]byte, 65536)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return nil
		}
		_ = from
		acc.add(Conn{Received: uint64(n)}, 1, false, nil)
	}
}
