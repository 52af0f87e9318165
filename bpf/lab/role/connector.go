package role

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// connector times connect(2), in batches where one call is too short for the clock.
func connector(_ context.Context, s Spec, ready func(string), acc *account) error {
	to, err := netip.ParseAddrPort(s.Address)
	if err != nil {
		return err
	}
	ready("")
	one := connectUDP
	if s.Behaviour == Reset {
		one = connectTCP
	}
	took := make([]time.Duration, 0, s.Count)
	for range s.Count {
		d, err := one(to)
		took = append(took, d)
		acc.add(Conn{}, 0, err == nil, err)
	}
	slices.Sort(took)
	acc.report.Median = took[len(took)/2]
	return nil
}

func connectUDP(to netip.AddrPort) (time.Duration, error) {
	const batch = 100
	family, sa := sockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	begun := time.Now()
	for range batch {
		if err = unix.Connect(fd, sa); err != nil {
			break
		}
	}
	return time.Since(begun) / batch, err
}

func connectTCP(to netip.AddrPort) (time.Duration, error) {
	family, sa := sockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	// No TIME_WAIT: the ports would run out.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return 0, err
	}
	begun := time.Now()
	err = unix.Connect(fd, sa)
	return time.Since(begun), err
}
