//go:build cgo && linux

package native

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// words are put into streams where they matter: the fuzzer does not see branches in C.
var words = []string{
	"\r\n", "\r\n\r\n", "\r", "\n", " ", "\t", ":", ",", ";", "\x00", "\x7f", "\x80", "/", "?", "#", "//", "*", "@", "%2f", "0", "-", "--",
	"GET ", "HEAD ", "POST ", "OPTIONS * ", "CONNECT a:1 ", "PRI * ", "PROPFIND ", "get ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "http://a/", "HTTPS://a", "http://",
	"Host: a\r\n", "host:b\r\n", "Host: a@b\r\n", "Content-Length: 3\r\n", "content-length:0\r\n", "Content-Length: ", "Content-Length : 1\r\n",
	"Transfer-Encoding: chunked\r\n", "transfer-encoding: ", "TRANSFER-ENCODING:CHUNKED\r\n", "chunked", "identity", "gzip, chunked",
	"Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: keep-alive, Upgrade\r\n", "connection: ", "Upgrade: websocket\r\n", "Upgrade: h2c\r\n",
	"Expect: 100-continue\r\n", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n", "X-A: b\r\n", " folded\r\n",
	"0\r\n\r\n", "3\r\nabc\r\n", "a;b=c\r\n0123456789\r\n", "5\r\n", "0\r\nX: y\r\n\r\n", "ffffffffffffffff\r\n", "0x3\r\nabc\r\n",
	"HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\n", "HTTP/1.1 ", "200", "99", "/users/12345", "/0123456789abcdef", "/123e4567-e89b-12d3-a456-426614174000",
	"/deadbeef", "/1234567a-1234-1234-1234-123456789012/x", "18446744073709551616", "000000000000000003",
}

// mutate changes a stream in a few places.
func mutate(r *rand.Rand, stream []byte, other []byte) []byte {
	s := slices.Clone(stream)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(s) + 1)
		end := min(len(s), at+r.IntN(1+r.IntN(20)))
		switch r.IntN(7) {
		case 0, 1:
			s = slices.Insert(s, at, []byte(words[r.IntN(len(words))])...)
		case 2:
			s = slices.Replace(s, at, end, []byte(words[r.IntN(len(words))])...)
		case 3:
			s = slices.Delete(s, at, end)
		case 4:
			s = slices.Insert(s, at, s[at:end]...)
		case 5:
			if at < len(s) {
				s[at] = byte(r.Uint32())
			}
		case 6:
			from := r.IntN(len(other) + 1)
			s = slices.Insert(s, at, other[from:min(len(other), from+r.IntN(200))]...)
		}
	}
	return s[:min(len(s), 4096)]
}

// Changed streams are read as net/http reads them, or not at all. Ten million
// take minutes: the long test.
func TestHTTP1Mutations(t *testing.T) {
	h := new(HTTP1Run)
	rounds := 50_000
	if !testing.Short() {
		rounds = 5_000_000
	}
	for _, responses := range []bool{false, true} {
		var seeds []Stream
		for _, s := range samples(t) {
			if s.Responses == responses {
				s.Bytes = s.Bytes[:min(len(s.Bytes), 600)]
				seeds = append(seeds, s)
			}
		}
		r := rand.New(rand.NewPCG(1, 2))
		agreed, failed := 0, 0
		for range rounds {
			s := seeds[r.IntN(len(seeds))]
			s.Bytes = mutate(r, s.Bytes, seeds[r.IntN(len(seeds))].Bytes)
			if responses {
				s.Asked = []uint8{uint8(r.IntN(5)), uint8(r.IntN(5)), uint8(r.IntN(5))}
			}
			fuzz(t, h, s, r.Uint64())
			if told := h.Told[:min(int(h.Notes), MaxTold)]; len(told) > 0 && told[len(told)-1].Flags&FlagError == 0 {
				agreed++
			} else {
				failed++
			}
		}
		t.Logf("responses %v: %d streams read to their end, %d not", responses, agreed, failed)
	}
}
