package role

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running is a role in this process, driven as a parent process would drive it.
type running struct {
	t    *testing.T
	stop io.Closer
	out  *bufio.Reader
	done chan error
}

func start(t *testing.T, s Spec) (*running, Ready) {
	t.Helper()
	in, stop := io.Pipe()
	out, w := io.Pipe()
	r := &running{t: t, stop: stop, out: bufio.NewReader(out), done: make(chan error, 1)}
	go func() {
		err := Run(t.Context(), s, in, w)
		_ = w.CloseWithError(err)
		r.done <- err
	}()
	var ready Ready
	r.read(&ready)
	return r, ready
}

func (r *running) read(into any) {
	r.t.Helper()
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		r.t.Fatalf("read line: %v", err)
	}
	if err := json.Unmarshal(line, into); err != nil {
		r.t.Fatalf("line %q: %v", line, err)
	}
}

func (r *running) end() Report {
	r.t.Helper()
	_ = r.stop.Close()
	var rep Report
	r.read(&rep)
	if err := <-r.done; err != nil {
		r.t.Fatal(err)
	}
	return rep
}

func TestPairs(t *testing.T) {
	for _, tc := range []struct {
		name                 string
		server, client       Spec
		conns                int // as the client counts
		up, down             uint64
		messages             uint64
		failed               map[string]int
		serverUp, serverDown uint64
	}{
		{name: "tcp", server: Spec{Role: TCPServer}, client: Spec{Role: TCPClient, Count: 3, Parallel: 2, Bytes: 1 << 20},
			conns: 3, up: 3 << 20, down: 3 << 20, serverUp: 3 << 20, serverDown: 3 << 20},
		{name: "tcp held open", server: Spec{Role: TCPServer}, client: Spec{Role: TCPClient, Bytes: 10, Wait: true},
			conns: 1, up: 10, down: 10, serverUp: 10, serverDown: 10},
		{name: "tcp reset", server: Spec{Role: TCPServer, Behaviour: Reset}, client: Spec{Role: TCPClient, Count: 2, Bytes: 10},
			conns: 2, up: 20, failed: map[string]int{"reset": 2}, serverUp: 20},
		{name: "tcp late", server: Spec{Role: TCPServer, Delay: time.Hour}, client: Spec{Role: TCPClient, Bytes: 10, Timeout: 20 * time.Millisecond},
			conns: 1, up: 10, failed: map[string]int{"timeout": 1}, serverUp: 10, serverDown: 10},
		{name: "udp", server: Spec{Role: UDPServer}, client: Spec{Role: UDPClient, Count: 2, Messages: 3, Bytes: 100},
			conns: 2, up: 600, down: 600, messages: 12, serverUp: 600, serverDown: 600},
		{name: "http", server: Spec{Role: HTTPServer, Bytes: 50}, client: Spec{Role: HTTPClient, Count: 4, Path: "/status/404"},
			conns: 4, down: 200, serverDown: 200},
		{name: "http post", server: Spec{Role: HTTPServer, Bytes: 1}, client: Spec{Role: HTTPClient, Behaviour: Sink, Bytes: 9},
			conns: 1, up: 9, down: 1, serverUp: 9, serverDown: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.server.Address = "127.0.0.1:0"
			server, ready := start(t, tc.server)
			tc.client.Address = ready.Address
			client, _ := start(t, tc.client)
			c := client.end()
			s := server.end()
			if c.Conns != tc.conns || c.Sent != tc.up || c.Received != tc.down || c.Messages != tc.messages {
				t.Errorf("client %+v", c)
			}
			if fmt.Sprint(c.Failed) != fmt.Sprint(tc.failed) {
				t.Errorf("client failed %v, want %v", c.Failed, tc.failed)
			}
			if s.Received != tc.serverUp || s.Sent > tc.serverDown || (tc.failed == nil && s.Sent != tc.serverDown) {
				t.Errorf("server %+v", s)
			}
		})
	}
}

func TestDetailNamesBothEnds(t *testing.T) {
	server, ready := start(t, Spec{Role: TCPServer, Address: "127.0.0.1:0", Detail: true})
	client, _ := start(t, Spec{Role: TCPClient, Address: ready.Address, Detail: true, Count: 2})
	c, s := client.end(), server.end()
	if len(c.Each) != 2 || len(s.Each) != 2 {
		t.Fatalf("client %+v, server %+v, want two connections each", c.Each, s.Each)
	}
	locals := map[netip.AddrPort]bool{c.Each[0].Local: true, c.Each[1].Local: true}
	for _, conn := range s.Each {
		if !locals[conn.Remote] || conn.Local.String() != ready.Address {
			t.Errorf("server saw %v → %v, client %v", conn.Remote, conn.Local, c.Each)
		}
	}
}

func TestRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	client, _ := start(t, Spec{Role: TCPClient, Address: addr, Count: 2})
	if r := client.end(); r.Conns != 0 || r.Failed["refused"] != 2 {
		t.Errorf("%+v, want two refused", r)
	}
}

func TestRunRefusesNonsense(t *testing.T) {
	for _, s := range []Spec{
		{Role: "juggler"}, {Role: TCPServer, Address: "nowhere"}, {Role: UDPServer, Address: "1.2.3.4:x"},
		{Role: HTTPServer, Address: ":-1"}, {Role: Ping, Address: "localhost"},
	} {
		var out bytes.Buffer
		err := Run(t.Context(), s, strings.NewReader(""), &out)
		if err == nil || !strings.Contains(err.Error(), string(s.Role)) || out.Len() > 0 {
			t.Errorf("%+v: error %v, printed %q", s, err, out.String())
		}
	}
}

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"refused":     &net.OpError{Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"reset":       syscall.EPIPE,
		"timeout":     os.ErrDeadlineExceeded,
		"unreachable": syscall.EHOSTUNREACH,
		"denied":      syscall.EPERM,
		"other":       errors.New("broken"),
	} {
		if got := reason(err); got != want {
			t.Errorf("reason(%v) = %s, want %s", err, got, want)
		}
	}
}

func TestStatusOf(t *testing.T) {
	for path, want := range map[string]int{"/": 200, "/status/503": 503, "/status/9": 400, "/status/x": 400, "/users": 200} {
		if got := statusOf(path); got != want {
			t.Errorf("statusOf(%q) = %d, want %d", path, got, want)
		}
	}
}
