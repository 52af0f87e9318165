package identity

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/ti-mo/conntrack"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

func tuple(proto uint8, src, dst string) conntrack.Tuple {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	return conntrack.Tuple{
		IP:    conntrack.IPTuple{SourceAddress: s.Addr(), DestinationAddress: d.Addr()},
		Proto: conntrack.ProtoTuple{Protocol: proto, SourcePort: s.Port(), DestinationPort: d.Port()},
	}
}

func TestConntrackEvents(t *testing.T) {
	f := &conntrackFeed{table: newNATTable(10)}
	client, server := netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.5:8080")
	k := natKey{flow.TCP, client, server}
	dnat := &conntrack.Flow{TupleOrig: tuple(6, "10.0.0.1:4000", "10.0.0.5:8080"), TupleReply: tuple(6, "172.17.0.2:80", "10.0.0.1:4000")}
	f.event(conntrack.Event{Type: conntrack.EventNew, Flow: dnat})
	if got, ok := f.table.lookup(k); !ok || got.String() != "172.17.0.2:80" {
		t.Errorf("translation = %v, %v", got, ok)
	}
	if _, ok := f.table.lookup(natKey{flow.UDP, client, server}); ok {
		t.Error("the same tuple of another protocol is translated")
	}
	// masquerading changes the client alone: nothing to tell
	f.event(conntrack.Event{Type: conntrack.EventNew, Flow: &conntrack.Flow{
		TupleOrig: tuple(6, "172.17.0.2:5000", "192.0.2.1:443"), TupleReply: tuple(6, "192.0.2.1:443", "10.0.0.5:5000")}})
	// ICMP has no ports
	f.event(conntrack.Event{Type: conntrack.EventNew, Flow: &conntrack.Flow{
		TupleOrig: tuple(1, "10.0.0.1:0", "10.0.0.5:0"), TupleReply: tuple(1, "172.17.0.2:0", "10.0.0.1:0")}})
	f.event(conntrack.Event{Type: conntrack.EventNew})
	f.event(conntrack.Event{Type: conntrack.EventNew, Flow: &conntrack.Flow{}})
	if len(f.table.real) != 1 {
		t.Errorf("table = %v, want the one translation", f.table.real)
	}

	f.event(conntrack.Event{Type: conntrack.EventDestroy, Flow: dnat})
	if _, ok := f.table.lookup(k); !ok {
		t.Error("late events no longer find the translation")
	}
	f.table.expire(time.Now().Add(natLinger + time.Second))
	if _, ok := f.table.lookup(k); ok {
		t.Error("the ended translation stays for ever")
	}
	// the tuple is used again, to the server itself
	f.event(conntrack.Event{Type: conntrack.EventNew, Flow: dnat})
	f.event(conntrack.Event{Type: conntrack.EventNew, Flow: &conntrack.Flow{
		TupleOrig: dnat.TupleOrig, TupleReply: tuple(6, "10.0.0.5:8080", "10.0.0.1:4000")}})
	if got, ok := f.table.lookup(k); ok {
		t.Errorf("an old translation to %v holds for a new connection", got)
	}
}

func TestNATTableIsBounded(t *testing.T) {
	tab := newNATTable(3)
	real := netip.MustParseAddrPort("172.17.0.2:80")
	for port := range uint16(10) {
		k := natKey{flow.TCP, netip.AddrPortFrom(addr("10.0.0.1"), port), netip.MustParseAddrPort("10.0.0.5:80")}
		tab.learn(k, real)
		if _, ok := tab.lookup(k); !ok {
			t.Error("the newest translation is not there")
		}
	}
	if len(tab.real) != 3 || tab.evictions() != 7 {
		t.Errorf("%d entries, %d evicted, want 3 and 7", len(tab.real), tab.evictions())
	}
	now := time.Unix(1000, 0)
	tab.reset(now)
	tab.expire(now.Add(natLinger + time.Second))
	if len(tab.real) != 0 {
		t.Errorf("%d entries survive a reset that no dump confirmed", len(tab.real))
	}
}

// message is a conntrack event as the kernel sends it, with one attribute.
func message(attr uint16, value uint32) []byte {
	b := make([]byte, 20, 40) // headers of netlink and netfilter
	if attr != 0 {
		b = binary.NativeEndian.AppendUint16(b, 8)
		b = binary.NativeEndian.AppendUint16(b, attr)
		b = binary.BigEndian.AppendUint32(b, value)
	}
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

// TestConntrackFilter attaches the filter to a socket of the same kind and has
// the kernel run it: user space knows no netlink extension.
func TestConntrackFilter(t *testing.T) {
	recv := netlinkSocket(t)
	var prog []unix.SockFilter
	for _, i := range must(bpf.Assemble(dnatFilter)) {
		prog = append(prog, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	if err := unix.SetsockoptSockFprog(recv, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}); err != nil {
		t.Fatal(err)
	}
	to := must(unix.Getsockname(recv)).(*unix.SockaddrNetlink)
	send := netlinkSocket(t)
	for _, tt := range []struct {
		name   string
		attr   uint16
		status uint32
		want   bool
	}{
		{"destination translated", ctaStatus, uint32(conntrack.StatusDstNAT | conntrack.StatusConfirmed), true},
		{"source translated", ctaStatus, uint32(conntrack.StatusSrcNAT | conntrack.StatusConfirmed), false},
		{"plain", ctaStatus, 0x18e, false},
		{"another attribute", 7, uint32(conntrack.StatusDstNAT), true},
		{"no status", 0, 0, true},
	} {
		// delivery to another socket of this machine is done when Sendto returns
		sent := unix.Sendto(send, message(tt.attr, tt.status), unix.MSG_DONTWAIT, to)
		if sent != nil && tt.want {
			t.Fatalf("%s: send: %v", tt.name, sent)
		}
		_, _, err := unix.Recvfrom(recv, make([]byte, 64), unix.MSG_DONTWAIT)
		if got := err == nil; got != tt.want {
			t.Errorf("%s: passed %v (%v), want %v", tt.name, got, err, tt.want)
		}
	}
}

func netlinkSocket(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_USERSOCK)
	if err != nil {
		t.Skip("needs netlink:", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	return fd
}
