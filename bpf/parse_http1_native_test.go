//go:build cgo

package bpf

import (
	"bytes"
	"testing"

	"github.com/seed79351815/weir/bpf/native"
)

// The kernel and the processor do the same, to the last byte of the state, for
// every cut.
func TestHTTP1InTheKernelAsNatively(t *testing.T) {
	k := loadKernelParser(t, loadHttp1, "http1_parse")
	samples, err := native.HTTP1Samples()
	if err != nil {
		t.Fatal(err)
	}
	in, out := new(native.HTTP1Run), new(native.HTTP1Run)
	for _, s := range samples {
		cuts := []native.Cut{{}}
		for window := 1; window <= 112; window++ {
			cuts = append(cuts, native.Cut{Window: window, Poison: byte(window * 37)})
		}
		for at := 1; at < min(len(s.Bytes), 400); at++ {
			cuts = append(cuts, native.Cut{At: []int{at}, Poison: "\r\n,: "[at%5]})
		}
		if testing.Short() {
			cuts = cuts[:140]
		}
		for _, cut := range cuts {
			native.LoadHTTP1(in, s.Stream, cut)
			native.LoadHTTP1(out, s.Stream, cut)
			k.run(t, http1Bytes(in))
			native.ParseHTTP1(out)
			in.NS, out.NS = 0, 0
			if !bytes.Equal(http1Bytes(in), http1Bytes(out)) {
				t.Fatalf("%s, cut %+v:\nkernel %q, state %x\nnative %q, state %x", s.Name, cut, native.TellHTTP1(in), in.State, native.TellHTTP1(out), out.State)
			}
		}
	}
}
