package role

import (
	"context"
	"io"
	"net"
	"time"
)

// steady is ready when the first echo has come. An echo that does not come within
// the timeout ends the connection as failed.
func steady(ctx context.Context, s Spec, ready func(string), acc *account) error {
	c, err := net.DialTimeout("tcp", s.Address, s.Timeout)
	if err != nil {
		acc.add(Conn{}, 0, false, err)
		return nil
	}
	defer c.Close()
	conn := Conn{Local: addrPort(c.LocalAddr()), Remote: addrPort(c.RemoteAddr())}
	echoes := uint64(0)
	buf := make([]byte, s.Bytes)
	for ctx.Err() == nil {
		if err = c.SetDeadline(time.Now().Add(s.Timeout)); err == nil {
			if _, err = c.Write(buf); err == nil {
				_, err = io.ReadFull(c, buf)
			}
		}
		if err != nil {
			break
		}
		conn.Sent += uint64(s.Bytes)
		conn.Received += uint64(s.Bytes)
		echoes++
		ready("")
		pause(ctx, 5*time.Millisecond)
	}
	acc.add(conn, echoes, true, err)
	return nil
}
