package enforcer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// framed puts messages behind their lengths.
func framed(messages ...[]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

// turns says bytes in pieces, the first when so many were read.
func turns(after int, pieces ...[]byte) []role.Turn {
	var list []role.Turn
	for _, p := range pieces {
		list = append(list, role.Turn{After: after, Say: p})
	}
	return list
}

// askStream has a client say something over a connection to a resolver, and read
// what that answers.
func (w *directory) askStream(from, at string, address netip.Addr, listen string, questions, answers []role.Turn) {
	w.t.Helper()
	server, client := filepath.Join(w.t.TempDir(), "server.json"), filepath.Join(w.t.TempDir(), "client.json")
	if err := role.WriteScript(server, role.Script{Parts: []role.Part{{Turns: answers, Close: true}}}); err != nil {
		w.t.Fatal(err)
	}
	last := 0
	for _, a := range answers {
		last += len(a.Say)
	}
	call := role.Script{
		Parts: []role.Part{{Turns: append(questions, role.Turn{After: last}), Close: true}},
		Calls: []role.Call{{To: netip.AddrPortFrom(address, 53).String()}},
	}
	if err := role.WriteScript(client, call); err != nil {
		w.t.Fatal(err)
	}
	resolver := w.hosts[at].Play(role.Spec{Role: role.ScriptServer, Address: listen, Path: server})
	defer resolver.Stop()
	if r := w.hosts[from].Account(role.Spec{Role: role.ScriptClient, Path: client, Timeout: 5e9}); len(r.Failed) > 0 {
		w.t.Errorf("TCP to %s: %v", address, r.Failed)
	}
}

func TestNamesOverTCP(t *testing.T) {
	w := newDirectory(t, "*.test")
	ask := func(id uint16, of string) []byte { return pack(t, question(id, of, dnsmessage.TypeA)) }
	say := func(id uint16, of, a string) []byte { return pack(t, answer(id, of, addr(of, 60, a))) }
	var bytewise [][]byte
	for _, b := range framed(say(1, "a.test.", "192.0.2.1")) {
		bytewise = append(bytewise, []byte{b})
	}
	var long []dnsmessage.Resource
	for i := range 100 {
		long = append(long, addr("a.test.", 60, fmt.Sprintf("192.0.2.%d", 100+i)))
	}
	large := answer(1, "a.test.", long...)
	for range 20 {
		large.Additionals = append(large.Additionals, record("x.test.", 60, &dnsmessage.TXTResource{TXT: []string{string(make([]byte, 250))}}))
	}
	whole, huge := pack(t, answer(1, "a.test.", long...)), pack(t, large)
	question := framed(ask(1, "a.test."))
	two := framed(ask(1, "a.test."), ask(2, "b.test."))
	for _, c := range []struct {
		what      string
		questions []role.Turn
		answers   []role.Turn
		opens     int
		lost      string
	}{
		{"at once", turns(0, question), turns(len(question), framed(say(1, "a.test.", "192.0.2.1"))), 1, ""},
		{"byte by byte", turns(0, question[:1], question[1:2], question[2:9], question[9:]), turns(len(question), bytewise...), 1, ""},
		{"two at once, in another order", turns(0, two), turns(len(two), framed(say(2, "b.test.", "192.0.2.2"), say(1, "a.test.", "192.0.2.1"))), 2, ""},
		{"many addresses", turns(0, question), turns(len(question), framed(whole)[:700], framed(whole)[700:]), 100, ""},
		{"oversized, and another one", turns(0, two), turns(len(two), framed(huge, say(2, "b.test.", "192.0.2.2"))), 1, "too_long"},
		{"unasked", turns(0, question), turns(len(question), framed(say(3, "a.test.", "192.0.2.1"))), 0, "unasked"},
	} {
		for _, resolver := range []netip.Addr{w.hosts["resolver"].V4, w.hosts["resolver"].V6} {
			w.askStream("client", "resolver", resolver, lab.Listen(53), slices.Clone(c.questions), c.answers)
			if got := w.known("client"); len(got) != c.opens {
				t.Errorf("%s: opens %q", c.what, got)
			}
			if lost := w.lost(); (c.lost == "" && len(lost) > 0) || (c.lost != "" && lost[c.lost] != 1) {
				t.Errorf("%s: lost %v", c.what, lost)
			}
		}
	}
}
