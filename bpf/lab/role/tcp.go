package role

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

func tcpServer(ctx context.Context, s Spec, ready func(string), acc *account) error {
	ln, err := net.Listen("tcp", s.Address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	acceptAll(ctx, ln, ready, func(c *net.TCPConn) { tcpAnswer(ctx, s, c, acc) })
	return nil
}

// acceptAll hands every connection to answer, each on its own, until ctx ends; it
// returns when all are through, and closes the listener.
func acceptAll(ctx context.Context, ln net.Listener, ready func(string), answer func(*net.TCPConn)) {
	defer ln.Close()
	ready(ln.Addr().String())
	var conns sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		c, err := ln.Accept()
		if err != nil {
			break // closed by ctx; nothing else ends a listener
		}
		conns.Go(func() { answer(c.(*net.TCPConn)) })
	}
	conns.Wait()
}

// tcpAnswer serves one connection and counts it.
func tcpAnswer(ctx context.Context, s Spec, c *net.TCPConn, acc *account) {
	// A peer that keeps its connection open must not keep the server from ending.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	defer c.Close()

	conn := Conn{Local: addrPort(c.LocalAddr()), Remote: addrPort(c.RemoteAddr())}
	buf := make([]byte, 64<<10)
	var err error
	for first := true; err == nil; first = false {
		var n int
		n, err = c.Read(buf)
		conn.Received += uint64(n)
		if n == 0 {
			continue
		}
		if first && s.Delay > 0 {
			pause(ctx, s.Delay)
		}
		switch s.Behaviour {
		case Reset:
			_ = c.SetLinger(0)
			acc.add(conn, 0, true, nil)
			return
		case Echo:
			var w int
			w, werr := c.Write(buf[:n])
			conn.Sent += uint64(w)
			if werr != nil {
				err = werr
			}
		}
	}
	if err == io.EOF || ctx.Err() != nil {
		err = nil
	}
	acc.add(conn, 0, true, err)
}

func tcpClient(ctx context.Context, s Spec, ready func(string), acc *account) error {
	var mu sync.Mutex
	var held []io.Closer
	each(s, func() {
		c, err := net.DialTimeout("tcp", s.Address, s.Timeout)
		if err != nil {
			acc.add(Conn{}, 0, false, err)
			return
		}
		conn, err := tcpExchange(s, c.(*net.TCPConn))
		acc.add(conn, 0, true, err)
		if s.Wait && err == nil {
			mu.Lock()
			held = append(held, c)
			mu.Unlock()
			return
		}
		if s.Behaviour == Reset {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
		_ = c.Close()
	})
	finish(ctx, s, ready, held)
	return nil
}

// tcpExchange sends Bytes and reads the answer: until the peer's end, or, where
// the connection stays open afterwards, until as much came back.
func tcpExchange(s Spec, c *net.TCPConn) (Conn, error) {
	conn := Conn{Local: addrPort(c.LocalAddr()), Remote: addrPort(c.RemoteAddr())}
	_ = c.SetDeadline(time.Now().Add(s.Timeout))
	defer c.SetDeadline(time.Time{})

	// A side that has finished can no longer reset.
	open := s.Wait || s.Behaviour == Reset
	type written struct {
		n   int64
		err error
	}
	sent := make(chan written, 1)
	go func() {
		// Beside the reader: an echo of more than the socket buffers hold
		// would otherwise stop both ends.
		n, err := io.CopyN(onlyWriter{c}, pattern{}, int64(s.Bytes))
		if err == nil && !open {
			err = c.CloseWrite()
		}
		sent <- written{n, err}
	}()
	var answer io.Reader = c
	if open {
		answer = io.LimitReader(c, expected(s))
	}
	n, err := io.Copy(io.Discard, answer)
	w := <-sent
	conn.Sent, conn.Received = uint64(w.n), uint64(n)
	if err == nil {
		err = w.err
	}
	return conn, err
}

// expected is how much of an answer a client that does not finish may wait for.
func expected(s Spec) int64 {
	if s.Behaviour == Sink {
		return 0
	}
	return int64(s.Bytes)
}

// pattern is an endless, compressible payload.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a' + byte(i%26)
	}
	return len(p), nil
}

// onlyWriter hides ReadFrom, so that copying goes through plain writes.
type onlyWriter struct{ io.Writer }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
