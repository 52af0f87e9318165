package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
	"golang.org/x/net/dns/dnsmessage"
)

// Whoever is no socket of this host leaves no note: the resolver's end is counted.
func TestLookupsFromOutsideAreTheResolvers(t *testing.T) {
	l := lab.New(t)
	server := l.Host("server")
	c, r := watch(t)
	dns := resolve(t, server)
	wire := server.Wire()
	to := netip.AddrPortFrom(server.V4, 53)
	for i := range 3 {
		from := netip.AddrPortFrom(lab.PeerV4(i+1), 40000)
		// The same id, name, type and port as the others have.
		if err := wire.Datagram(from, to, question(t, 7, "a.test.", dnsmessage.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	if err := wire.Datagram(netip.AddrPortFrom(lab.PeerV4(1), 40001), to, question(t, 8, "none.test.", dnsmessage.TypeAAAA)); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "lookups", 4, lookups(server.CgroupID))
	settle(t, c, r)
	events := r.all(lookups(server.CgroupID))
	if got, want := told(events), []string{"7 A a.test 0 [10.1.2.3]", "7 A a.test 0 [10.1.2.3]", "7 A a.test 0 [10.1.2.3]", "8 AAAA none.test 3 []"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q; dnsmasq logged %s", got, want, dns.text())
	}
	peers := map[netip.Addr]int{}
	for _, ev := range events {
		x := ev.Exchange
		peers[x.Remote]++
		if x.Role != flow.RoleServer || x.Peer != 0 || x.Port != 53 || x.Local != to || x.RemotePort < 40000 || x.Comm.String() != "dnsmasq" {
			t.Errorf("ends: %+v", x)
		}
	}
	if peers[lab.PeerV4(1)] != 2 || peers[lab.PeerV4(2)] != 1 || peers[lab.PeerV4(3)] != 1 {
		t.Errorf("peers %v", peers)
	}
	if got := tallied(r, server.CgroupID); got[0] != 3 || got[3] != 1 || len(got) != 2 {
		t.Errorf("tallies %v", got)
	}
}

// Every link of a chain is a lookup of its own, and each is counted at its client's end.
func TestLookupsThroughAForwarder(t *testing.T) {
	l := lab.New(t)
	server, forwarder, client := l.Host("server"), l.Host("forwarder"), l.Host("client")
	c, r := watch(t)
	dns := resolve(t, server)
	near := resolve(t, forwarder, "--server=/far/"+server.V4.String())
	_ = near
	dig(t, client, "@"+forwarder.V4.String(), "x.far", "A")
	settle(t, c, r)
	if got := dns.queries(forwarder.V4); !slices.Equal(got, []string{"A x.far"}) {
		t.Fatalf("the far resolver logged %q", got)
	}
	for _, link := range []struct{ asks, answers *lab.Host }{{client, forwarder}, {forwarder, server}} {
		events := r.all(lookups(link.asks.CgroupID))
		if len(events) != 1 {
			t.Fatalf("%s: %q", link.asks.Name, told(events))
		}
		x := events[0].Exchange
		if x.DNS.Name != "x.far" || x.Status != 5 || x.Role != flow.RoleClient || x.Peer != link.answers.CgroupID || x.Remote != link.answers.V4 {
			t.Errorf("%s: %+v of %+v", link.asks.Name, x.DNS, x)
		}
	}
	if got := tallied(r, server.CgroupID); len(got) > 0 {
		t.Errorf("the far resolver's tallies: %v", got)
	}
}

// Docker's resolver is at 127.0.0.11:53 for the application, and at another port on
// the wire.
func TestLookupsThroughNATHaveTheNamedResolver(t *testing.T) {
	l := lab.New(t)
	h := l.Host("nat")
	c, r := watch(t)
	dns := resolve(t, h, "--port=9953", "--listen-address=127.0.0.1", "--bind-interfaces")
	for _, proto := range []string{"udp", "tcp"} {
		h.Filter("OUTPUT", "-t", "nat", "-p", proto, "--dport", "5353", "-j", "REDIRECT", "--to-ports", "9953")
	}
	for _, args := range [][]string{{"a.test", "A"}, {"none.test", "A"}, {"+tcp", "c1.test", "A"}} {
		dig(t, h, append([]string{"@127.0.0.11", "-p", "5353"}, args...)...)
	}
	settle(t, c, r)
	events := r.all(lookups(h.CgroupID))
	if got, want := names(events), []string{"A a.test", "A c1.test", "A none.test"}; !slices.Equal(got, want) {
		t.Fatalf("told %q, dnsmasq logged %s", got, dns.text())
	}
	for _, ev := range events {
		if x := ev.Exchange; x.Role != flow.RoleClient || x.Remote != netip.MustParseAddr("127.0.0.11") || x.Port != 5353 || x.Peer != h.CgroupID {
			t.Errorf("ends: %+v", x)
		}
	}
}

// A resolver that is silent is still known by its signature, where it got the question.
func TestLookupsWithoutAnAnswer(t *testing.T) {
	c, r, server, client := resolvers(t)
	dns := resolve(t, server)
	for _, silence := range []struct {
		chain string
		peer  uint64
		name  string
	}{{"OUTPUT", server.CgroupID, "mute.test"}, {"INPUT", 0, "deaf.test"}} {
		port := "--sport"
		if silence.chain == "INPUT" {
			port = "--dport"
		}
		open := server.Filter(silence.chain, "-p", "udp", port, "53", "-j", "DROP")
		if said := dig(t, client, "+timeout=1", "@"+server.V4.String(), silence.name, "A"); !strings.Contains(said, "timed out") {
			t.Fatalf("dig said %s", said)
		}
		open()
	}
	settle(t, c, r)
	if got := dns.queries(client.V4); !slices.Equal(got, []string{"A mute.test"}) {
		t.Errorf("dnsmasq logged %q", got)
	}
	events := r.all(lookups(client.CgroupID))
	if got := names(events); !slices.Equal(got, []string{"A deaf.test", "A mute.test"}) {
		t.Fatalf("told %q", got)
	}
	for _, ev := range events {
		x, want := ev.Exchange, uint64(0)
		if x.DNS.Name == "mute.test" {
			want = server.CgroupID
		}
		if x.Status != flow.NoAnswer || x.Latency != int64(lookupPatience) || x.ResponseBytes != 0 || x.RequestBytes == 0 || x.Peer != want || x.Comm.String() != "dig" {
			t.Errorf("%+v of %+v", x.DNS, x)
		}
	}
	if got := tallied(r, client.CgroupID); got[flow.NoAnswer] != 2 || len(got) != 1 {
		t.Errorf("tallies %v", got)
	}
	if got := tallied(r, server.CgroupID); len(got) > 0 {
		t.Errorf("the resolver's tallies: %v", got)
	}
}

// What weir itself asks, and what it is asked, is nobody's lookup.
func TestLookupsOfWeirAreNotCounted(t *testing.T) {
	c, r, server, client := resolvers(t)
	dns := resolve(t, server)
	ask := question(t, 9, "a.test.", dnsmessage.TypeA)
	if err := client.Run(func() error { return exchangeOnce(netip.AddrPortFrom(server.V4, 53), ask) }); err != nil {
		t.Fatal(err)
	}
	var own net.PacketConn
	if err := server.Run(func() (err error) { own, err = net.ListenPacket("udp4", ":5300"); return err }); err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	go func() {
		buf := make([]byte, 512)
		_, from, err := own.ReadFrom(buf)
		if err == nil {
			_, _ = own.WriteTo(answerTo(t, 10, "b.test.", dnsmessage.TypeA, 0, "10.0.0.1"), from)
		}
	}()
	v := &datagramTalk{client: []role.Datagram{{Say: question(t, 10, "b.test.", dnsmessage.TypeA)}}}
	if got := v.ask(t, client, netip.AddrPortFrom(server.V4, 5300).String(), 1).Stop(); got.Received == 0 {
		t.Fatal("weir did not answer")
	}
	dig(t, client, "@"+server.V4.String(), "c1.test", "A")
	settle(t, c, r)
	if got := dns.queries(client.V4); !slices.Equal(got, []string{"A a.test", "A c1.test"}) {
		t.Fatalf("dnsmasq logged %q", got)
	}
	all := r.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindExchange && ev.Exchange.Protocol == flow.DNS })
	if got := names(all); !slices.Equal(got, []string{"A c1.test"}) {
		t.Errorf("told %q, want only dig's", got)
	}
	var count uint64
	for _, ev := range r.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindTally && ev.Tally.Protocol == flow.DNS }) {
		count += ev.Tally.Count
	}
	if count != 1 {
		t.Errorf("%d in the tallies, want dig's", count)
	}
}

// exchangeOnce asks and waits for the answer.
func exchangeOnce(to netip.AddrPort, ask []byte) error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(ask); err != nil {
		return err
	}
	if n, err := conn.Read(make([]byte, 512)); err != nil || n < len(ask) {
		return fmt.Errorf("answer of %d bytes: %w", n, err)
	}
	return nil
}
