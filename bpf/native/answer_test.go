//go:build cgo && linux

package native

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// readByLibrary gives the addresses that belong to the question, as a library reads
// the message; ok is false where it cannot.
func readByLibrary(msg []byte) (records []AnswerRecord, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		return nil, false
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) != 1 {
		return nil, false
	}
	wanted, least := strings.ToLower(questions[0].Name.String()), ^uint32(0)
	for {
		r, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone || (err == nil && h.RCode != 0) {
			return records, true
		}
		if err != nil {
			return nil, false
		}
		ttl := r.TTL
		if ttl>>31 != 0 {
			ttl = 0
		}
		ours := strings.ToLower(r.Name.String()) == wanted && r.Class == dnsmessage.ClassINET
		switch {
		case ours && r.Type == dnsmessage.TypeA:
			a, err := p.AResource()
			if err != nil {
				return nil, false
			}
			records = append(records, AnswerRecord{netip.AddrFrom4(a.A), min(ttl, least)})
		case ours && r.Type == dnsmessage.TypeAAAA:
			a, err := p.AAAAResource()
			if err != nil {
				return nil, false
			}
			records = append(records, AnswerRecord{netip.AddrFrom16(a.AAAA).Unmap(), min(ttl, least)})
		case ours && r.Type == dnsmessage.TypeCNAME:
			c, err := p.CNAMEResource()
			if err != nil {
				return nil, false
			}
			wanted, least = strings.ToLower(c.CNAME.String()), min(ttl, least)
		default:
			if p.SkipAnswer() != nil {
				return nil, false
			}
		}
	}
}

// answerSamples are messages of all kinds.
func answerSamples(t testing.TB) map[string][]byte {
	name := dnsmessage.MustNewName
	resource := func(owner string, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
		h := dnsmessage.ResourceHeader{Name: name(owner), Class: dnsmessage.ClassINET, TTL: ttl}
		return dnsmessage.Resource{Header: h, Body: body}
	}
	v4 := func(owner string, ttl uint32, n byte) dnsmessage.Resource {
		return resource(owner, ttl, &dnsmessage.AResource{A: [4]byte{192, 0, 2, n}})
	}
	v6 := func(owner string) dnsmessage.Resource {
		return resource(owner, 5, &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}})
	}
	alias := func(owner, to string, ttl uint32) dnsmessage.Resource {
		return resource(owner, ttl, &dnsmessage.CNAMEResource{CNAME: name(to)})
	}
	long := strings.Repeat(strings.Repeat("l", 61)+".", 4)
	samples := map[string][]byte{}
	add := func(what string, h dnsmessage.Header, of string, answers ...dnsmessage.Resource) {
		m := dnsmessage.Message{Header: h, Answers: answers,
			Questions: []dnsmessage.Question{{Name: name(of), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
		for i := range m.Answers {
			switch m.Answers[i].Body.(type) {
			case *dnsmessage.AResource:
				m.Answers[i].Header.Type = dnsmessage.TypeA
			case *dnsmessage.AAAAResource:
				m.Answers[i].Header.Type = dnsmessage.TypeAAAA
			case *dnsmessage.CNAMEResource:
				m.Answers[i].Header.Type = dnsmessage.TypeCNAME
			}
		}
		b, err := m.Pack()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		samples[what] = b
		// The same without compression: each record's name in full.
		builder := dnsmessage.NewBuilder(nil, h)
		if builder.StartQuestions() != nil || builder.Question(m.Questions[0]) != nil || builder.StartAnswers() != nil {
			t.Fatal(what)
		}
		for _, r := range m.Answers {
			var err error
			switch body := r.Body.(type) {
			case *dnsmessage.AResource:
				err = builder.AResource(r.Header, *body)
			case *dnsmessage.AAAAResource:
				err = builder.AAAAResource(r.Header, *body)
			case *dnsmessage.CNAMEResource:
				err = builder.CNAMEResource(r.Header, *body)
			case *dnsmessage.TXTResource:
				err = builder.TXTResource(r.Header, *body)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if b, err = builder.Finish(); err != nil {
			t.Fatal(err)
		}
		samples[what+", in full"] = b
	}
	answer := dnsmessage.Header{ID: 0x1234, Response: true}
	add("a question", dnsmessage.Header{ID: 1}, "a.test.")
	add("no answer", answer, "a.test.")
	add("addresses", answer, "A.test.", v4("a.TEST.", 60, 1), v6("a.test."), v4("a.test.", 1<<31, 2))
	add("aliases", answer, "a.test.", alias("a.test.", "b.a.test.", 9), alias("b.a.test.", "c.test.", 30), v4("c.test.", 60, 1), v4("a.test.", 1, 2))
	add("foreign records", answer, "a.test.", v4("b.test.", 1, 1), v4("a.test.", 2, 2), v4("test.", 3, 3), v4("a.test.a.test.", 4, 4))
	add("a long name", answer, long, v4(long, 1, 1))
	add("the root", answer, ".", v4(".", 1, 1))
	add("other records", answer, "a.test.", resource("a.test.", 1, &dnsmessage.TXTResource{TXT: []string{"text"}}), v4("a.test.", 1, 1))
	add("an alias to itself", answer, "a.test.", alias("a.test.", "a.test.", 7), v4("a.test.", 60, 1))
	return samples
}

func TestAnswersAreReadAsByALibrary(t *testing.T) {
	for what, msg := range answerSamples(t) {
		want, ok := readByLibrary(msg)
		got, sound := ReadAnswer(msg)
		if !ok || !sound || !reflect.DeepEqual(got.Records, want) {
			t.Errorf("%s: %v %v, want %v %v", what, got.Records, sound, want, ok)
		}
		// Nothing is sound that is cut before its records end.
		for n := range len(msg) {
			if _, sound := ReadAnswer(msg[:n]); sound {
				t.Errorf("%s: the first %d bytes of %d are sound", what, n, len(msg))
			}
		}
	}
}

func TestAnswersThatAreNotBelieved(t *testing.T) {
	sound := answerSamples(t)["foreign records"]
	pointer := bytes.Index(sound, []byte{0xc0, 12})
	for what, change := range map[string]func(b []byte) []byte{
		"two questions":        func(b []byte) []byte { b[5] = 2; return b },
		"no question":          func(b []byte) []byte { b[5] = 0; return b },
		"another operation":    func(b []byte) []byte { b[2] |= 0x28; return b },
		"a pointer to itself":  func(b []byte) []byte { b[pointer+1] = byte(pointer); return b },
		"a pointer ahead":      func(b []byte) []byte { b[pointer+1] = byte(pointer + 20); return b },
		"a pointer to header":  func(b []byte) []byte { b[pointer+1] = 2; return b },
		"a question's pointer": func(b []byte) []byte { b[12] = 0xc0; return b },
		"an odd label":         func(b []byte) []byte { b[pointer] = 0x80; return b },
		"a short address":      func(b []byte) []byte { b[pointer+11] = 3; return b },
		"above 4,096 bytes":    func(b []byte) []byte { return append(b, make([]byte, 4097)...) },
	} {
		if a, ok := ReadAnswer(change(bytes.Clone(sound))); ok {
			t.Errorf("%s: %+v", what, a)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, msg := range answerSamples(f) {
		f.Add(msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, sound := ReadAnswer(msg)
		if !sound || !got.Response {
			return
		}
		// A library that cannot read what the kernel can is no judge.
		if want, ok := readByLibrary(msg); ok && fmt.Sprint(got.Records) != fmt.Sprint(want) {
			t.Errorf("%x: %v, want %v", msg, got.Records, want)
		}
	})
}
