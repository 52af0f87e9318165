package enforcer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// Docker's resolver is at 127.0.0.11:53 for the application, and at another port
// on the wire. Its process is in the container's network, and not of the container.
func TestNamesThroughNAT(t *testing.T) {
	w := newDirectory(t, "a.test")
	client := w.hosts["client"]
	w.hosts["daemon"] = w.lab.Neighbour(client, "daemon")
	w.enforce()
	for _, protocol := range []string{"udp", "tcp"} {
		client.Filter("OUTPUT", "-t", "nat", "-p", protocol, "--dport", "53", "-j", "REDIRECT", "--to-ports", "9953")
	}
	ask := pack(t, question(1, "a.test.", dnsmessage.TypeA))
	say := pack(t, answer(1, "a.test.", addr("a.test.", 60, "192.0.2.1")))
	named := netip.MustParseAddr("127.0.0.11")
	want := []string{"192.0.2.1=a.test"}
	for _, at := range []struct {
		host string
		want []string
		lost uint64
	}{{"daemon", want, 0}, {"client", []string{}, 1}} {
		w.askFor("client", at.host, named, "127.0.0.1:9953", role.Datagrams{Client: datagrams(ask), Server: [][]role.Datagram{datagrams(say)}}, func() {})
		if got := w.known("client"); !slices.Equal(got, at.want) || w.lost()["forged"] != at.lost {
			t.Errorf("UDP, answered by %s: %q", at.host, got)
		}
		w.askStream("client", at.host, named, "127.0.0.1:9953", turns(0, framed(ask)), turns(len(framed(ask)), framed(say)))
		if got := w.known("client"); !slices.Equal(got, at.want) || w.lost()["forged"] != at.lost {
			t.Errorf("TCP, answered by %s: %q", at.host, got)
		}
	}
}

// A workload that is its own resolver opens nothing by it, at whatever address of
// its own.
func TestWorkloadsDoNotAnswerThemselves(t *testing.T) {
	w := newDirectory(t, "a.test")
	ask := pack(t, question(1, "a.test.", dnsmessage.TypeA))
	say := pack(t, answer(1, "a.test.", addr("a.test.", 60, "192.0.2.1")))
	client := w.hosts["client"]
	for _, a := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback(), client.V4, client.V6} {
		w.ask("client", "client", a, datagrams(ask), [][]role.Datagram{datagrams(say)})
		if got := w.known("client"); len(got) > 0 || w.lost()["forged"] != 1 {
			t.Errorf("UDP to %s: %q", a, got)
		}
		w.askStream("client", "client", a, lab.Listen(53), turns(0, framed(ask)), turns(len(framed(ask)), framed(say)))
		if got := w.known("client"); len(got) > 0 || w.lost()["forged"] != 1 {
			t.Errorf("TCP to %s: %q", a, got)
		}
	}
}

// A resolver that was not asked is not believed, though it knows what was asked of
// another one, and may be asked.
func TestAnotherResolverIsNotBelieved(t *testing.T) {
	w := newDirectory(t, "a.test")
	listen := func(host string) *net.UDPConn {
		var c *net.UDPConn
		if err := w.hosts[host].Run(func() (err error) {
			c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(w.hosts[host].V4, 53)))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	asked, other := listen("resolver"), listen("other")
	path := filepath.Join(t.TempDir(), "datagrams.json")
	script := role.Datagrams{Client: datagrams(pack(t, question(1, "a.test.", dnsmessage.TypeA)))}
	if err := role.WriteDatagrams(path, script); err != nil {
		t.Fatal(err)
	}
	client := w.hosts["client"].Play(role.Spec{Role: role.DatagramClient, Address: asked.LocalAddr().String(), Path: path, Count: 2, Timeout: 5e9})
	_ = asked.SetReadDeadline(time.Now().Add(time.Minute))
	_, from, err := asked.ReadFromUDPAddrPort(make([]byte, 512))
	if err != nil {
		t.Fatal(err)
	}
	for n, c := range []*net.UDPConn{other, asked} {
		say := pack(t, answer(1, "a.test.", addr("a.test.", 60, fmt.Sprintf("192.0.2.%d", n))))
		if _, err := c.WriteToUDPAddrPort(say, from); err != nil {
			t.Fatal(err)
		}
	}
	if r := client.Stop(); r.Messages != 3 {
		t.Fatalf("the client had %d messages: one question, and two answers were to come", r.Messages)
	}
	if got := w.known("client"); !slices.Equal(got, []string{"192.0.2.1=a.test"}) || w.lost()["unasked"] != 1 {
		t.Errorf("known: %q", got)
	}
}

// What is asked of a resolver that may not be asked is not noted, so that nobody
// can answer it.
func TestForbiddenResolversAreNotBelieved(t *testing.T) {
	w := newDirectory(t, "a.test")
	ask := pack(t, question(1, "a.test.", dnsmessage.TypeA))
	w.ask("client", "server", w.hosts["server"].V4, datagrams(ask), nil)
	if err := w.maps["asked"].NextKey(nil, make([]byte, w.maps["asked"].KeySize())); err == nil {
		t.Error("the question was noted")
	}
	if got := w.reach("client", role.Spec{Role: role.UDPClient, Address: netip.AddrPortFrom(w.hosts["server"].V4, 53).String()}); got != "denied" {
		t.Errorf("the resolver: %q", got)
	}
}

// Children of a workload's cgroup know what it knows, and another workload in the
// same network does not.
func TestNamesBelongToTheWorkload(t *testing.T) {
	w := newDirectory(t, "a.test")
	w.hosts["neighbour"] = w.lab.Neighbour(w.hosts["client"], "neighbour")
	w.enforce()
	ask := pack(t, question(1, "a.test.", dnsmessage.TypeA))
	say := pack(t, answer(1, "a.test.", addr("a.test.", 60, "192.0.2.1")))
	w.ask("client", "resolver", w.hosts["resolver"].V4, datagrams(ask), [][]role.Datagram{datagrams(say)})
	if got := w.known("neighbour"); len(got) > 0 {
		t.Errorf("the neighbour knows %q", got)
	}
	places, err := place(lab.CgroupRoot(t), w.plan(map[string]policy.Set{}), func(int) uint32 { return 0 }, enforceMember{})
	if err != nil {
		t.Fatal(err)
	}
	for id, m := range places.members {
		if m.Flags&uint32(enforceMemberFlagMEMBER_INHERITED) == 0 && m.Owner != id {
			t.Errorf("cgroup %d has the owner %d", id, m.Owner)
		}
	}
}

// A raw socket may send in a resolver's name over the loopback device, to a socket
// that asked that resolver: what it sends is known to be the workload's own.
func TestRawSocketsAreNotResolvers(t *testing.T) {
	w := newDirectory(t, "a.test")
	resolver := netip.AddrPortFrom(w.hosts["resolver"].V4, 53)
	r := w.hosts["client"].Account(role.Spec{Role: role.Sneak, Way: role.RawSource, Address: "127.0.0.1:5000", Path: resolver.String()})
	if len(r.Failed) > 0 {
		t.Fatalf("a raw socket: %v", r.Failed)
	}
	k := make([]byte, w.maps["forged"].KeySize())
	if err := w.maps["forged"].NextKey(nil, &k); err != nil {
		t.Fatalf("it was not noted: %v", err)
	}
	// Its owner, and its source without a port.
	want := append(binary.NativeEndian.AppendUint64(nil, w.hosts["client"].CgroupID), netip.AddrFrom16(resolver.Addr().As16()).AsSlice()...)
	if want = append(want, 0, 0); !bytes.HasPrefix(k, want) {
		t.Errorf("noted is %x, want %x first", k, want)
	}
}
