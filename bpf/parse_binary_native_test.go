//go:build cgo

package bpf

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/seed79351815/weir/bpf/native"
)

// bothWays runs every cut of every sample in the kernel and natively: they do the
// same to the last byte, of the state, the notes and the capture's rests too.
func bothWays[R any](t *testing.T, k kernelParser, samples []native.BinarySample, load func(*R, native.BinarySample, native.Cut), parse func(*R), settle func(*R)) {
	t.Helper()
	in, out := new(R), new(R)
	random := rand.New(rand.NewPCG(1, 2))
	for i, s := range samples {
		cuts := []native.Cut{{}}
		for window := 1; window <= 128; window++ {
			cuts = append(cuts, native.Cut{Window: window, Poison: byte(window * 37)})
		}
		for at := 1; at < min(len(s.Bytes), 400); at++ {
			cuts = append(cuts, native.Cut{At: []int{at}, Poison: byte(at)})
		}
		if testing.Short() {
			cuts = cuts[:20]
		}
		other := samples[random.IntN(len(samples))].Bytes
		for j, cut := range cuts {
			if j > 1 && j%2 == 0 { // what is broken has to be the same, too
				s.Bytes = bytes.Clone(samples[i].Bytes)
				for range 3 {
					at := random.IntN(len(s.Bytes))
					s.Bytes[at] = byte(random.Uint32())
					copy(s.Bytes[random.IntN(len(s.Bytes)):], other[:random.IntN(min(len(other), 20))])
				}
			}
			load(in, s, cut)
			load(out, s, cut)
			k.run(t, runBytes(in))
			parse(out)
			settle(in)
			settle(out)
			if a, b := runBytes(in), runBytes(out); !bytes.Equal(a, b) {
				at := 0
				for a[at] == b[at] {
					at++
				}
				t.Fatalf("%s %x, cut %+v: byte %d of the run is %02x in the kernel, %02x natively", s.Name, s.Bytes, cut, at, a[at], b[at])
			}
		}
	}
}

func TestDNSInTheKernelAsNatively(t *testing.T) {
	samples, err := native.DNSSamples()
	if err != nil {
		t.Fatal(err)
	}
	load := func(r *native.DNSRun, s native.BinarySample, cut native.Cut) { r.Load(s.Bytes, s.Argument, cut) }
	bothWays(t, loadKernelParser(t, loadDns, "dns_parse"), samples, load, native.ParseDNS, func(r *native.DNSRun) { r.NS = 0 })
}

func TestTLSInTheKernelAsNatively(t *testing.T) {
	samples, err := native.TLSSamples()
	if err != nil {
		t.Fatal(err)
	}
	load := func(r *native.TLSRun, s native.BinarySample, cut native.Cut) { r.Load(s.Bytes, s.Argument, cut) }
	bothWays(t, loadKernelParser(t, loadParsetls, "tls_parse"), samples, load, native.ParseTLS, func(r *native.TLSRun) { r.NS = 0 })
}
