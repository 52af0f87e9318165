package role

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// flood tries Count times to send, each time by a socket of its own, to Messages
// ports one after the other from the one of Address on, with Delay between.
func flood(ctx context.Context, s Spec, ready func(string), acc *account) error {
	to, err := netip.ParseAddrPort(s.Address)
	if err != nil {
		return err
	}
	try, ok := map[Way]func(netip.AddrPort) error{
		Plain:  func(to netip.AddrPort) error { return stream(to, 0, nil) },
		Knock:  knock,
		SendTo: func(to netip.AddrPort) error { return datagram(netip.AddrPort{}, to, nil, 64) },
		Raw:    func(to netip.AddrPort) error { return raw(to, netip.Addr{}, unix.IPPROTO_UDP, 0) },
	}[s.Way]
	if !ok {
		return fmt.Errorf("way %q: no flood goes by it", s.Way)
	}
	ready("")
	for n := range s.Count {
		if ctx.Err() != nil && s.Wait {
			break
		}
		err := try(netip.AddrPortFrom(to.Addr(), to.Port()+uint16(n%s.Messages)))
		acc.add(Conn{}, 1, err == nil, err)
		if s.Delay > 0 {
			pause(ctx, s.Delay)
		}
	}
	return nil
}

// knock begins a TCP connection and does not wait for what becomes of it.
func knock(to netip.AddrPort) error {
	family, sa := sockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sa); !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return nil
}
