package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
)

// pair is a lab of two hosts under capture.
func pair(t *testing.T) (c *Capture, r *recorder, server, client *lab.Host) {
	t.Helper()
	l := lab.New(t)
	server, client = l.Host("server"), l.Host("client")
	c, r = capture(t, quiet(t))
	return c, r, server, client
}

// sum adds the final counters of a host's TCP sockets.
func sum(events []flow.Event) (sent, received uint64) {
	for i := range events {
		sent += events[i].Socket.Sent.Payload
		received += events[i].Socket.Received.Payload
	}
	return sent, received
}

// Independent source: what the programs at both ends counted themselves.
func TestTCPCountsWhatTheProgramsCounted(t *testing.T) {
	_, r, server, client := pair(t)
	for _, v := range []struct {
		name string
		addr netip.Addr
	}{{"v4", server.V4}, {"v6", server.V6}} {
		t.Run(v.name, func(t *testing.T) {
			srv := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
			at := srv.On(v.addr)
			port := srv.Addr.Port()
			ca := client.Account(role.Spec{Role: role.TCPClient, Address: at, Count: 40, Parallel: 4, Bytes: 123_457})
			sa := srv.Stop()
			clients := r.wait(t, "clients' ends", ca.Conns, of(flow.KindClose, func(s *flow.Socket) bool {
				return s.Remote.Port() == port && uint64(s.NetNS) == client.NetNS
			}))
			servers := r.wait(t, "servers' ends", ca.Conns, of(flow.KindClose, func(s *flow.Socket) bool {
				return s.Local.Port() == port && uint64(s.NetNS) == server.NetNS
			}))
			if len(clients) != ca.Conns || len(servers) != sa.Conns || ca.Conns != 40 {
				t.Errorf("%d clients and %d servers ended, the programs had %d and %d", len(clients), len(servers), ca.Conns, sa.Conns)
			}
			if sent, received := sum(clients); sent != ca.Sent || received != ca.Received {
				t.Errorf("client: sent %d, received %d; the program counted %d and %d", sent, received, ca.Sent, ca.Received)
			}
			if sent, received := sum(servers); sent != sa.Sent || received != sa.Received {
				t.Errorf("server: sent %d, received %d; the program counted %d and %d", sent, received, sa.Sent, sa.Received)
			}
			ids := map[uint64]int{}
			for _, ev := range append(clients, servers...) {
				s := &ev.Socket
				ids[s.ConnID]++
				want := client.CgroupID
				if s.Role == flow.RoleServer {
					want = server.CgroupID
				}
				if s.Cgroup != want || s.PID == 0 || s.Self || s.Comm.String() != "bpf.test" || s.End != flow.EndClosed {
					t.Errorf("owner or end of %+v", s)
				}
			}
			if len(ids) != 40 {
				t.Errorf("%d connections by initial sequence numbers, want 40", len(ids))
			}
		})
	}
}

func TestUDPCountsWhatTheProgramsCounted(t *testing.T) {
	_, r, server, client := pair(t)
	srv := server.Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(0)})
	port := srv.Addr.Port()
	ca := client.Account(role.Spec{Role: role.UDPClient, Address: srv.On(server.V6), Count: 5, Messages: 20, Bytes: 777})
	sa := srv.Stop()
	final := func(cgroup uint64) (sent, received uint64, packets uint64) {
		last := map[netip.AddrPort]flow.Socket{}
		for _, ev := range r.all(of(flow.KindUpdate, func(s *flow.Socket) bool {
			return s.Protocol == flow.UDP && s.Cgroup == cgroup && (s.Local.Port() == port || s.Remote.Port() == port)
		})) {
			peer := ev.Socket.Local
			if ev.Socket.Local.Port() == port {
				peer = ev.Socket.Remote
			}
			last[peer] = ev.Socket
		}
		for _, s := range last {
			sent, received, packets = sent+s.Sent.Payload, received+s.Received.Payload, packets+s.Sent.Packets+s.Received.Packets
		}
		return sent, received, packets
	}
	deadline := time.Now().Add(patience)
	for {
		cs, cr, cp := final(client.CgroupID)
		ss, sr, sp := final(server.CgroupID)
		if cs == ca.Sent && cr == ca.Received && ss == sa.Sent && sr == sa.Received && cp == 200 && sp == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("client %d/%d in %d packets, server %d/%d in %d; the programs counted %d/%d and %d/%d in 200",
				cs, cr, cp, ss, sr, sp, ca.Sent, ca.Received, sa.Sent, sa.Received)
		}
		<-r.more
	}
}

func TestHowConnectionsEnd(t *testing.T) {
	l := lab.New(t)
	server, client := l.Host("server"), l.Host("client")
	_, r := capture(t, quiet(t))
	echo := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	resets := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0), Behaviour: role.Reset})
	silent := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	server.Filter("INPUT", "-p", "tcp", "--dport", strconv.Itoa(int(silent.Addr.Port())), "-j", "DROP")
	closed := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	closed.Stop()
	for _, tc := range []struct {
		name    string
		to      *lab.Player
		client  role.Spec
		clients flow.End // as the client's socket sees it
		servers flow.End // as the server's socket sees it; EndNone: there is none
	}{
		{"closed", echo, role.Spec{}, flow.EndClosed, flow.EndClosed},
		{"reset by the server", resets, role.Spec{}, flow.EndResetRemote, flow.EndResetLocal},
		{"reset by the client", echo, role.Spec{Behaviour: role.Reset}, flow.EndResetLocal, flow.EndResetRemote},
		{"refused", closed, role.Spec{}, flow.EndRefused, flow.EndNone},
		{"given up", silent, role.Spec{Timeout: 300 * time.Millisecond}, flow.EndAborted, flow.EndNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.client.Role, tc.client.Address, tc.client.Detail = role.TCPClient, tc.to.On(server.V4), true
			account := client.Account(tc.client)
			port := tc.to.Addr.Port()
			local := account.Each[0].Local
			mine := func(s *flow.Socket) bool {
				return s.Remote.Port() == port && uint64(s.NetNS) == client.NetNS && (!local.IsValid() || local.Port() == 0 || s.Local.Port() == local.Port())
			}
			s := r.wait(t, "client's end", 1, of(flow.KindClose, mine))[0].Socket
			if s.End != tc.clients {
				t.Errorf("client's end: %d, want %d: %+v", s.End, tc.clients, s)
			}
			if tc.servers == flow.EndNone {
				return
			}
			id := s.ConnID
			o := r.wait(t, "server's end", 1, of(flow.KindClose, func(s *flow.Socket) bool {
				return s.Role == flow.RoleServer && s.ConnID == id
			}))[0].Socket
			if o.End != tc.servers {
				t.Errorf("server's end: %d, want %d: %+v", o.End, tc.servers, o)
			}
		})
	}
}

// Independent source: the namespace's own counters, as nstat shows them.
func TestRetransmitsAndDropsAgreeWithTheKernel(t *testing.T) {
	_, r, server, client := pair(t)
	srv := server.Play(role.Spec{Role: role.TCPServer, Behaviour: role.Sink, Address: lab.Listen(0)})
	port := srv.Addr.Port()
	server.LossEvery(50, "-p", "tcp", "--dport", strconv.Itoa(int(port)))
	before := retransmitted(t, client)
	account := client.Account(role.Spec{Role: role.TCPClient, Address: srv.On(server.V4), Count: 1, Bytes: 20_000_000, Timeout: time.Minute})
	s := r.wait(t, "client's end", 1, of(flow.KindClose, func(s *flow.Socket) bool {
		return s.Remote.Port() == port && uint64(s.NetNS) == client.NetNS
	}))[0].Socket
	if want := retransmitted(t, client) - before; want == 0 || uint64(s.Retransmits) != want {
		t.Errorf("%d segments sent again, the namespace counted %d", s.Retransmits, want)
	}
	if s.Sent.Payload != account.Sent || s.Sent.Wire <= s.Sent.Payload {
		t.Errorf("sent %d of payload and %d on the wire, the program counted %d", s.Sent.Payload, s.Sent.Wire, account.Sent)
	}
	dropped := uint64(0)
	r.wait(t, "dropped packets", 1, func(ev *flow.Event) bool {
		return ev.Kind == flow.KindDrop && ev.Drop.Reason == "NETFILTER_DROP" && ev.Drop.Destination.Port() == port
	})
	for _, ev := range r.all(func(ev *flow.Event) bool {
		return ev.Kind == flow.KindDrop && ev.Drop.Reason == "NETFILTER_DROP" && ev.Drop.Destination.Port() == port
	}) {
		dropped += ev.Drop.Packets
		if ev.Drop.Protocol != flow.TCP || ev.Drop.Source.Addr() != client.V4 || uint64(ev.Drop.NetNS) != server.NetNS {
			t.Errorf("drop %+v", ev.Drop)
		}
	}
	if dropped == 0 || dropped > uint64(s.Retransmits) {
		t.Errorf("%d packets dropped, %d segments sent again", dropped, s.Retransmits)
	}
}

// retransmitted reads a host's TcpRetransSegs.
func retransmitted(t *testing.T, h *lab.Host) uint64 {
	t.Helper()
	out, err := h.Command("cat", "/proc/self/net/snmp").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if fields[0] != "Tcp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "RetransSegs" {
				n, err := strconv.ParseUint(fields[i], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
	}
	t.Fatal("no RetransSegs in /proc/net/snmp")
	return 0
}

func TestICMPIsOneFlow(t *testing.T) {
	_, r, server, client := pair(t)
	client.Account(role.Spec{Role: role.Ping, Address: server.V4.String(), Count: 3})
	s := r.wait(t, "echo", 1, of(flow.KindUpdate, func(s *flow.Socket) bool {
		return s.Protocol == flow.ICMP && uint64(s.NetNS) == client.NetNS && s.Sent.Packets == 3 && s.Received.Packets == 3
	}))[0].Socket
	if s.Role != flow.RoleClient || s.ICMPType != 8 || s.Remote.Addr() != server.V4 {
		t.Errorf("echo: %+v", s)
	}
	// The other end has no socket but the kernel's own.
	o := r.wait(t, "reply", 1, of(flow.KindUpdate, func(s *flow.Socket) bool {
		return s.Protocol == flow.ICMP && s.Local.Addr() == server.V4 && s.Remote.Addr() == client.V4
	}))[0].Socket
	if o.Role != flow.RoleServer || o.ICMPType != 8 {
		t.Errorf("reply: %+v", o)
	}
}

func TestNewContainerIsKnownBeforeItsFirstPacket(t *testing.T) {
	lab.RequireRoot(t)
	_, r := capture(t, quiet(t))
	l := lab.New(t)
	h := l.Host("late")
	ev := r.wait(t, "cgroup", 1, func(ev *flow.Event) bool { return ev.Kind == flow.KindCgroupCreated && ev.Cgroup.ID == h.CgroupID })[0]
	if !strings.HasSuffix(h.CgroupPath, ev.Cgroup.Path) || !strings.HasPrefix(ev.Cgroup.Path, "/") {
		t.Errorf("cgroup %q, its directory is %s", ev.Cgroup.Path, h.CgroupPath)
	}
}

// As in Docker's networks: the resolver is at 127.0.0.11:53 for the application,
// at another port on the wire.
func TestUDPThroughNATIsOneFlow(t *testing.T) {
	l := lab.New(t)
	h := l.Host("nat")
	_, r := capture(t, quiet(t))
	h.Filter("OUTPUT", "-t", "nat", "-p", "udp", "--dport", "5353", "-j", "REDIRECT", "--to-ports", "9953")
	named := netip.MustParseAddrPort("127.0.0.11:5353")
	err := h.Run(func() error {
		server, err := net.ListenPacket("udp4", "127.0.0.1:9953") // where REDIRECT leads local packets
		if err != nil {
			return err
		}
		defer server.Close()
		unconnected, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer unconnected.Close()
		connected, err := net.Dial("udp4", named.String())
		if err != nil {
			return err
		}
		defer connected.Close()
		for _, c := range []net.PacketConn{unconnected, connected.(*net.UDPConn)} {
			buf := make([]byte, 100)
			for _, s := range []net.PacketConn{server, c} {
				if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
					return err
				}
			}
			if c == unconnected {
				_, err = c.WriteTo([]byte("question"), net.UDPAddrFromAddrPort(named))
			} else {
				_, err = connected.Write([]byte("question"))
			}
			if err != nil {
				return fmt.Errorf("question: %w", err)
			}
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return fmt.Errorf("server: %w", err)
			}
			if _, err := server.WriteTo(buf[:n], from); err != nil {
				return err
			}
			if _, from, err = c.ReadFrom(buf); err != nil || from.String() != named.String() {
				return fmt.Errorf("answer from %v: %w", from, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	question := flow.Counters{Packets: 1, Payload: 8, Wire: 36}
	r.wait(t, "flows of the named peer", 2, of(flow.KindUpdate, func(s *flow.Socket) bool {
		return s.Remote == named && s.Role == flow.RoleClient && uint64(s.NetNS) == h.NetNS && s.Sent == question && s.Received == question &&
			s.Wire == netip.MustParseAddrPort("127.0.0.1:9953")
	}))
	// The server's socket answers from the port that it has, whatever the client sees.
	r.wait(t, "flows of the server", 2, of(flow.KindUpdate, func(s *flow.Socket) bool {
		return s.Local.Port() == 9953 && uint64(s.NetNS) == h.NetNS && s.Sent == question && s.Received == question
	}))
}
