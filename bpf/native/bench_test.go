//go:build cgo && linux

package native

import "testing"

func BenchmarkDNS(b *testing.B) {
	samples, err := DNSSamples()
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range samples {
		b.Run(s.Name, func(b *testing.B) {
			r := new(DNSRun)
			r.Load(s.Bytes, s.Argument, Cut{})
			r.Plain, r.EOF, r.Repeat = true, false, uint32(b.N)
			ParseDNS(r)
			b.ReportMetric(float64(r.NS)/float64(b.N), "ns/stream")
		})
	}
}

func BenchmarkTLS(b *testing.B) {
	samples, err := TLSSamples()
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range samples {
		b.Run(s.Name, func(b *testing.B) {
			r := new(TLSRun)
			r.Load(s.Bytes, s.Argument, Cut{})
			r.Plain, r.EOF, r.Repeat = true, false, uint32(b.N)
			ParseTLS(r)
			b.ReportMetric(float64(r.NS)/float64(b.N), "ns/stream")
		})
	}
}
