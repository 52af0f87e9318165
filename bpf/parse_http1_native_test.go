//go:build cgo

package bpf

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed79351815/weir/bpf/native"
)

// The kernel and the processor do the same, to the last byte of the state, for
// every cut and for streams that break the protocol.
func TestHTTP1InTheKernelAsNatively(t *testing.T) {
	k := loadKernelParser(t, loadHttp1, "http1_parse")
	samples, err := native.HTTP1Samples()
	if err != nil {
		t.Fatal(err)
	}
	in, out := new(native.HTTP1Run), new(native.HTTP1Run)
	same := func(s native.Stream, cut native.Cut) {
		t.Helper()
		native.LoadHTTP1(in, s, cut)
		native.LoadHTTP1(out, s, cut)
		k.run(t, http1Bytes(in))
		native.ParseHTTP1(out)
		in.NS, out.NS = 0, 0
		if !bytes.Equal(http1Bytes(in), http1Bytes(out)) {
			t.Fatalf("%s, cut %+v, %q:\nkernel %q, state %x\nnative %q, state %x",
				s.Name, cut, s.Bytes, native.TellHTTP1(in), in.State, native.TellHTTP1(out), out.State)
		}
	}
	random := rand.New(rand.NewPCG(5, 6))
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	for _, s := range samples {
		for window := range 113 {
			same(s.Stream, native.Cut{Window: window, Poison: byte(window * 37)})
		}
		for at := 1; at < min(len(s.Bytes), 4*rounds); at++ {
			same(s.Stream, native.Cut{At: []int{at}, Poison: "\r\n,: "[at%5]})
		}
		for range rounds {
			same(broken(random, s.Stream), native.Cut{Window: 1 + random.IntN(112), Poison: byte(random.Uint32())})
		}
	}
}

// broken changes a few bytes of a stream.
func broken(random *rand.Rand, s native.Stream) native.Stream {
	s.Bytes = slices.Clone(s.Bytes[:min(len(s.Bytes), 800)])
	for range 1 + random.IntN(3) {
		at := random.IntN(len(s.Bytes))
		switch random.IntN(3) {
		case 0:
			s.Bytes[at] = "\r\n\t :,;#?/@0aF\x00\x80"[random.IntN(16)]
		case 1:
			s.Bytes = slices.Delete(s.Bytes, at, at+1)
		case 2:
			s.Bytes = slices.Insert(s.Bytes, at, s.Bytes[at:min(len(s.Bytes), at+random.IntN(40))]...)
		}
	}
	return s
}
