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

// lowWater leaves the program asleep until so many bytes can be read.
func lowWater(c *net.TCPConn, n int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
	})
	if err == nil {
		err = set
	}
	return err
}
