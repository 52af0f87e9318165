//go:build cgo && linux

package native

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// dnsHeader is a DNS header with all its counts.
func dnsHeader(id, flags, questions, answers, authorities, additionals uint16) []byte {
	var b []byte
	for _, n := range []uint16{id, flags, questions, answers, authorities, additionals} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

// dnsWire is a name, its labels behind their lengths.
func dnsWire(labels ...string) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteByte(byte(len(l)))
		b.WriteString(l)
	}
	b.WriteByte(0)
	return b.String()
}

const (
	dnsAsk    = 0x0100 // flags of a query
	dnsAnswer = 0x8180 // and of its answer
	inA       = "\x00\x01\x00\x01"
	inAAAA    = "\x00\x1c\x00\x01"
	inName    = "\x00\x05\x00\x01"
	ttl60     = "\x00\x00\x00\x3c"
)

func dnsMessage(head []byte, parts ...string) []byte {
	return append(head, strings.Join(parts, "")...)
}

func TestDNS(t *testing.T) {
	var r DNSRun
	name := dnsWire("WWW", "Example", "com")
	a := func(owner, ttl string, last byte) string {
		return owner + inA + ttl + "\x00\x04\xc0\x00\x02" + string([]byte{last})
	}
	for _, test := range []struct {
		name    string
		message []byte
		want    string
	}{
		{"query", dnsMessage(dnsHeader(0x1234, dnsAsk, 1, 0, 0, 0), name, inA),
			`33: query id=1234 flags=0100 "www.example.com." type=1 class=1 hash=6e3d97453d5ca750 authorities=0 additionals=0 size=33`},
		{"query with OPT", dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 1), name, inA, "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"),
			`44: query id=0001 flags=0100 "www.example.com." type=1 class=1 hash=6e3d97453d5ca750 authorities=0 additionals=1 size=44`},
		{"root", dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 0), dnsWire(), "\x00\x02\x00\x01"),
			`17: query id=0001 flags=0100 "" type=2 class=1 hash=243b037f5fd114aa authorities=0 additionals=0 size=17`},
		{"any bytes in labels", dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 0), dnsWire("a.b", "\x00\xc1Z[@"), inA),
			`27: query id=0001 flags=0100 "a.b.\x00\xc1z[@." type=1 class=1 hash=` + hashOf(dnsWire("a.b", "\x00\xc1z[@")) + ` authorities=0 additionals=0 size=27`},
		{"answer", dnsMessage(dnsHeader(7, dnsAnswer, 1, 1, 0, 0), name, inA, a("\xc0\x0c", ttl60, 1)),
			`49: response id=0007 flags=8180 "www.example.com." type=1 class=1 hash=6e3d97453d5ca750 answers=1 addresses=1 [192.0.2.1] aliases=0 ttl=60 authorities=0 additionals=0 size=49`},
		{"aliases, classes and other types", dnsMessage(dnsHeader(7, dnsAnswer, 1, 5, 1, 0), name, inA,
			"\xc0\x0c"+inName+"\x00\x00\x00\x05\x00\x02\xc0\x0c",
			a(dnsWire("x"), ttl60, 9),
			"\xc0\x0c\x00\x01\x00\x03"+"\x00\x00\x00\x01\x00\x02ab",
			"\xc0\x0c\x00\x10\x00\x01"+"\x00\x00\x00\x01\x00\x00",
			"\xc0\x0c"+inAAAA+"\x00\x00\x00\x07\x00\x10 \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02",
			"any authority"),
			`131: response id=0007 flags=8180 "www.example.com." type=1 class=1 hash=6e3d97453d5ca750 answers=5 addresses=2 [192.0.2.9 2001:db8::2] aliases=1 ttl=5 authorities=1 additionals=0 size=131`},
		{"TTL of the highest bit", dnsMessage(dnsHeader(7, dnsAnswer, 1, 1, 0, 0), name, inA, a("\xc0\x0c", "\x80\x00\x00\x01", 1)),
			`49: response id=0007 flags=8180 "www.example.com." type=1 class=1 hash=6e3d97453d5ca750 answers=1 addresses=1 [192.0.2.1] aliases=0 ttl=0 authorities=0 additionals=0 size=49`},
		{"header alone", dnsHeader(9, 0x8185, 0, 0, 0, 0),
			`12: response id=0009 flags=8185 answers=0 addresses=0 [] aliases=0 authorities=0 additionals=0 size=12`},
		{"answers without a question", dnsMessage(dnsHeader(9, 0x8480, 0, 1, 0, 0), a(dnsWire("a"), ttl60, 3)),
			`29: response id=0009 flags=8480 answers=1 addresses=1 [192.0.2.3] aliases=0 ttl=60 authorities=0 additionals=0 size=29`},
		{"cut off, and says so", dnsMessage(dnsHeader(9, 0x8380, 1, 0, 0, 0), name, inA),
			`33: response id=0009 flags=8380 "www.example.com." type=1 class=1 hash=6e3d97453d5ca750 answers=0 addresses=0 [] aliases=0 authorities=0 additionals=0 size=33`},

		{"no header", dnsHeader(1, dnsAsk, 1, 0, 0, 0)[:11], "8: error 200 short"},
		{"header without its question", dnsHeader(1, dnsAsk, 1, 0, 0, 0), "12: error 200 short"},
		{"question without its class", dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 0), name, "\x00\x01\x00"), "29: error 200 short"},
		{"answers missing", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), name, inA), "33: error 200 short"},
		{"answer cut off", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), name, inA, a("\xc0\x0c", ttl60, 1)[:15]), "45: error 200 short"},
		{"two questions", dnsMessage(dnsHeader(1, dnsAsk, 2, 0, 0, 0), name, inA, name, inA), "8: error 201 questions"},
		{"query without a question", dnsHeader(1, dnsAsk, 0, 0, 0, 0), "8: error 201 questions"},
		{"pointer in a question", dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 0), "\xc0\x0c", inA), "13: error 202 label"},
		{"reserved label", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), name, inA, a("\x80\x0c", ttl60, 1)), "34: error 202 label"},
		{"pointer to itself", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), name, inA, a("\xc0\x21", ttl60, 1)), "39: error 204 pointer"},
		{"pointer into its own name", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), name, inA, a("\x01a\xc0\x21", ttl60, 1)), "41: error 204 pointer"},
		{"pointer into the header", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), name, inA, a("\xc0\x0b", ttl60, 1)), "39: error 204 pointer"},
		{"short address", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), name, inA, "\xc0\x0c", inA, ttl60, "\x00\x03abc"), "45: error 205 rdlength"},
		{"long address", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), name, inA, "\xc0\x0c", inAAAA, ttl60, "\x00\x11abcdefghijklmnopq"), "45: error 205 rdlength"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(pointers(dnsSays(&r, test.message, true, Cut{}))); got != "\n\t"+test.want {
				t.Errorf("says%s\nwant\n\t%s", got, test.want)
			}
			random := rand.New(rand.NewPCG(1, uint64(len(test.message))))
			everyDNSCut(t, &r, test.message, true, cuts(len(test.message), random))
			agree(t, &r, test.message)
		})
	}
}

// hashOf is name_hash() of a whole name.
func hashOf(name string) string {
	hash := uint64(0xcbf29ce484222325)
	mix := func(n uint64) {
		hash = (hash ^ n) * 0x9e3779b97f4a7c15
		hash ^= hash >> 32
	}
	rest := name
	for ; len(rest) >= 8; rest = rest[8:] {
		mix(binary.BigEndian.Uint64([]byte(rest)))
	}
	var last uint64
	for _, c := range []byte(rest) {
		last = last<<8 | uint64(c)
	}
	mix(last)
	mix(uint64(len(name)))
	return fmt.Sprintf("%016x", hash)
}

// A name may have 255 bytes; all are kept, and hashed.
func TestDNSLongNames(t *testing.T) {
	var r DNSRun
	long := strings.Repeat("x", 63)
	for last, want := range map[int]string{61: "", 62: "203 name length"} {
		labels := []string{long, long, long, long[:last]}
		said := dnsSays(&r, dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 0), dnsWire(labels...), inA), true, Cut{})
		if len(said) != 1 || want != "" != (said[0].Flags&FlagError != 0) {
			t.Errorf("last label of %d bytes:%s\nwant %q", last, lines(pointers(said)), want)
			continue
		}
		if want == "" && (said[0].NameLen != 255 || fmt.Sprintf("%016x", said[0].Hash) != hashOf(dnsWire(labels...)) || string(said[0].NameBytes[:255]) != dnsWire(labels...)) {
			t.Errorf("name of 255 bytes: %+v", said[0])
		}
	}
	// 128 labels would have 257 bytes.
	said := dnsSays(&r, dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 0), dnsWire(slices.Repeat([]string{"a"}, 128)...), inA), true, Cut{})
	if len(said) != 1 || said[0].Reason.String() != "name length" {
		t.Errorf("128 labels:%s", lines(pointers(said)))
	}
	owner := dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), dnsWire("a"), inA, dnsWire(long, long, long, long[:62]), inA, ttl60, "\x00\x04abcd")
	if said := dnsSays(&r, owner, true, Cut{}); len(said) != 1 || said[0].Reason.String() != "name length" {
		t.Errorf("long name of an answer:%s", lines(pointers(said)))
	}
}

// dnsStream puts messages behind their lengths.
func dnsStream(messages ...[]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

func TestDNSStream(t *testing.T) {
	var r DNSRun
	query := dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 0), dnsWire("a"), inA)
	reply := dnsMessage(dnsHeader(1, dnsAnswer, 1, 0, 0, 0), dnsWire("a"), inA, strings.Repeat("z", 500))
	for _, test := range []struct {
		name   string
		stream []byte
		want   []string
	}{
		{"nothing", nil, nil},
		{"messages in a row", dnsStream(query, reply, query), []string{
			`21: query id=0001 flags=0100 "a." type=1 class=1 hash=` + hashOf("\x01a\x00") + ` authorities=0 additionals=0 size=19`,
			`542: response id=0001 flags=8180 "a." type=1 class=1 hash=` + hashOf("\x01a\x00") + ` answers=0 addresses=0 [] aliases=0 authorities=0 additionals=0 size=519`,
			`563: query id=0001 flags=0100 "a." type=1 class=1 hash=` + hashOf("\x01a\x00") + ` authorities=0 additionals=0 size=19`}},
		{"half a length", append(dnsStream(query), 0), []string{
			`21: query id=0001 flags=0100 "a." type=1 class=1 hash=` + hashOf("\x01a\x00") + ` authorities=0 additionals=0 size=19`,
			`22: error 206 truncated`}},
		{"half a message", dnsStream(query)[:20], []string{`20: error 206 truncated`}},
		{"half of what is skipped", dnsStream(reply)[:300], []string{`300: error 206 truncated`}},
		{"length without a header", append([]byte{0, 11}, query...), []string{`2: error 200 short`}},
		{"message longer than its length", append([]byte{0, 18}, query...), []string{`17: error 200 short`}},
		{"nothing comes after an error", append([]byte{0, 0}, dnsStream(query, query)...), []string{`2: error 200 short`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := ""
			for _, line := range test.want {
				want += "\n\t" + line
			}
			if got := lines(pointers(dnsSays(&r, test.stream, false, Cut{}))); got != want {
				t.Errorf("says%s\nwant%s", got, want)
			}
			random := rand.New(rand.NewPCG(1, uint64(len(test.stream))))
			everyDNSCut(t, &r, test.stream, false, cuts(len(test.stream), random))
		})
	}
}

func TestDetectDNS(t *testing.T) {
	query := dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 1), dnsWire("example", "com"), inA)
	for _, test := range []struct {
		name  string
		begin []byte
		want  int
	}{
		{"query", query, 2},
		{"response", dnsMessage(dnsHeader(1, dnsAnswer, 1, 1, 0, 0), dnsWire("example", "com"), inA), 3},
		{"nothing yet", nil, 1},
		{"header alone", query[:12], 1},
		{"update", dnsMessage(dnsHeader(1, 0x2800, 1, 0, 0, 0), dnsWire("com"), inA), 0},
		{"two questions", dnsMessage(dnsHeader(1, dnsAsk, 2, 0, 0, 0), dnsWire("com"), inA), 0},
		{"query with an answer", dnsMessage(dnsHeader(1, dnsAsk, 1, 1, 0, 0), dnsWire("com"), inA), 0},
		{"query with a code", dnsMessage(dnsHeader(1, dnsAsk|3, 1, 0, 0, 0), dnsWire("com"), inA), 0},
		{"no name", dnsMessage(dnsHeader(1, dnsAsk, 1, 0, 0, 0), "\xc0\x0c"), 0},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), 0},
		{"TLS", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00"), 0},
		{"zeroes", make([]byte, 40), 0},
	} {
		if got := DetectDNS(test.begin); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}
