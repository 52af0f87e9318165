package role

import (
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
