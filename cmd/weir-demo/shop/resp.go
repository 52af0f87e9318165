package shop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxBulk  = 64 << 10 // bytes of one string of a reply
	maxArray = 1024     // elements of one reply
)

// redisError is an answer that begins with '-': the connection stays good.
type redisError string

func (e redisError) Error() string { return "redis: " + string(e) }

// redis is one connection to a server, dialled when first needed and again
// after a failure. Commands of several goroutines go one after the other.
type redis struct {
	addr string
	mu   sync.Mutex
	conn net.Conn
	in   *bufio.Reader
}

// do sends one command and returns its reply: a string, an int64, nil, or a
// []any of these. It blocks for at most 3 s.
func (r *redis) do(ctx context.Context, args ...string) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		d := net.Dialer{Timeout: 3 * time.Second}
		conn, err := d.DialContext(ctx, "tcp", r.addr)
		if err != nil {
			return nil, fmt.Errorf("redis connection: %w", err)
		}
		r.conn, r.in = conn, bufio.NewReader(conn)
	}
	reply, err := r.exchange(args)
	if _, answered := errors.AsType[redisError](err); err != nil && !answered {
		r.conn.Close()
		r.conn = nil
		return nil, fmt.Errorf("redis %s: %w", args[0], err)
	}
	return reply, err
}

func (r *redis) exchange(args []string) (any, error) {
	if err := r.conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(r.conn, encodeCommand(args)); err != nil {
		return nil, err
	}
	return readReply(r.in, 0)
}

func encodeCommand(args []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

// readReply reads one RESP2 reply; depth bounds arrays in arrays.
func readReply(in *bufio.Reader, depth int) (any, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("reply: %w", err)
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok || text == "" {
		return nil, fmt.Errorf("reply: malformed line %q", line)
	}
	kind, text := text[0], text[1:]
	switch kind {
	case '+':
		return text, nil
	case '-':
		return nil, redisError(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reply: malformed number %q", text)
	}
	switch {
	case kind == ':':
		return n, nil
	case (kind == '$' || kind == '*') && n == -1:
		return nil, nil
	case kind == '$' && n >= 0 && n <= maxBulk:
		buf := make([]byte, n+2)
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil, fmt.Errorf("reply: %w", err)
		}
		if string(buf[n:]) != "\r\n" {
			return nil, errors.New("reply: string without its end")
		}
		return string(buf[:n]), nil
	case kind == '*' && n >= 0 && n <= maxArray && depth < 4:
		all := []any{}
		for range n {
			v, err := readReply(in, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}
	return nil, fmt.Errorf("reply: unknown or too large %q", string(kind)+text)
}
