package role

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// udpServer sends every datagram back. It is one socket, so it counts as one
// connection whatever its peers are.
func udpServer(ctx context.Context, s Spec, ready func(string), acc *account) error {
	return receiveAll(ctx, s, ready, acc, func(pc net.PacketConn, peer net.Addr, datagram []byte, conn *Conn) (said uint64) {
		pause(ctx, s.Delay)
		if n, err := pc.WriteTo(datagram, peer); err == nil {
			conn.Sent += uint64(n)
			said = 1
		}
		return said
	})
}

// receiveAll hands every datagram to answer, which says how many it sent, until ctx
// ends.
func receiveAll(ctx context.Context, s Spec, ready func(string), acc *account,
	answer func(pc net.PacketConn, peer net.Addr, datagram []byte, conn *Conn) (said uint64)) error {
	pc, err := net.ListenPacket("udp", s.Address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer pc.Close()
	// What has arrived by the end is still counted.
	stop := context.AfterFunc(ctx, func() { _ = pc.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) })
	defer stop()
	ready(pc.LocalAddr().String())

	conn := Conn{Local: addrPort(pc.LocalAddr())}
	var messages uint64
	buf := make([]byte, 64<<10)
	for {
		n, peer, err := pc.ReadFrom(buf)
		if err != nil && ctx.Err() != nil {
			break
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		conn.Received += uint64(n)
		messages += 1 + answer(pc, peer, buf[:n], &conn)
	}
	acc.add(conn, messages, true, nil)
	return nil
}

func udpClient(ctx context.Context, s Spec, ready func(string), acc *account) error {
	var mu sync.Mutex
	var held []io.Closer
	each(s, func() {
		c, err := net.DialTimeout("udp", s.Address, s.Timeout)
		if err != nil {
			acc.add(Conn{}, 0, false, err)
			return
		}
		conn, messages, err := udpExchange(s, c)
		acc.add(conn, messages, true, err)
		if s.Wait && err == nil {
			mu.Lock()
			held = append(held, c)
			mu.Unlock()
			return
		}
		_ = c.Close()
	})
	finish(ctx, s, ready, held)
	return nil
}

// udpExchange sends one datagram after the other, each when the last was
// answered. Without an answer in time the exchange has failed.
func udpExchange(s Spec, c net.Conn) (conn Conn, messages uint64, err error) {
	conn = Conn{Local: addrPort(c.LocalAddr()), Remote: addrPort(c.RemoteAddr())}
	buf := make([]byte, 64<<10)
	out := make([]byte, s.Bytes)
	_, _ = pattern{}.Read(out)
	for range s.Messages {
		_ = c.SetDeadline(time.Now().Add(s.Timeout))
		n, err := c.Write(out)
		if err != nil {
			return conn, messages, err
		}
		conn.Sent += uint64(n)
		messages++
		if s.Behaviour == Sink {
			continue
		}
		n, err = c.Read(buf)
		if err != nil {
			return conn, messages, err
		}
		conn.Received += uint64(n)
		messages++
	}
	return conn, messages, nil
}
