package bpf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/collector/flow"
)

// The tests named TestKernel need nothing but a loopback device and cgroup v2:
// they run in virtual machines too, on every kernel that weir claims.

func TestKernelTakesEveryProgram(t *testing.T) {
	lab.RequireRoot(t)
	for _, f := range Probe(quiet(t)) {
		if f.Name == "tcp_table" && errors.Is(f.Err, ErrPermission) {
			t.Logf("%s is refused to root too, as under lockdown: socket_files stands in for it", f.Hook)
			continue
		}
		if !f.Available {
			t.Errorf("%s (%s): %v", f.Name, f.Hook, f.Err)
		}
	}
}

// budget is the most instructions that the verifier may walk for a program, on
// any kernel: a tenth of its limit of a million, so that a newer kernel that
// counts differently still takes it.
const budget = 100_000

func TestKernelVerifierBudget(t *testing.T) {
	lab.RequireRoot(t)
	for _, f := range Probe(quiet(t)) {
		if f.Steps > 0 {
			t.Logf("%-16s %7d of %d steps", f.Name, f.Steps, budget)
		}
		if f.Steps > budget {
			t.Errorf("%s: the verifier walked %d instructions, the budget is %d", f.Name, f.Steps, budget)
		}
	}
}

// Sockets of this process are weir's own to the programs: marked, but told.
func TestKernelSeesTCP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			_, r := capture(t, quiet(t))
			sent, received := exchange(t, address, 300_000, 70_000)
			server := sent.remote
			client := r.wait(t, "client's end", 1, of(flow.KindClose, func(s *flow.Socket) bool { return s.Remote == server }))[0].Socket
			accepted := r.wait(t, "server's end", 1, of(flow.KindClose, func(s *flow.Socket) bool { return s.Local == server }))[0].Socket
			if client.Role != flow.RoleClient || accepted.Role != flow.RoleServer || client.End != flow.EndClosed || accepted.End != flow.EndClosed {
				t.Errorf("roles and ends: client %+v, server %+v", client, accepted)
			}
			if client.ConnID == 0 || client.ConnID != accepted.ConnID {
				t.Errorf("connection: %x at the client, %x at the server", client.ConnID, accepted.ConnID)
			}
			if client.Sent.Payload != sent.bytes || accepted.Received.Payload != sent.bytes ||
				accepted.Sent.Payload != received || client.Received.Payload != received {
				t.Errorf("payload: client %d/%d, server %d/%d, programs counted %d/%d", client.Sent.Payload, client.Received.Payload,
					accepted.Received.Payload, accepted.Sent.Payload, sent.bytes, received)
			}
			// The last acknowledgements may come from, or meet, what stands in TIME_WAIT for a socket.
			if differ(client.Sent.Packets, accepted.Received.Packets) || differ(accepted.Sent.Packets, client.Received.Packets) {
				t.Errorf("packets: client %d/%d, server %d/%d", client.Sent.Packets, client.Received.Packets, accepted.Received.Packets, accepted.Sent.Packets)
			}
			if client.ConnectLatency <= 0 || client.ConnectLatency > int64(time.Second) || client.RTT <= 0 {
				t.Errorf("connect latency %v, RTT %v", time.Duration(client.ConnectLatency), time.Duration(client.RTT))
			}
			if !client.Self || client.PID == 0 || client.Cgroup == 0 || client.NetNS == 0 || client.Comm.String() == "" {
				t.Errorf("owner: %+v", client)
			}
		})
	}
}

type transfer struct {
	remote netip.AddrPort
	bytes  uint64
}

// exchange sends up bytes to a server on address and takes down bytes back.
func exchange(t *testing.T, address string, up, down int) (sent transfer, received uint64) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		if _, err = io.CopyN(io.Discard, conn, int64(up)); err == nil {
			_, err = conn.Write(bytes.Repeat([]byte{1}, down))
		}
		served <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := conn.Write(bytes.Repeat([]byte{2}, up))
	if err != nil {
		t.Fatal(err)
	}
	m, err := io.Copy(io.Discard, conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	conn.Close()
	return transfer{ln.Addr().(*net.TCPAddr).AddrPort(), uint64(n)}, uint64(m)
}

func TestKernelSeesUDP(t *testing.T) {
	_, r := capture(t, quiet(t))
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		server, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		client, err := net.Dial("udp", server.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		buf := make([]byte, 2000)
		for range 10 {
			if _, err := client.Write(buf[:1000]); err != nil {
				t.Fatal(err)
			}
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := server.WriteTo(buf[:n/2], from); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		addr := server.LocalAddr().(*net.UDPAddr).AddrPort()
		header := uint64(28)
		if addr.Addr().Is6() {
			header = 48
		}
		up := flow.Counters{Packets: 10, Payload: 10_000, Wire: 10_000 + 10*header}
		down := flow.Counters{Packets: 10, Payload: 5000, Wire: 5000 + 10*header}
		r.wait(t, "client's counters", 1, of(flow.KindUpdate, func(s *flow.Socket) bool {
			return s.Remote == addr && s.Role == flow.RoleClient && s.Sent == up && s.Received == down
		}))
		r.wait(t, "server's counters", 1, of(flow.KindUpdate, func(s *flow.Socket) bool {
			return s.Local == addr && s.Role == flow.RoleServer && s.Received == up && s.Sent == down
		}))
	}
}

func TestKernelSeesRefusal(t *testing.T) {
	_, r := capture(t, quiet(t))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	ln.Close()
	if _, err := net.Dial("tcp", addr.String()); err == nil {
		t.Fatal("a closed port was not refused")
	}
	s := r.wait(t, "refused connection", 1, of(flow.KindClose, func(s *flow.Socket) bool { return s.Remote == addr }))[0].Socket
	if s.End != flow.EndRefused || s.Local.Port() == 0 || s.Sent.Packets != 1 {
		t.Errorf("refused connection: %+v", s)
	}
	opened := r.all(of(flow.KindOpen, func(s *flow.Socket) bool { return s.Remote == addr }))
	if len(opened) > 0 {
		t.Errorf("refused connection was opened: %+v", opened)
	}
}

func TestKernelReconcilesItsCounts(t *testing.T) {
	c, r := capture(t, quiet(t))
	for range 50 {
		exchange(t, "127.0.0.1:0", 10, 10)
	}
	r.wait(t, "ends", 100, of(flow.KindClose, func(s *flow.Socket) bool { return s.Self }))
	s := c.Stats()
	for cpu, n := range s.PerCPU {
		if s.Unread == 0 && n.Produced != n.Delivered+n.Lost {
			t.Errorf("processor %d: produced %d, delivered %d, lost %d", cpu, n.Produced, n.Delivered, n.Lost)
		}
	}
	if s.Total().Delivered < 200 {
		t.Errorf("delivered %d events, want 4 for each of 50 connections", s.Total().Delivered)
	}
}

// What a killed weir leaves behind is nothing; the next one finds what lives.
func TestKernelFindsOlderSockets(t *testing.T) {
	lab.RequireRoot(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := client.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		older(t, client, server)
	}
}

func older(t *testing.T, client, server net.Conn) {
	t.Helper()
	c, err := Open(quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := newRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, r) }()
	at := server.LocalAddr().(*net.TCPAddr).AddrPort()
	a := r.wait(t, "older client", 1, of(flow.KindUpdate, func(s *flow.Socket) bool { return s.Remote == at }))[0].Socket
	b := r.wait(t, "older server", 1, of(flow.KindUpdate, func(s *flow.Socket) bool { return s.Local == at }))[0].Socket
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !a.Preexisting || !b.Preexisting || a.Role != flow.RoleClient || b.Role != flow.RoleServer {
		t.Errorf("older flow: client %+v, server %+v", a, b)
	}
	if a.ConnID == 0 || a.ConnID != b.ConnID {
		t.Errorf("older flow: connection %x at the client, %x at the server", a.ConnID, b.ConnID)
	}
	if a.Sent.Payload != 6 || b.Received.Payload != 6 {
		t.Errorf("older flow: payload %d sent, %d received, want 6: the kernel counted before weir", a.Sent.Payload, b.Received.Payload)
	}
}

// differ tells whether two counts of packets differ by more than one.
func differ(a, b uint64) bool { return max(a, b)-min(a, b) > 1 }
