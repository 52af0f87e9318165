//go:build cgo && linux

package native

import (
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// dnsSays shows a stream, or with datagram a whole datagram, to the DNS parser.
func dnsSays(r *DNSRun, stream []byte, datagram bool, cut Cut) []DNSTold {
	argument := uint32(0)
	if datagram {
		argument = max(uint32(len(stream)), 1)
	}
	r.Load(stream, argument, cut)
	ParseDNS(r)
	said := slices.Clone(r.Told[:min(int(r.Notes), len(r.Told))])
	for i := range said {
		said[i].Trim()
	}
	return said
}

func tlsSays(r *TLSRun, stream []byte, side uint32, cut Cut) []TLSTold {
	r.Load(stream, side, cut)
	ParseTLS(r)
	said := slices.Clone(r.Told[:min(int(r.Notes), len(r.Told))])
	for i := range said {
		said[i].Trim()
	}
	return said
}

func lines[T interface{ String() string }](said []T) string {
	var b strings.Builder
	for _, t := range said {
		b.WriteString("\n\t" + t.String())
	}
	return b.String()
}

func pointers[T any](said []T) []*T {
	p := make([]*T, len(said))
	for i := range said {
		p[i] = &said[i]
	}
	return p
}

// cuts gives ways to show n bytes: in windows of all sizes, cut once at each byte
// near the beginning, and cut at random.
func cuts(n int, random *rand.Rand) []Cut {
	var all []Cut
	for window := 1; window <= 128; window++ {
		all = append(all, Cut{Window: window, Poison: byte(window * 37)})
	}
	for at := 1; at < min(n, 4000); at++ {
		all = append(all, Cut{At: []int{at}, Poison: byte(at)})
	}
	for range 20 {
		all = append(all, randomCut(n, random))
	}
	return all
}

func randomCut(n int, random *rand.Rand) Cut {
	cut := Cut{Poison: byte(random.Uint32()), Window: 1 + random.IntN(128)}
	for at := 1 + random.IntN(20); at < n && len(cut.At) < MaxCuts; at += 1 + random.IntN(1+random.IntN(80)) {
		cut.At = append(cut.At, at)
	}
	return cut
}

// A stream says the same however it is cut, and leaves the same state.
func everyDNSCut(t *testing.T, r *DNSRun, stream []byte, datagram bool, ways []Cut) {
	t.Helper()
	want := dnsSays(r, stream, datagram, Cut{})
	state := r.State
	for _, cut := range ways {
		if got := dnsSays(r, stream, datagram, cut); !slices.Equal(got, want) || r.State != state {
			t.Fatalf("%x, cut %+v\nsays%s\nwant%s\nstate %x\nwant  %x", stream, cut, lines(pointers(got)), lines(pointers(want)), r.State, state)
		}
	}
}

func everyTLSCut(t *testing.T, r *TLSRun, stream []byte, side uint32, ways []Cut) {
	t.Helper()
	want := tlsSays(r, stream, side, Cut{})
	state := r.State
	for _, cut := range ways {
		if got := tlsSays(r, stream, side, cut); !slices.Equal(got, want) || r.State != state {
			t.Fatalf("%x, cut %+v\nsays%s\nwant%s\nstate %x\nwant  %x", stream, cut, lines(pointers(got)), lines(pointers(want)), r.State, state)
		}
	}
}

func TestRunSizes(t *testing.T) {
	if got := unsafe.Sizeof(DNSRun{}); got != sizeofDNSRun {
		t.Errorf("DNSRun has %d bytes, struct dns_run %d", got, sizeofDNSRun)
	}
	if got := unsafe.Sizeof(TLSRun{}); got != sizeofTLSRun {
		t.Errorf("TLSRun has %d bytes, struct tls_run %d", got, sizeofTLSRun)
	}
}

// The reasons are the headers': every one is numbered and named as there.
func TestReasons(t *testing.T) {
	for protocol, name := range map[string]func(int) string{
		"dns": func(n int) string { return DNSReason(n).String() },
		"tls": func(n int) string { return TLSReason(n).String() },
	} {
		header, err := os.ReadFile("../c/parse/" + protocol + ".h")
		if err != nil {
			t.Fatal(err)
		}
		_, enum, _ := strings.Cut(string(header), "enum "+protocol+"_reason {")
		enum, _, _ = strings.Cut(enum, "};")
		found := regexp.MustCompile(strings.ToUpper(protocol)+`_([A-Z0-9_]+) = ([0-9]+),`).FindAllStringSubmatch(enum, -1)
		if want := map[string]int{"dns": len(dnsReasons), "tls": len(tlsReasons)}[protocol]; len(found) != want {
			t.Errorf("%s: %d reasons in C, %d in Go", protocol, len(found), want)
		}
		for _, f := range found {
			n, _ := strconv.Atoi(f[2])
			if want := strings.ToLower(strings.ReplaceAll(f[1], "_", " ")); name(n) != want {
				t.Errorf("%s reason %d is %q in C, %q in Go", protocol, n, want, name(n))
			}
		}
	}
}
