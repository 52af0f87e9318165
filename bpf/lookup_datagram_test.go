package bpf

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
	"golang.org/x/net/dns/dnsmessage"
)

// question is a query as a client sends it.
func question(t testing.TB, id uint16, name string, typ dnsmessage.Type) []byte {
	t.Helper()
	return pack(t, dnsmessage.Header{ID: id, RecursionDesired: true}, name, typ)
}

// answerTo is a response with A records for these addresses.
func answerTo(t testing.TB, id uint16, name string, typ dnsmessage.Type, code dnsmessage.RCode, addrs ...string) []byte {
	t.Helper()
	return pack(t, dnsmessage.Header{ID: id, Response: true, RCode: code}, name, typ, addrs...)
}

func pack(t testing.TB, h dnsmessage.Header, name string, typ dnsmessage.Type, addrs ...string) []byte {
	t.Helper()
	n := dnsmessage.MustNewName(name)
	m := dnsmessage.Message{Header: h, Questions: []dnsmessage.Question{{Name: n, Type: typ, Class: dnsmessage.ClassINET}}}
	for _, a := range addrs {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET, TTL: 300},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
		})
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// told are the lookups with a server's port, "7 A a.test 0 [10.0.0.1]", sorted; a
// status of 65535 is that nobody answered.
func told(events []flow.Event) []string {
	list := []string{}
	for _, ev := range events {
		x := ev.Exchange
		list = append(list, fmt.Sprintf("%d %s %s %d %v", x.DNS.ID, dns.TypeToString[x.DNS.Type], x.DNS.Name, x.Status, x.DNS.Addrs))
	}
	slices.Sort(list)
	return list
}

// datagramTalk is what a client's socket and a resolver say, and which lookups that
// is.
type datagramTalk struct {
	name    string
	client  []role.Datagram
	server  [][]role.Datagram // after each datagram of the client
	want    []string          // as told() gives them
	atLeast time.Duration     // latency of the slowest

	served, asked *lab.Player
}

func datagramTalks(t testing.TB) []*datagramTalk {
	const a, b = "a.test.", "b.test."
	const typeA, typeAAAA = dnsmessage.TypeA, dnsmessage.TypeAAAA
	q := func(id uint16, name string) []byte { return question(t, id, name, typeA) }
	ok := func(id uint16, name string, addrs ...string) []byte { return answerTo(t, id, name, typeA, 0, addrs...) }
	no := func(id uint16, name string, typ dnsmessage.Type) []byte {
		return answerTo(t, id, name, typ, dnsmessage.RCodeNameError)
	}
	says := func(list ...[]byte) (d []role.Datagram) {
		for _, m := range list {
			d = append(d, role.Datagram{Say: m})
		}
		return d
	}
	after := func(wait time.Duration, m []byte) role.Datagram { return role.Datagram{After: wait, Say: m} }
	junk := bytes.Repeat([]byte("no DNS "), 5)
	notify := q(4, a)
	notify[2] |= 4 << 3
	twelve := slices.Repeat([]string{"10.0.0.9"}, 12)

	return []*datagramTalk{
		{name: "answered", client: says(q(1, a)), server: [][]role.Datagram{says(ok(1, a, "10.0.0.1"))},
			want: []string{"1 A a.test 0 [10.0.0.1]"}},
		{name: "two at once, answered the other way round", client: says(q(1, a), q(2, b)),
			server: [][]role.Datagram{nil, says(ok(2, b, "10.0.0.2"), ok(1, a, "10.0.0.1"))},
			want:   []string{"1 A a.test 0 [10.0.0.1]", "2 A b.test 0 [10.0.0.2]"}},
		{name: "one name, two types, one id", client: says(q(1, a), question(t, 1, a, typeAAAA)),
			server: [][]role.Datagram{nil, says(no(1, a, typeAAAA), ok(1, a, "10.0.0.1"))},
			want:   []string{"1 A a.test 0 [10.0.0.1]", "1 AAAA a.test 3 []"}},
		{name: "repeated, answered twice", client: append(says(q(1, a)), after(200*time.Millisecond, q(1, a))),
			server: [][]role.Datagram{nil, says(ok(1, a, "10.0.0.1"), ok(1, a, "10.0.0.1"))},
			want:   []string{"1 A a.test 0 [10.0.0.1]"}, atLeast: 200 * time.Millisecond},
		{name: "asked again after it was answered", client: append(says(q(1, a)), after(300*time.Millisecond, q(1, a))),
			server: [][]role.Datagram{says(no(1, a, typeA)), says(ok(1, a, "10.0.0.1"))},
			want:   []string{"1 A a.test 0 [10.0.0.1]", "1 A a.test 3 []"}},
		{name: "forged", client: says(q(1, a)),
			server: [][]role.Datagram{says(no(2, a, typeA), no(1, b, typeA), no(1, a, typeAAAA), ok(1, a, "10.0.0.1"))},
			want:   []string{"1 A a.test 0 [10.0.0.1]"}},
		{name: "mixed case", client: says(q(1, "A.tESt.")), server: [][]role.Datagram{says(ok(1, a, "10.0.0.1"))},
			want: []string{"1 A a.test 0 [10.0.0.1]"}},
		{name: "more addresses than are kept", client: says(q(1, a)), server: [][]role.Datagram{says(ok(1, a, twelve...))},
			want: []string{fmt.Sprint("1 A a.test 0 ", twelve[:8])}},
		{name: "cut off behind the question", client: says(q(1, a)),
			server: [][]role.Datagram{{{Say: ok(1, a, "10.0.0.1", "10.0.0.2")[:50]}}},
			want:   []string{"1 A a.test 0 [10.0.0.1]"}},
		{name: "cut off inside the question", client: says(q(1, a)), server: [][]role.Datagram{{{Say: ok(1, a)[:22]}}},
			want: []string{"1 A a.test 65535 []"}, atLeast: lookupPatience},
		{name: "never answered", client: says(q(1, a), q(2, b)),
			want: []string{"1 A a.test 65535 []", "2 A b.test 65535 []"}, atLeast: lookupPatience},
		{name: "answered too late", client: says(q(1, a)), server: [][]role.Datagram{{after(lookupPatience+time.Second, ok(1, a))}},
			want: []string{"1 A a.test 65535 []"}, atLeast: lookupPatience},
		{name: "asked again when it was overdue", client: append(says(q(1, a)), after(lookupPatience+20*time.Millisecond, q(1, a))),
			server: [][]role.Datagram{nil, says(ok(1, a, "10.0.0.1"))},
			want:   []string{"1 A a.test 0 [10.0.0.1]", "1 A a.test 65535 []"}, atLeast: lookupPatience},
		{name: "not DNS first", client: says(junk, junk, junk, q(1, a)), server: [][]role.Datagram{nil, nil, nil, says(ok(1, a, "10.0.0.1"))},
			want: []string{"1 A a.test 0 [10.0.0.1]"}},
		{name: "not DNS", client: says(junk, junk, junk, junk, q(1, a)), server: [][]role.Datagram{nil, nil, nil, nil, says(ok(1, a, "10.0.0.1"))}},
		{name: "no question, first", client: says(ok(1, a, "10.0.0.1"), q(1, a)), server: [][]role.Datagram{nil, says(ok(1, a, "10.0.0.1"))},
			want: []string{"1 A a.test 0 [10.0.0.1]"}},
		{name: "notified", client: says(q(1, a), notify), server: [][]role.Datagram{says(ok(1, a, "10.0.0.1"))},
			want: []string{"1 A a.test 0 [10.0.0.1]"}},
		{name: "the root", client: says(question(t, 1, ".", dnsmessage.TypeNS)), server: [][]role.Datagram{says(answerTo(t, 1, ".", dnsmessage.TypeNS, 0))},
			want: []string{"1 NS  0 []"}},
	}
}

// start plays both ends, each with a port of its own.
func (v *datagramTalk) start(t testing.TB, server, client *lab.Host) {
	t.Helper()
	v.served = server.Play(role.Spec{Role: role.DatagramServer, Address: lab.Listen(0), Path: v.write(t)})
	answers := 0
	for _, list := range v.server {
		answers += len(list)
	}
	v.asked = v.ask(t, client, v.served.Addr.String(), answers)
}

// ask plays the client, which waits for so many answers.
func (v *datagramTalk) ask(t testing.TB, client *lab.Host, to string, answers int) *lab.Player {
	t.Helper()
	spec := role.Spec{Role: role.DatagramClient, Address: to, Path: v.write(t), Count: answers, Timeout: lookupPatience + 2*time.Second}
	if answers == 0 {
		spec.Timeout = 100 * time.Millisecond
	}
	return client.Play(spec)
}

func (v *datagramTalk) write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "datagrams")
	if err := role.WriteDatagrams(path, role.Datagrams{Client: v.client, Server: v.server}); err != nil {
		t.Fatal(err)
	}
	return path
}

// All of them at once: some take as long as a question may wait.
func TestLookupsByDatagrams(t *testing.T) {
	c, r, server, client := resolvers(t)
	list := datagramTalks(t)
	for _, v := range list {
		v.start(t, server, client)
	}
	for _, v := range list {
		sent := v.asked.Stop().Received
		if got := v.served.Stop(); got.Sent != sent {
			t.Errorf("%s: the server sent %d bytes, the client received %d", v.name, got.Sent, sent)
		}
	}
	settle(t, c, r)
	for _, v := range list {
		t.Run(v.name, func(t *testing.T) {
			port := v.served.Addr.Port()
			events := r.all(func(ev *flow.Event) bool {
				return ev.Kind == flow.KindExchange && ev.Exchange.Protocol == flow.DNS && ev.Exchange.Port == port
			})
			if got := told(events); !slices.Equal(got, v.want) {
				t.Errorf("told %q, want %q", got, v.want)
			}
			slowest := time.Duration(0)
			for _, ev := range events {
				x := ev.Exchange
				slowest = max(slowest, time.Duration(x.Latency))
				if x.Role != flow.RoleClient || x.Cgroup != client.CgroupID || x.Peer != server.CgroupID || x.Remote != server.V4 {
					t.Errorf("ends: %+v", x)
				}
			}
			if slowest < v.atLeast || slowest > v.atLeast+time.Second {
				t.Errorf("the slowest took %v, want %v at least", slowest, v.atLeast)
			}
			count := 0
			for _, ev := range r.all(func(ev *flow.Event) bool {
				return ev.Kind == flow.KindTally && ev.Tally.Protocol == flow.DNS && ev.Tally.Port == port
			}) {
				count += int(ev.Tally.Count)
			}
			if count != len(v.want) {
				t.Errorf("%d in the tallies, want %d", count, len(v.want))
			}
		})
	}
	// The answer that was cut off inside its question, where it left and where it arrived.
	if got := unseenOf(c, flow.DNS); got["error"] != 2 || len(got) != 1 {
		t.Errorf("unseen: %v", got)
	}
}

// unseenOf is the stretches that were not read, by cause.
func unseenOf(c *Capture, protocol flow.L7Protocol) map[string]uint64 {
	got := map[string]uint64{}
	for _, u := range c.Stats().Unseen {
		if u.Protocol == protocol && u.Stretches > 0 {
			got[u.Reason] += u.Stretches
		}
	}
	return got
}

// Names of addresses are learned from DNS on every port, by content.
func TestAnswersOnAnyPortNameTheirAddresses(t *testing.T) {
	_, r, server, client := resolvers(t)
	const name = "any.port.test."
	v := &datagramTalk{
		client: []role.Datagram{{Say: question(t, 5, name, dnsmessage.TypeA)}},
		server: [][]role.Datagram{{{Say: answerTo(t, 5, name, dnsmessage.TypeA, 0, "192.0.2.5")}}},
	}
	v.start(t, server, client)
	v.asked.Stop()
	a := r.wait(t, "names", 1, func(ev *flow.Event) bool { return ev.Kind == flow.KindDNS && ev.DNS.Name == "any.port.test" })[0].DNS
	if a.Cgroup != client.CgroupID || a.Resolver != netip.AddrPortFrom(server.V4, v.served.Addr.Port()) || fmt.Sprint(a.Addrs) != "[192.0.2.5]" {
		t.Errorf("%+v", a)
	}
	v.served.Stop()
	if more := r.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindDNS && ev.DNS.Cgroup == server.CgroupID }); len(more) > 0 {
		t.Errorf("the resolver learned %+v", more[0].DNS)
	}
}

// A question for which there is no room is counted as lost, and every other one once.
func TestLookupsWithoutRoomAreCountedAsLost(t *testing.T) {
	c, r, server, client := resolvers(t)
	room := int(c.lookups.questions.MaxEntries())
	const over = 500
	v := &datagramTalk{}
	for i := range room + over {
		v.client = append(v.client, role.Datagram{Say: question(t, uint16(i), fmt.Sprintf("n%d.test.", i%100), dnsmessage.TypeA)})
	}
	v.start(t, server, client)
	v.asked.Stop()
	v.served.Stop()
	settle(t, c, r)
	lost := int(c.Stats().Lost[flow.Loss{Stage: "kernel", Reason: "lookup_table_full"}])
	counted := tallied(r, client.CgroupID)[flow.NoAnswer]
	// Where the client has no room the resolver, who finds no note, has none either.
	if lost != 2*over || counted != room {
		t.Errorf("lost %d, counted %d, of %d in a table for %d", lost, counted, room+over, room)
	}
	// How many depends on how long it took: the budget is by time.
	if told := len(r.all(lookups(client.CgroupID))); told == 0 || told > counted/20 {
		t.Errorf("%d told in full", told)
	}
}
