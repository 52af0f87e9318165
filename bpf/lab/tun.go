package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Wire is a TUN device of a host with forged peers behind it: what the host's
// kernel sends to them the test reads, and what the test writes arrives at the
// kernel like any packet, before the write returns. Safe for concurrent use.
type Wire struct {
	t    testing.TB
	host *Host
	file *os.File

	mu    sync.Mutex
	peers map[netip.AddrPort]*Peer // by their own end
}

// The networks behind every wire: RFC 2544 has this one for tests.
var (
	wireV4 = netip.MustParsePrefix("198.18.0.0/15")
	wireV6 = netip.MustParsePrefix("fd98::/64")
)

// PeerV4 is the address of the forged peer of that number, up to 131,071.
func PeerV4(n int) netip.Addr {
	a := wireV4.Addr().As4()
	return netip.AddrFrom4([4]byte{a[0], a[1] | byte(n>>16&1), byte(n >> 8), byte(n)})
}

// PeerV6 is the same in IPv6.
func PeerV6(n int) netip.Addr {
	a := wireV6.Addr().As16()
	a[13], a[14], a[15] = byte(n>>16), byte(n>>8), byte(n)
	return netip.AddrFrom16(a)
}

// Wire gives the host a TUN device and routes to the peers behind it. It ends
// with the test. It skips where there are no TUN devices.
func (h *Host) Wire() *Wire {
	t := h.lab.t
	t.Helper()
	const name = "wire0"
	w := &Wire{t: t, host: h, peers: make(map[netip.AddrPort]*Peer)}
	err := h.Run(func() (err error) {
		if w.file, err = openTUN(name); err != nil {
			return err
		}
		// What a peer asks again and again is answered each time.
		return os.WriteFile("/proc/sys/net/ipv4/tcp_invalid_ratelimit", []byte("0"), 0)
	})
	if errors.Is(err, os.ErrNotExist) {
		missing(t, "needs TUN devices: %v", err)
	}
	if err != nil {
		t.Fatalf("lab wire of %s: %v", h.Name, err)
	}
	if err := h.configure(func(nl *netlink.Handle) error { return routeTUN(nl, name) }); err != nil {
		_ = w.file.Close()
		t.Fatalf("lab wire of %s: %v", h.Name, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.read()
	}()
	t.Cleanup(func() {
		_ = w.file.Close()
		<-done
	})
	return w
}

func openTUN(name string) (*os.File, error) {
	// Without blocking, so that closing the file ends a read. The runtime may poll it
	// only when there is a device behind it.
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	if err := setTUN(fd, name); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func setTUN(fd int, name string) error {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	return unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
}

func routeTUN(nl *netlink.Handle, name string) error {
	link, err := nl.LinkByName(name)
	if err != nil {
		return fmt.Errorf("TUN device: %w", err)
	}
	// The test reads more slowly than a kernel sends, and a lost packet is a pause.
	if err := nl.LinkSetTxQLen(link, 10000); err != nil {
		return fmt.Errorf("TUN queue: %w", err)
	}
	if err := nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("TUN device up: %w", err)
	}
	for _, p := range []netip.Prefix{wireV4, wireV6} {
		dst := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := nl.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst}); err != nil {
			return fmt.Errorf("route to %s: %w", p, err)
		}
	}
	return nil
}

// read hands every packet to its peer, until the wire is closed.
func (w *Wire) read() {
	buf := make([]byte, 65536)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		s, ok := parseSegment(buf[:n])
		if !ok {
			continue // neighbour discovery, and what else a kernel says by itself
		}
		w.mu.Lock()
		p := w.peers[s.to]
		w.mu.Unlock()
		if p != nil {
			p.take(&s)
		}
	}
}

func (w *Wire) add(p *Peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers[p.local] = p
}

func (w *Wire) write(packet []byte) error {
	if _, err := w.file.Write(packet); err != nil {
		return fmt.Errorf("lab wire of %s: %w", w.host.Name, err)
	}
	return nil
}
