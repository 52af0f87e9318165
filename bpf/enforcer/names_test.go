package enforcer

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// What a resolver answered may be reached, by who asked alone.
func TestNameOpensWhatItsAnswerSays(t *testing.T) {
	w := newDirectory(t, "www.test")
	server := w.hosts["server"]
	stream := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	reach := func(from string, a netip.Addr) string {
		return w.reach(from, role.Spec{Role: role.TCPClient, Address: stream.On(a)})
	}
	if got := reach("client", server.V4); got != "denied" {
		t.Fatalf("before it asked: %q", got)
	}
	for _, resolver := range []netip.Addr{w.hosts["resolver"].V4, w.hosts["resolver"].V6} {
		w.ask("client", "resolver", resolver, datagrams(pack(t, question(7, "WwW.tEst.", dnsmessage.TypeA))),
			[][]role.Datagram{datagrams(pack(t, answer(7, "WwW.tEst.", addr("www.test.", 60, server.V4.String()))))})
		for _, c := range []struct {
			from string
			addr netip.Addr
			want string
		}{{"client", server.V4, ""}, {"client", server.V6, "denied"}, {"client", w.hosts["other"].V4, "denied"}, {"twin", server.V4, "denied"}} {
			if got := reach(c.from, c.addr); got != c.want {
				t.Errorf("asked %s: %s to %s: %q, want %q", resolver, c.from, c.addr, got, c.want)
			}
		}
		if got := w.known("client"); !slices.Equal(got, []string{server.V4.String() + "=www.test"}) {
			t.Errorf("known: %q", got)
		}
		if lost := w.lost(); len(lost) > 0 {
			t.Errorf("lost %v", lost)
		}
		if got := reach("client", server.V4); got != "denied" {
			t.Errorf("when it is forgotten: %q", got)
		}
	}
}

// Each answer to the question for a.test, by the id 1, with what it opens.
func TestAnswers(t *testing.T) {
	w := newDirectory(t, "a.test", "*.b.test")
	ask := pack(t, question(1, "a.test.", dnsmessage.TypeA))
	one := answer(1, "a.test.", addr("a.test.", 60, "192.0.2.1"))
	with := func(change func(m *dnsmessage.Message)) []byte {
		m := one
		m.Questions, m.Answers = slices.Clone(one.Questions), slices.Clone(one.Answers)
		change(&m)
		return pack(t, m)
	}
	// The record's name is a pointer to itself, or to what follows.
	loop := pack(t, one)
	loop[bytes.LastIndex(loop, []byte{0xc0, 12})+1] = byte(bytes.LastIndex(loop, []byte{0xc0, 12}))
	var many []dnsmessage.Resource
	var all []string
	for i := range 200 {
		many = append(many, addr("a.test.", 60, fmt.Sprintf("192.0.2.%d", i)))
		all = append(all, fmt.Sprintf("192.0.2.%d=a.test", i))
	}
	slices.Sort(all)
	for range 60 {
		many = append(many, record("a.test.", 60, &dnsmessage.TXTResource{TXT: []string{strings.Repeat("x", 250)}}))
	}
	for _, c := range []struct {
		what   string
		answer []byte
		opens  []string
		lost   string
	}{
		{"one address", pack(t, one), []string{"192.0.2.1=a.test"}, ""},
		{"TTL 0", pack(t, answer(1, "a.test.", addr("a.test.", 0, "192.0.2.1"))), []string{"192.0.2.1=a.test"}, ""},
		{"other letters", pack(t, answer(1, "A.teST.", addr("a.TEst.", 60, "192.0.2.1"))), []string{"192.0.2.1=a.test"}, ""},
		{"both families", pack(t, answer(1, "a.test.", addr("a.test.", 60, "192.0.2.1"), addr("a.test.", 60, "2001:db8::1"))), []string{"192.0.2.1=a.test", "2001:db8::1=a.test"}, ""},
		{"aliases", pack(t, answer(1, "a.test.", alias("a.test.", "x.cdn.test."), alias("x.cdn.test.", "y.cdn.test."), addr("y.cdn.test.", 60, "192.0.2.1"))), []string{"192.0.2.1=a.test"}, ""},
		{"a foreign record", pack(t, answer(1, "a.test.", addr("victim.test.", 60, "192.0.2.9"), addr("a.test.", 60, "192.0.2.1"))), []string{"192.0.2.1=a.test"}, ""},
		{"an alias too late", pack(t, answer(1, "a.test.", addr("x.test.", 60, "192.0.2.9"), alias("a.test.", "x.test."))), []string{}, ""},
		{"many", pack(t, answer(1, "a.test.", many[:200]...)), all, ""},
		{"the name of an alias's pattern", pack(t, answer(1, "a.test.", alias("a.test.", "x.b.test."), addr("x.b.test.", 60, "192.0.2.1"))), []string{"192.0.2.1=a.test"}, ""},
		{"no such name", with(func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNameError }), []string{}, ""},
		{"a wrong id", with(func(m *dnsmessage.Message) { m.ID = 2 }), []string{}, "unasked"},
		{"a wrong name", pack(t, answer(1, "x.b.test.", addr("x.b.test.", 60, "192.0.2.1"))), []string{}, "unasked"},
		{"a wrong type", with(func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeAAAA }), []string{}, "unasked"},
		{"a name of no pattern", pack(t, answer(1, "c.test.", addr("c.test.", 60, "192.0.2.1"))), []string{}, ""},
		{"truncated", with(func(m *dnsmessage.Message) { m.Truncated = true }), []string{}, "truncated"},
		{"two questions", with(func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }), []string{}, "unreadable"},
		{"no question", with(func(m *dnsmessage.Message) { m.Questions = nil }), []string{}, "unreadable"},
		{"an update", with(func(m *dnsmessage.Message) { m.OpCode = 5 }), []string{}, ""},
		{"cut short", pack(t, answer(1, "a.test.", many[:3]...))[:60], []string{}, "unreadable"},
		{"a loop of pointers", loop, []string{}, "unreadable"},
		{"oversized", pack(t, answer(1, "a.test.", many...)), []string{}, "too_long"},
		{"no DNS", []byte("hello, is this a resolver?"), []string{}, ""},
	} {
		w.ask("client", "resolver", w.hosts["resolver"].V4, datagrams(ask), [][]role.Datagram{datagrams(c.answer)})
		if got := w.known("client"); !slices.Equal(got, c.opens) {
			t.Errorf("%s: opens %q, want %q", c.what, got, c.opens)
		}
		want := map[string]uint64{}
		if c.lost != "" {
			want[c.lost] = 1
		}
		if lost := w.lost(); !maps.Equal(lost, want) {
			t.Errorf("%s: lost %v, want %v", c.what, lost, want)
		}
	}
}

// Only the first answer from where the question went counts, and in time.
func TestAnswersOutOfPlace(t *testing.T) {
	w := newDirectory(t, "a.test")
	ask := pack(t, question(1, "a.test.", dnsmessage.TypeA))
	say := func(a string) []byte { return pack(t, answer(1, "a.test.", addr("a.test.", 60, a))) }
	resolver := w.hosts["resolver"].V4

	w.ask("client", "resolver", resolver, datagrams(ask), [][]role.Datagram{datagrams(say("192.0.2.1"), say("192.0.2.2"))})
	if got := w.known("client"); !slices.Equal(got, []string{"192.0.2.1=a.test"}) || w.lost()["unasked"] != 1 {
		t.Errorf("of two answers: %q", got)
	}
	w.ask("client", "resolver", resolver, datagrams(pack(t, question(1, "c.test.", dnsmessage.TypeA))), [][]role.Datagram{datagrams(say("192.0.2.1"))})
	if got := w.known("client"); len(got) > 0 || w.lost()["unasked"] != 1 {
		t.Errorf("asked for something else: %q", got)
	}
	slow := role.Datagrams{Client: datagrams(ask), Server: [][]role.Datagram{{{After: time.Second, Say: say("192.0.2.1")}}}}
	w.askFor("client", "resolver", resolver, lab.Listen(53), slow, func() {
		// The clock is not to be waited for: the question becomes older.
		k := make([]byte, w.maps["asked"].KeySize())
		for begun := time.Now(); w.maps["asked"].NextKey(nil, &k) != nil; time.Sleep(time.Millisecond) {
			if time.Since(begun) > 5*time.Second {
				t.Fatal("the question was not noted")
			}
		}
		if err := w.maps["asked"].Put(k, uint64(1)); err != nil {
			t.Fatal(err)
		}
	})
	if got := w.known("client"); len(got) > 0 || w.lost()["late"] != 1 {
		t.Errorf("too late: %q", got)
	}
}

// The identities of every pattern that matches, by the kernel as by policies.
func TestPatternsInTheKernel(t *testing.T) {
	for i, c := range patternCases {
		if len(c.patterns) == 0 {
			continue
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			w := newDirectory(t, c.patterns...)
			var questions []role.Datagram
			var answers [][]role.Datagram
			want := []string{}
			for n, of := range c.names {
				a := fmt.Sprintf("192.0.2.%d", n)
				questions = append(questions, role.Datagram{After: 30 * time.Millisecond, Say: pack(t, question(uint16(n), of+".", dnsmessage.TypeA))})
				answers = append(answers, datagrams(pack(t, answer(uint16(n), of+".", addr(of+".", 60, a)))))
				for _, p := range w.names {
					if p.Matches(of) {
						want = append(want, a+"="+p.Pattern)
					}
				}
			}
			w.ask("client", "resolver", w.hosts["resolver"].V4, questions, answers)
			slices.Sort(want)
			if got := w.known("client"); !slices.Equal(got, want) {
				t.Errorf("known %q, want %q", got, want)
			}
		})
	}
}

// Whoever runs a name's servers must not open this machine by it.
func TestNamesNeverOpenTheMachine(t *testing.T) {
	w := newDirectory(t, "a.test")
	ask := pack(t, question(1, "a.test.", dnsmessage.TypeA))
	for _, a := range []string{"0.0.0.0", "127.0.0.1", "127.8.8.8", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "ff02::1", "::ffff:127.0.0.1"} {
		w.ask("client", "resolver", w.hosts["resolver"].V4, datagrams(ask),
			[][]role.Datagram{datagrams(pack(t, answer(1, "a.test.", addr("a.test.", 60, a))))})
		// Loopback is the workload's own here: nothing is said of it at this end.
		host := netip.MustParseAddr(a)
		if host.Unmap().IsLoopback() || host.Is4In6() {
			continue
		}
		if got := w.reach("client", role.Spec{Role: role.UDPClient, Address: netip.AddrPortFrom(linkScoped(host), 9).String()}); got != "denied" {
			t.Errorf("%s: %q", a, got)
		}
	}
	// What is the host's own is closed too, as is what a rule denies.
	server := w.hosts["server"]
	stream := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	w.ask("client", "resolver", w.hosts["resolver"].V4, datagrams(ask), [][]role.Datagram{datagrams(pack(t, answer(1, "a.test.", addr("a.test.", 60, server.V4.String()))))})
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: stream.On(server.V4)}); got != "" {
		t.Errorf("a server: %q", got)
	}
	w.enforce(both(policy.Egress, w.identity("server"), 0, 0, policy.Deny))
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: stream.On(server.V4)}); got != "denied" {
		t.Errorf("a denied server: %q", got)
	}
	w.machine = server.V4
	w.enforce()
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: stream.On(server.V4)}); got != "denied" {
		t.Errorf("the machine itself: %q", got)
	}
	w.enforce(both(policy.Egress, policy.IdentityHost, tcp, 0, policy.Allow))
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: stream.On(server.V4)}); got != "" {
		t.Errorf("the machine, where a rule of its own opens it: %q", got)
	}
}

func linkScoped(a netip.Addr) netip.Addr {
	if a.IsLinkLocalUnicast() && a.Is6() || a.IsLinkLocalMulticast() && a.Is6() {
		return a.WithZone("eth0")
	}
	return a
}
