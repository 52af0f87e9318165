package shop

import (
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func query(t testing.TB, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnswer(t *testing.T) {
	hosts, err := parseHosts("web=10.0.0.2,redis=10.0.0.3")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		kind    dnsmessage.Type
		code    dnsmessage.RCode
		answers int
	}{
		{"web.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1},
		{"WEB.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1},
		{"web.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, 0}, // it exists, but not so
		{"lists.shop.invalid.", dnsmessage.TypeA, dnsmessage.RCodeNameError, 0},
	} {
		out, err := answer(query(t, c.name, c.kind), hosts)
		if err != nil {
			t.Errorf("%s %v: %v", c.name, c.kind, err)
			continue
		}
		var m dnsmessage.Message
		if err := m.Unpack(out); err != nil {
			t.Errorf("%s %v: answer: %v", c.name, c.kind, err)
			continue
		}
		if m.ID != 7 || !m.Response || m.RCode != c.code || len(m.Answers) != c.answers {
			t.Errorf("%s %v: %v with %d answers, want %v with %d", c.name, c.kind, m.RCode, len(m.Answers), c.code, c.answers)
		}
		if c.answers == 1 && m.Answers[0].Body.(*dnsmessage.AResource).A != [4]byte{10, 0, 0, 2} {
			t.Errorf("%s: address %v", c.name, m.Answers[0].Body)
		}
	}
}

func TestParseHostsRefuses(t *testing.T) {
	for _, list := range []string{"web", "web=", "web=fe80::1", "=10.0.0.1", "a=10.0.0.1,b=x"} {
		if got, err := parseHosts(list); err == nil {
			t.Errorf("%q: %v", list, got)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(query(f, "web.", dnsmessage.TypeA))
	f.Add([]byte{0, 7, 1, 0, 0, 1})
	hosts, err := parseHosts("web=10.0.0.2")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := answer(in, hosts)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(out); err != nil || !m.Response {
			t.Errorf("the answer is none: %v", err)
		}
	})
}
