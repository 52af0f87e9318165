//go:build cgo && linux

package native

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Every way to be read in two ways has its own reason, and what went before it
// is still told. at is where the offending byte is.
func TestHTTP1Errors(t *testing.T) {
	h := new(HTTP1Run)
	post := func(fields string) string { return "POST / HTTP/1.1\r\n" + host + fields + "\r\n0123456789" }
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\n" + host + "\r\n" }
	chunked := func(body string) string {
		return "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + body
	}
	ok := func(fields string) string { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" }
	tested := map[string]bool{}
	for _, test := range []struct {
		reason    string
		requests  []string
		responses []string
		asked     uint8
	}{
		{reason: "bad start", requests: []string{"\r\n\r\nGET / HTTP/1.1\r\n", "\rGET", " GET / HTTP/1.1\r\n", "\nGET", ":", "\x16\x03\x01", "GE\x80T / ", "G,T / HTTP/1.1\r\n", "{} "},
			responses: []string{"\r\nHTTP/1.1 200 OK\r\n", "HTTP/2.0 200 OK\r\n", "http/1.1 200 OK\r\n", "HTTP/1.2 200 OK\r\n", "ICY 200 OK\r\n", "HTTP 200"}},
		{reason: "bad method", requests: []string{"GET\r\n", "GET\t/ HTTP/1.1\r\n", "GET\x00 / HTTP/1.1\r\n", "GET: /", strings.Repeat("A", 25) + " / HTTP/1.1\r\n", "PROPFIND\r\n"}},
		{reason: "http2 preface", requests: []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}},
		{reason: "bad target", requests: []string{"GET  / HTTP/1.1\r\n", "GET /\t HTTP/1.1\r\n", "GET * HTTP/1.1\r\n", "OPTIONS ** HTTP/1.1\r\n", "GET a HTTP/1.1\r\n", "GET ftp://a/ HTTP/1.1\r\n",
			"GET http:/a HTTP/1.1\r\n", "GET http:///a HTTP/1.1\r\n", "GET httpss://a HTTP/1.1\r\n", "GET http1://a HTTP/1.1\r\n", "CONNECT /a HTTP/1.1\r\n", "CONNECT a:1/ HTTP/1.1\r\n", "CONNECT  a:1", get("/\x00"), get("/\x7f"), get("/?a\x01"), "OPTIONS *\r\n"}},
		{reason: "fragment", requests: []string{get("/a#b"), get("/?a#b"), get("/#")}},
		{reason: "userinfo", requests: []string{get("http://a@b/"), "CONNECT a@b:1 HTTP/1.1\r\n"}},
		{reason: "no version", requests: []string{"GET /\r\n", "GET / \r\n", "GET /?a\r\n", "GET /\n", "GET /  HTTP/1.1\r\n"}},
		{reason: "bad version", requests: []string{"GET / HTTP/1.2\r\n", "GET / HTTP/2.0\r\n", "GET / http/1.1\r\n", "GET / HTTP/1.1 \r\n", "GET / HTTP/1.10\r\n", "GET / HTTP/1\r\n", "GET / a HTTP/1.1\r\n", "GET / HTTP/1.1\t\r\n"}},
		{reason: "bad status", responses: []string{"HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 099 OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1\r\n", "HTTP/1.1\t200 OK\r\n", "HTTP/1.1 200\n", "HTTP/1.1 200\tOK\r\n", "HTTP/1.10 200 OK\r\n"}},
		{reason: "bare cr", requests: []string{post("A: b\rc\r\n"), post("A: b\r\r\n"), "GET / HTTP/1.1\rHost: a\r\n\r\n", "GET / HTTP/1.1\r\n" + host + "\rA", post("Content-Length: 5\r6\r\n"), chunked("5\r1"), chunked("5;\r1"), chunked("0\r\n\rx")}, responses: []string{"HTTP/1.1 200 OK\rx"}},
		{reason: "bare lf", requests: []string{"GET / HTTP/1.1\nHost: a\r\n", post("A: b\n"), "GET / HTTP/1.1\r\n\n", post("Connection: \n"), post("A: b\r\n\nC: d\r\n")}, responses: []string{"HTTP/1.1 200 OK\n"}},
		{reason: "obs fold", requests: []string{post("A: b\r\n c\r\n"), post("A: b\r\n\tc\r\n"), "GET / HTTP/1.1\r\n Host: a\r\n", post("X:\r\n Transfer-Encoding: chunked\r\n"), chunked("0\r\n a\r\n")}, responses: []string{ok("A: b\r\n c\r\n")}},
		{reason: "name space", requests: []string{post("Content-Length : 5\r\n"), post("Host : b\r\n"), post("Transfer-Encoding\t: chunked\r\n"), post("A : b\r\n"), post("A b: c\r\n"), post("Content Length: 5\r\n"), post("Content-Length\xba 5\r\n"), post("Connection\xba x\r\n"), post("Connection : x\r\n"), post("Upgrade : x\r\n"), post("An-Other-Name : x\r\n")}},
		{reason: "no colon", requests: []string{post("A\r\n"), post("Content-Length\r\n"), post("A\x00: b\r\n"), post("Host\x0b: b\r\n"), post("Content-Length\n"), post("Content-Length\x1a 5\r\n"), post("Connection\x1a close\r\n")}},
		{reason: "empty name", requests: []string{post(": b\r\n")}},
		{reason: "control", requests: []string{post("A: b\x00\r\n"), post("\x0bHost: b\r\n"), post("A: b\x1cContent-Length: 5\r\n"), post("Connection: \x00\r\n")}, responses: []string{"HTTP/1.1 200 \x01\r\n"}},
		{reason: "length form", requests: []string{post("Content-Length: +5\r\n"), post("Content-Length: -5\r\n"), post("Content-Length: 0x5\r\n"), post("Content-Length: 5, 5\r\n"), post("Content-Length: 5 5\r\n"), post("Content-Length:\r\n"), post("Content-Length: 5,\r\n"), post("Content-Length: 5\x0b\r\n"), post("Content-Length: \"5\"\r\n"), post("Content-Length: 5;\r\n"), post("Content-Length: 5\n"), post("Content-Length: 5:\r\n"), post("Content-Length: :\r\n"), post("Content-Length: /\r\n")},
			responses: []string{ok("Content-Length: 5.0\r\n")}},
		{reason: "length long", requests: []string{post("Content-Length: 1000000000000000000\r\n"), post("Content-Length: " + strings.Repeat("0", 19) + "\r\n")}},
		{reason: "length repeated", requests: []string{post("Content-Length: 5\r\ncontent-length: 5\r\n"), post("Content-Length: 5\r\nContent-Length: 6\r\n")}, responses: []string{ok("Content-Length: 0\r\nContent-Length: 0\r\n")}},
		{reason: "coding form", requests: []string{post("Transfer-Encoding: xchunked\r\n"), post("Transfer-Encoding: chunked;a\r\n"), post("Transfer-Encoding: chunked, identity\r\n"), post("Transfer-Encoding: gzip, chunked\r\n"), post("Transfer-Encoding: identity\r\n"), post("Transfer-Encoding: chunked,\r\n"), post("Transfer-Encoding: , chunked\r\n"), post("Transfer-Encoding:\r\n"), post("Transfer-Encoding: \"chunked\"\r\n"), post("Transfer-Encoding: chunked\x0b\r\n"), post("Transfer-Encoding: chunked chunked\r\n"), post("Transfer-Encoding:\r\n chunked\r\n"), post("Transfer-Encoding: chunked\n")},
			responses: []string{ok("Transfer-Encoding: identity\r\n"), ok("Transfer-Encoding: chunked, chunked\r\n")}},
		{reason: "coding repeated", requests: []string{post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), post("Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n")}},
		{reason: "coding in 1 0", requests: []string{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"}, responses: []string{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}},
		{reason: "length and coding", requests: []string{post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")}, responses: []string{ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")}},
		{reason: "host missing", requests: []string{"GET / HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n"}},
		{reason: "host repeated", requests: []string{"GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n\r\n"}},
		{reason: "host form", requests: []string{"GET / HTTP/1.1\r\nHost: a:80@b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: a@b\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: a a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\n"}},
		{reason: "host mismatch", requests: []string{"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a HTTP/1.1\r\nHost:\r\n\r\n"}},
		{reason: "list form", requests: []string{post("Connection: close foo\r\n"), post("Connection: keep-alive\x0b\r\n"), post("Upgrade: h2c x\r\n")}},
		{reason: "chunk size", requests: []string{chunked("0x5\r\n"), chunked("-1\r\n"), chunked("5_\r\n"), chunked("\r\n"), chunked("g\r\n"), chunked(" 5\r\n"), chunked("5 \r\n"), chunked("5\n"), chunked("5\t;a\r\n"), chunked(";a\r\n"), chunked("5\x00\r\n")}},
		{reason: "chunk long", requests: []string{chunked("1000000000000000\r\n"), chunked(strings.Repeat("0", 17) + "\r\n")}},
		{reason: "chunk extension", requests: []string{chunked("5;\nxx\r\n"), chunked("5;a\x00\r\n")}},
		{reason: "chunk end", requests: []string{chunked("1\r\nab\r\n"), chunked("1\r\na\n"), chunked("1\r\na\r\r\n"), chunked("1\r\na0\r\n\r\n")}},
		{reason: "trailer", requests: []string{chunked("0\r\nContent-Length: 5\r\n\r\n"), chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), chunked("0\r\nHost: a\r\n\r\n"), chunked("0\r\nX: y\r\nConnection: close\r\n\r\n"), chunked("0\r\nUpgrade: x\r\n\r\n")},
			responses: []string{ok("Transfer-Encoding: chunked\r\n") + "0\r\nContent-Length: 1\r\n\r\n"}},
		{reason: "connect body", requests: []string{"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n"}},
		{reason: "request unknown", asked: AskedUnknown, responses: []string{ok("Content-Length: 5\r\n"), ok("")}},
		{reason: "switch unasked", asked: AskedPlain, responses: []string{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"}},
		{reason: "after close", requests: []string{"GET / HTTP/1.0\r\n\r\nGET", "GET / HTTP/1.1\r\nConnection: Close\r\n" + host + "\r\nG"}, responses: []string{ok("Content-Length: 0\r\nConnection: close\r\n") + "H", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\nH"}},
		{reason: "truncated", requests: []string{"G", "GET / HTTP/1.1\r\n", post("Content-Length: 11\r\n"), chunked("0\r\n"), chunked("0\r\n\r"), "\r"}, responses: []string{"H", ok("Content-Length: 1\r\n")}},
	} {
		tested[test.reason] = true
		t.Run(test.reason, func(t *testing.T) {
			asked := test.asked
			if asked == 0 && test.reason != "request unknown" {
				asked = AskedPlain
			}
			var streams []Stream
			for _, s := range test.requests {
				streams = append(streams, request(s))
			}
			for _, s := range test.responses {
				streams = append(streams, response(asked, s))
			}
			for _, s := range streams {
				told := run(h, s, Cut{})
				if len(told) == 0 || told[len(told)-1].Flags != FlagError || told[len(told)-1].Reason.String() != test.reason {
					t.Errorf("%q: %s", s.Bytes, strings.Join(tell(h, s, Cut{}), "; "))
				}
				everyCut(t, h, s)
			}
		})
	}
	for i := range http1Reasons {
		if reason := HTTP1Reason(http1FirstReason + i).String(); !tested[reason] && reason != "head long" && reason != "switch pending" {
			t.Errorf("no test for %q", reason)
		}
	}
}

// more goes on with the last run's stream.
func more(h *HTTP1Run, bytes []byte) []HTTP1Told {
	MoreHTTP1(h, bytes)
	return h.Told[:min(int(h.Notes), MaxTold)]
}

// A head may have any length up to a limit, and is followed at any length.
func TestHTTP1LongHead(t *testing.T) {
	h := new(HTTP1Run)
	line := []byte("X: " + strings.Repeat("y", 0xfff0-5) + "\r\n")
	for _, test := range []struct {
		lines int
		want  string
	}{
		{16, `2: request GET "/" asked=1 head=1048347 body=none keep-alive 1.1 end total=1048347`},
		{17, "2: error 138 head long"},
	} {
		run(h, Stream{Bytes: []byte("GET / HTTP/1.1\r\n" + host)}, Cut{})
		for range test.lines {
			if told := more(h, line); len(told) > 0 {
				t.Fatalf("told within the head: %v", &told[0])
			}
		}
		told := more(h, []byte("\r\n"))
		if len(told) != 1 || keyField.ReplaceAllString(told[0].String(), "") != test.want {
			t.Errorf("%d lines: told %v, want %s", test.lines, told, test.want)
		}
	}
}

// Behind a request that may switch protocols nothing is read before the answer.
func TestHTTP1Held(t *testing.T) {
	h := new(HTTP1Run)
	for _, head := range []string{
		"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
		"GET / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: x\r\n\r\n",
		"POST / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabc",
	} {
		s := request(head + "GET / HTTP/1.1\r\n" + host + "\r\n")
		s.Held = true
		got := tell(h, s, Cut{})
		if want := fmt.Sprintf("%d: error 136 switch pending", len(head)); got[len(got)-1] != want {
			t.Errorf("%q: got %q, want %s at the end", s.Bytes, got, want)
		}
		everyCut(t, h, s)
		s.Held = false
		if got := tell(h, s, Cut{}); !strings.HasSuffix(got[len(got)-1], "end total=27") {
			t.Errorf("%q, released: %q", s.Bytes, got)
		}
	}
}

// What is said of a message does not change by what comes after it.
func TestHTTP1SaysWhatWasBeforeAnError(t *testing.T) {
	h := new(HTTP1Run)
	got := tell(h, request("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b\r\n"), Cut{})
	for i := range got {
		got[i] = keyField.ReplaceAllString(got[i], "")
	}
	want := []string{`43: request GET "/a" asked=1 head=43 body=none keep-alive end total=43`, `49: error 106 no version`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
