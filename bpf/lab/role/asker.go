package role

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// asker sends each datagram of a script from one socket, and waits for what comes
// back before the next: Report.Each has a connection for each, with what it heard.
func asker(ctx context.Context, s Spec, ready func(string), acc *account) error {
	script, err := readDatagrams(s.Path)
	if err != nil {
		return err
	}
	if s.Behaviour == Stream {
		return askStream(ctx, s, script.Client, ready, acc)
	}
	to, err := net.ResolveUDPAddr("udp", s.Address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	c, send, err := askerSocket(s, to)
	if err != nil {
		acc.add(Conn{Remote: to.AddrPort()}, 0, false, err)
		return nil
	}
	defer c.Close()
	ready("")
	ctx = context.WithoutCancel(ctx) // it finishes what it was told to do
	buf := make([]byte, 64<<10)
	for _, d := range script.Client {
		if d.After > 0 {
			pause(ctx, d.After)
		}
		conn := Conn{Local: addrPort(c.LocalAddr()), Remote: to.AddrPort()}
		n, err := send(d.Say)
		conn.Sent = uint64(n)
		if err == nil {
			var from net.Addr
			_ = c.SetReadDeadline(time.Now().Add(s.Timeout))
			if n, from, err = c.ReadFrom(buf); err == nil {
				conn.Heard, conn.Received, conn.Remote = append([]byte{}, buf[:n]...), uint64(n), addrPort(from)
			}
		}
		acc.add(conn, 1, true, err)
	}
	return nil
}

// askerSocket is connected where the Spec says so.
func askerSocket(s Spec, to *net.UDPAddr) (c *net.UDPConn, send func([]byte) (int, error), err error) {
	if s.Behaviour == Connected {
		if c, err = net.DialUDP("udp", nil, to); err == nil {
			return c, c.Write, nil
		}
	} else if c, err = net.ListenUDP("udp", nil); err == nil {
		return c, func(b []byte) (int, error) { return c.WriteToUDP(b, to) }, nil
	}
	return nil, nil, fmt.Errorf("socket: %w", err)
}

// askStream hears as much as it said, or what came within Timeout.
func askStream(ctx context.Context, s Spec, pieces []Datagram, ready func(string), acc *account) error {
	ready("")
	c, err := net.DialTimeout("tcp", s.Address, s.Timeout)
	if err != nil {
		acc.add(Conn{}, 0, false, err)
		return nil
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(s.Timeout))
	conn := Conn{Local: addrPort(c.LocalAddr()), Remote: addrPort(c.RemoteAddr())}
	var last time.Time
	for _, p := range pieces {
		last = time.Now()
		n, failed := c.Write(p.Say)
		conn.Sent += uint64(n)
		if err = failed; err != nil {
			break
		}
		pause(ctx, time.Millisecond) // a segment for each
	}
	if err == nil {
		conn.Heard = make([]byte, conn.Sent)
		n, failed := io.ReadFull(c, conn.Heard)
		conn.Heard, conn.Received, err = conn.Heard[:n], uint64(n), failed
	}
	conn.Took = time.Since(last)
	acc.add(conn, 0, true, err)
	return nil
}
