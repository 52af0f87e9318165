//go:build cgo && linux

package native

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/l7/operation"
)

// The parser makes the key of an operation as Go does.
func TestHTTP1KeyIsTheOperations(t *testing.T) {
	h := new(HTTP1Run)
	check := func(method, path string) {
		t.Helper()
		told := run(h, request(method+" "+path+" HTTP/1.0\r\n\r\n"), Cut{})
		if len(told) != 1 || told[0].Flags != FlagHead|FlagEnd {
			t.Fatalf("%s %q: told %q", method, path, TellHTTP1(h))
		}
		if key := operation.Key(method, path); told[0].Key != key {
			t.Fatalf("%s %q: key %016x, in Go %016x", method, path, told[0].Key, key)
		}
		if got, want := told[0].Path(), path[:min(len(path), 112)]; got != want {
			t.Fatalf("%s %q: captured %q", method, path, got)
		}
	}
	check("OPTIONS", "*")
	check("PROPFIND", "/")
	r := rand.New(rand.NewPCG(3, 4))
	const bytes = "0123456789abcdefABCDEF0123456789--ghz.~%;\x80\xff"
	uuid := "123e4567-e89b-12d3-a456-426614174000"
	for range 100_000 {
		var path strings.Builder
		for range 1 + r.IntN(5) {
			path.WriteByte('/')
			switch r.IntN(4) {
			case 0:
				segment := []byte(uuid)
				for range r.IntN(3) {
					segment[r.IntN(len(segment))] = bytes[r.IntN(len(bytes))]
				}
				path.Write(segment[:len(segment)-r.IntN(2)])
			default:
				kinds := bytes[:[]int{10, 22, len(bytes)}[r.IntN(3)]]
				for range r.IntN(1 + r.IntN(80)) {
					path.WriteByte(kinds[r.IntN(len(kinds))])
				}
			}
		}
		check("GET", path.String())
	}
}

func TestDetectHTTP1(t *testing.T) {
	const no, maybe, isRequest, isResponse = IsNot, IsMaybe, IsRequest, IsResponse
	for begin, want := range map[string]int{
		"": maybe, "G": maybe, "GET": maybe, "GET ": maybe, "GET /": isRequest, "GET / HTTP/1.1\r\n": isRequest, "GET h": isRequest, "GET a": no, "GET  ": no, "get /": no,
		"H": maybe, "HT": maybe, "HTTP/1": maybe, "HTTP/1.": isResponse, "HTTP/1.1 200 OK": isResponse, "HTTP/2.0 200": no, "HTTP/2": no, "HEAD /": isRequest, "HTTX": maybe,
		"PRI * HTTP/2.0\r\n\r\n": no, "PRI": maybe, "PRI ": no, "OPTIONS *": isRequest, "OPTIONS /": isRequest, "OPTIONS a": no, "GET *": no, "CONNECT a": isRequest, "CONNECT /": no, "CONNECT ": maybe,
		"PROPFIND /": isRequest, "M-SEARCH *": no, "-": no, "\x16\x03\x01\x02\x00": no, "\r\n": no, "SSH-2.0-OpenSSH": no, "EHLO x": no, "A /": no, "AB /": no, "PUT": maybe,
		strings.Repeat("A", 23): maybe, strings.Repeat("A", 24): no, "*1\r\n$4\r\nPING\r\n": no, "GET\t/": no, "GET\x00": no, "SET /x": isRequest,
	} {
		if got := DetectHTTP1([]byte(begin)); got != want {
			t.Errorf("%q: %d, want %d", begin, got, want)
		}
	}
	// A stream that the parser accepts is never refused, however little of it is there.
	for _, s := range samples(t) {
		for n := range min(len(s.Bytes), 64) {
			if DetectHTTP1(s.Bytes[:n]) == no {
				t.Errorf("%s: %q is no HTTP/1", s.Name, s.Bytes[:n])
			}
		}
	}
}
