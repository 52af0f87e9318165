package role

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// deferAccept makes a listener's connections begin with their first data.
func deferAccept(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 5)
	})
	if err == nil {
		err = set
	}
	return err
}

// SleepMark is the type of service (the traffic class) by which a script says that it
// sleeps until it has heard all that comes before its n-th turn.
func SleepMark(n int) int { return (n%63 + 1) << 2 }

// sleep waits until that many bytes can be read, without a look at the socket.
func sleep(c *net.TCPConn, bytes, turn int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	asleep := false
	err = raw.Read(func(fd uintptr) bool {
		if asleep {
			return true
		}
		asleep = true
		if set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes); set != nil {
			return true
		}
		// One of them is another protocol's.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, SleepMark(turn))
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TCLASS, SleepMark(turn))
		return false
	})
	if err == nil {
		err = set
	}
	return err
}

// lowWater wakes the program for every byte.
func lowWater(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1) })
	if err == nil {
		err = set
	}
	return err
}
