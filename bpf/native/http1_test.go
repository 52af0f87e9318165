//go:build cgo && linux

package native

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

func request(s string) Stream { return Stream{Bytes: []byte(s), EOF: true} }

func response(asked uint8, s string) Stream {
	return Stream{Bytes: []byte(s), Responses: true, Asked: []uint8{asked}, EOF: true}
}

// run shows a stream to the parser, and returns what it told: valid until the next run.
func run(h *HTTP1Run, s Stream, cut Cut) []HTTP1Told {
	LoadHTTP1(h, s, cut)
	ParseHTTP1(h)
	return h.Told[:min(int(h.Notes), MaxTold)]
}

// tell runs a stream and returns a line for each thing told.
func tell(h *HTTP1Run, s Stream, cut Cut) []string {
	run(h, s, cut)
	return TellHTTP1(h)
}

// keyField stands for a key in the lines that tests expect.
var keyField = regexp.MustCompile(` key=[0-9a-f]{16}`)

const host = "Host: a\r\n"

func TestHTTP1(t *testing.T) {
	h := new(HTTP1Run)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, test := range []struct {
		name   string
		stream Stream
		want   []string
	}{
		{"get", request("GET / HTTP/1.1\r\n" + host + "\r\n"),
			[]string{`27: request GET "/" asked=1 head=27 body=none keep-alive 1.1 end total=27`}},
		{"pipelined", request("GET /a HTTP/1.1\r\n" + host + "\r\nHEAD /b?c=d HTTP/1.1\r\n" + host + "\r\n"),
			[]string{`28: request GET "/a" asked=1 head=28 body=none keep-alive 1.1 end total=28`,
				`61: request HEAD "/b" asked=2 head=33 body=none keep-alive 1.1 query end total=33`}},
		{"empty line first", request("\r\nGET / HTTP/1.0\r\n\r\n"),
			[]string{`20: request GET "/" asked=1 head=20 body=none end total=20`}},
		{"length", request("POST /a HTTP/1.1\r\nCONTENT-LENGTH:\t 5 \r\n" + host + "\r\n12345PUT /b HTTP/1.1\r\nhost:a\r\nContent-Length:0\r\n\r\n"),
			[]string{`50: request POST "/a" asked=1 head=50 body=length=5 keep-alive 1.1`, `55: request end total=55`,
				`100: request PUT "/b" asked=1 head=45 body=length=0 keep-alive 1.1 end total=45`}},
		{"body with a request in it", request("GET /a HTTP/1.1\r\n" + host + "Content-Length: 18\r\n\r\nGET /b HTTP/1.1\r\n\r"),
			[]string{`48: request GET "/a" asked=1 head=48 body=length=18 keep-alive 1.1`, `66: request end total=66`}},
		{"chunked", request("POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: Chunked\r\n\r\n5\r\n12345\r\n00a;x=\"y\";z\r\n0123456789\r\n0\r\nDigest: x\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
			[]string{`57: request POST "/a" asked=1 head=57 body=chunked keep-alive 1.1`, `108: request end total=108`,
				`126: request GET "/" asked=1 head=18 body=none end total=18`}},
		{"1.0 keep-alive", request("GET / HTTP/1.0\r\nConnection: Foo, Keep-Alive\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
			[]string{`47: request GET "/" asked=1 head=47 body=none keep-alive end total=47`,
				`65: request GET "/" asked=1 head=18 body=none end total=18`}},
		{"close", request("GET / HTTP/1.1\r\nConnection: close\r\n" + host + "\r\n"),
			[]string{`46: request GET "/" asked=1 head=46 body=none 1.1 end total=46`}},
		{"expect", request("POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx"),
			[]string{`69: request POST "/" asked=1 head=69 body=length=1 keep-alive 1.1 expect`, `70: request end total=70`}},
		{"trace", request("GET / HTTP/1.1\r\n" + host + "Traceparent: " + trace + "\r\n\r\n"),
			[]string{`97: request GET "/" asked=1 trace=` + trace + ` head=97 body=none keep-alive 1.1 traced end total=97`}},
		{"trace too long", request("GET / HTTP/1.1\r\n" + host + "traceparent: " + trace + "0\r\n\r\n"),
			[]string{`98: request GET "/" asked=1 head=98 body=none keep-alive 1.1 end total=98`}},
		{"trace twice", request("GET / HTTP/1.1\r\n" + host + "traceparent: " + trace + "\r\ntraceparent: " + trace + "\r\n\r\n"),
			[]string{`167: request GET "/" asked=1 head=167 body=none keep-alive 1.1 end total=167`}},
		{"absolute", request("GET HTTP://A:80/b?c HTTP/1.1\r\nHost: a:80\r\n\r\n"),
			[]string{`44: request GET "/b" asked=1 head=44 body=none keep-alive 1.1 query absolute end total=44`}},
		{"absolute, no path", request("GET https://a HTTP/1.1\r\nHost: a\r\n\r\nGET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n"),
			[]string{`35: request GET "/" asked=1 head=35 body=none keep-alive 1.1 absolute end total=35`,
				`71: request GET "/" asked=1 head=36 body=none keep-alive 1.1 query absolute end total=36`}},
		{"asterisk", request("OPTIONS * HTTP/1.1\r\n" + host + "\r\n"),
			[]string{`31: request OPTIONS "*" asked=1 head=31 body=none keep-alive 1.1 end total=31`}},
		{"connect", request("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
			[]string{`35: request CONNECT "a:443" asked=3 head=35 body=none keep-alive 1.1 end total=35`}},
		{"websocket", request("GET /ws HTTP/1.1\r\n" + host + "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n"),
			[]string{`82: request GET "/ws" asked=4 head=82 body=none keep-alive 1.1 websocket end total=82`}},
		{"h2c", request("GET / HTTP/1.1\r\n" + host + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAM\r\n\r\n"),
			[]string{`99: request GET "/" asked=4 head=99 body=none keep-alive 1.1 h2c end total=99`}},
		{"upgrade that Connection does not name", request("GET / HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n\r\n"),
			[]string{`47: request GET "/" asked=1 head=47 body=none keep-alive 1.1 websocket end total=47`}},
		{"names that are nearly others", request("POST / HTTP/1.1\r\nHosts: b\r\nHos: c\r\nContent-Lengths: 1\r\nContent-: 3\r\nXContent-Length: 2\r\nTransfer-Encodin: x\r\nTransfer-Encodings: chunked\r\n" + host + "\r\n"),
			[]string{`149: request POST "/" asked=1 head=149 body=none keep-alive 1.1 end total=149`}},
		{"other methods", request("PROPFIND /a HTTP/1.1\r\n" + host + "\r\nBASELINE-CONTROL /b HTTP/1.1\r\n" + host + "\r\nget / HTTP/1.1\r\n" + host + "\r\n"),
			[]string{`33: request PROPFIND "/a" asked=1 head=33 body=none keep-alive 1.1 end total=33`,
				`74: request BASELINE "/b" asked=1 head=41 body=none keep-alive 1.1 end total=41`,
				`101: request get "/" asked=1 head=27 body=none keep-alive 1.1 end total=27`}},

		{"long members", request("GET / HTTP/1.1\r\n" + host + "Connection: keep-ali12345678,close\r\nUpgrade: websocke12345678,h2c\r\n\r\n"),
			[]string{`94: request GET "/" asked=1 head=94 body=none 1.1 h2c end total=94`}},

		{"fields of requests", response(AskedPlain, "HTTP/1.1 200 OK\r\nHost:\r\nhost: a b\r\nExpect:\r\ntraceparent:\r\nContent-Length:0\r\n\r\n"),
			[]string{`78: response 200 head=78 body=length=0 keep-alive 1.1 end total=78`}},
		{"ok", response(AskedPlain, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
			[]string{`38: response 200 head=38 body=length=2 keep-alive 1.1`, `40: response end total=40`}},
		{"no reason", response(AskedPlain, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\nHTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n"),
			[]string{`35: response 200 head=35 body=length=0 keep-alive 1.1 end total=35`,
				`71: response 404 head=36 body=length=0 keep-alive 1.1 end total=36`}},
		{"until close", response(AskedPlain, "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nabc"),
			[]string{`30: response 200 head=30 body=close`, `33: response end total=33`}},
		{"until close, empty", response(AskedPlain, "HTTP/1.1 200 OK\r\n\r\n"),
			[]string{`19: response 200 head=19 body=close 1.1`, `19: response end total=19`}},
		{"head, 204, 304", Stream{Responses: true, EOF: true, Asked: []uint8{AskedHead, AskedPlain},
			Bytes: []byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")},
			[]string{`38: response 200 head=38 body=none keep-alive 1.1 end total=38`,
				`65: response 204 head=27 body=none keep-alive 1.1 end total=27`,
				`113: response 304 head=48 body=none keep-alive 1.1 end total=48`,
				`151: response 200 head=38 body=length=1 keep-alive 1.1`, `152: response end total=39`}},
		{"interim", response(AskedHead, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
			[]string{`25: interim 100 head=25 body=none keep-alive 1.1 end total=25`,
				`62: interim 103 head=37 body=none keep-alive 1.1 end total=37`,
				`100: response 200 head=38 body=none keep-alive 1.1 end total=38`}},
		{"switch", response(AskedUpgrade, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x01x"),
			[]string{`77: response 101 head=77 body=none keep-alive 1.1 websocket end total=77 switch`}},
		{"no switch", response(AskedUpgrade, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
			[]string{`38: response 200 head=38 body=length=0 keep-alive 1.1 end total=38`}},
		{"tunnel", response(AskedConnect, "HTTP/1.1 200 Connection established\r\n\r\n\x16\x03\x01"),
			[]string{`39: response 200 head=39 body=none keep-alive 1.1 end total=39 switch`}},
		{"no tunnel", response(AskedConnect, "HTTP/1.1 407 No\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"),
			[]string{`57: response 407 head=57 body=length=1 1.1`, `58: response end total=58`}},
		{"unknown request, end known", response(AskedUnknown, "HTTP/1.1 304 Not Modified\r\n\r\n"),
			[]string{`29: response 304 head=29 body=none keep-alive 1.1 end total=29`}},
		{"chunked response", response(AskedPlain, "HTTP/1.1 200 OK\r\nTransfer-Encoding:chunked\r\n\r\nABCDEF\r\n"+strings.Repeat("x", 0xabcd)+"xx"),
			[]string{`46: response 200 head=46 body=chunked keep-alive 1.1`, fmt.Sprintf("%d: error 139 truncated", 46+8+0xabcd+2)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := tell(h, test.stream, Cut{})
			for i := range got {
				got[i] = keyField.ReplaceAllString(got[i], "")
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q\n got %s\nwant %s", test.stream.Bytes, strings.Join(got, "\n     "), strings.Join(test.want, "\n     "))
			}
			everyCut(t, h, test.stream)
		})
	}
}

// everyCut holds what is told of a stream in one piece against what is told of it
// in many others.
func everyCut(t *testing.T, h *HTTP1Run, s Stream) {
	t.Helper()
	want := tell(h, s, Cut{})
	state := h.State
	check := func(cut Cut) {
		t.Helper()
		got := tell(h, s, cut)
		if !slices.Equal(got, want) {
			t.Fatalf("%q, cut %+v\n got %s\nwant %s", s.Bytes, cut, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		if h.State != state {
			t.Fatalf("%q, cut %+v: state\n got %x\nwant %x", s.Bytes, cut, h.State, state)
		}
	}
	for window := 1; window <= 112; window++ {
		check(Cut{Window: window, Poison: "\r\n :x"[window%5]})
	}
	for at := 1; at < min(len(s.Bytes), 5000); at++ {
		check(Cut{At: []int{at}, Poison: "\n\r,/0"[at%5]})
	}
	random := rand.New(rand.NewPCG(uint64(len(s.Bytes)), 1))
	for range 20 {
		var cut Cut
		for at := 1 + random.IntN(20); at < len(s.Bytes) && len(cut.At) < MaxCuts; at += 1 + random.IntN(1+random.IntN(80)) {
			cut.At = append(cut.At, at)
		}
		cut.Poison = byte(random.Uint32())
		check(cut)
	}
}

// What crosses between C and Go has one layout.
func TestHTTP1Layout(t *testing.T) {
	if n := unsafe.Sizeof(HTTP1Run{}); n != sizeofHTTP1Run {
		t.Errorf("HTTP1Run has %d bytes, struct http1d_run %d", n, sizeofHTTP1Run)
	}
}

// The reasons are the header's: every one is numbered and named as there.
func TestHTTP1Reasons(t *testing.T) {
	header, err := os.ReadFile("../c/parse/http1.h")
	if err != nil {
		t.Fatal(err)
	}
	_, enum, _ := strings.Cut(string(header), "enum http1_reason {")
	enum, _, _ = strings.Cut(enum, "};")
	found := regexp.MustCompile(`HTTP1_([A-Z0-9_]+) = ([0-9]+),`).FindAllStringSubmatch(enum, -1)
	if len(found) != len(http1Reasons) {
		t.Errorf("%d reasons in C, %d in Go", len(found), len(http1Reasons))
	}
	for _, f := range found {
		n, _ := strconv.Atoi(f[2])
		if name := strings.ToLower(strings.ReplaceAll(f[1], "_", " ")); HTTP1Reason(n).String() != name {
			t.Errorf("reason %d is %q in C, %q in Go", n, name, HTTP1Reason(n))
		}
	}
}

// The go command looks for changes in this folder alone: without the links it
// would go on with parsers that it built of older headers.
func TestHeadersAreLinked(t *testing.T) {
	headers, err := filepath.Glob("../c/parse/*.h")
	if err != nil || len(headers) == 0 {
		t.Fatal(headers, err)
	}
	for _, header := range headers {
		if to, err := os.Readlink(filepath.Base(header)); to != header {
			t.Errorf("no link to %s here: %v; ln -s %s bpf/native", header, err, header)
		}
	}
}

func BenchmarkHTTP1(b *testing.B) {
	for _, head := range HTTP1Heads {
		b.Run(head.Name, func(b *testing.B) {
			r := new(HTTP1Run)
			LoadHTTP1(r, head, Cut{})
			r.Plain, r.EOF, r.Repeat = true, false, uint32(b.N)
			ParseHTTP1(r)
			b.ReportMetric(float64(len(head.Bytes)), "bytes")
		})
	}
}
