package bpf

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed79351815/weir/bpf/native"
)

func runBytes[T any](r *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r))
}

// ways are cuts for streams of binary protocols, whose samples are short.
var ways = []native.Cut{{}, {Window: 1, Poison: 0xff}, {Window: 7}, {At: []int{1, 3, 20, 47, 90}, Poison: 0xc0}}

// The kernel tells of every captured message what it tells outside of the kernel.
func TestKernelParsesDNS(t *testing.T) {
	k := loadKernelParser(t, loadDns, "dns_parse")
	samples, err := native.DNSSamples()
	if err != nil {
		t.Fatal(err)
	}
	r := new(native.DNSRun)
	for _, s := range samples {
		for _, cut := range ways {
			r.Load(s.Bytes, s.Argument, cut)
			k.run(t, runBytes(r))
			sameTold(t, s, cut, native.TellDNS(r))
		}
	}
}

func TestKernelParsesTLS(t *testing.T) {
	k := loadKernelParser(t, loadParsetls, "tls_parse")
	samples, err := native.TLSSamples()
	if err != nil {
		t.Fatal(err)
	}
	r := new(native.TLSRun)
	for _, s := range samples {
		for _, cut := range ways {
			r.Load(s.Bytes, s.Argument, cut)
			k.run(t, runBytes(r))
			sameTold(t, s, cut, native.TellTLS(r))
		}
	}
}

func sameTold(t *testing.T, s native.BinarySample, cut native.Cut, got []string) {
	t.Helper()
	if !slices.Equal(got, s.Told) {
		t.Errorf("%s, cut %+v: told\n%s\nwant\n%s", s.Name, cut, strings.Join(got, "\n"), strings.Join(s.Told, "\n"))
	}
}

// measured names samples that stand for many.
var measured = map[string]bool{
	"node-cares-unbound.query": true, "dig-dnsmasq.query": true, "dig-dnsmasq.response": true, "dig-dnsmasq-cname.response": true,
	"dig-unbound-nxdomain.response": true, "dig-unbound-many-tcp.responses": true,
	"curl.client": true, "openssl-12.client": true, "curl.server": true, "openssl-12.server": true,
}

func BenchmarkKernelDNS(b *testing.B) {
	k := loadKernelParser(b, loadDns, "dns_parse")
	samples, err := native.DNSSamples()
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range samples {
		if !measured[s.Name] {
			continue
		}
		b.Run(s.Name, func(b *testing.B) {
			r := new(native.DNSRun)
			r.Load(s.Bytes, s.Argument, native.Cut{})
			r.Plain, r.EOF, r.Repeat = true, false, uint32(b.N)
			k.run(b, runBytes(r))
			b.ReportMetric(float64(r.NS)/float64(b.N), "ns/message")
			b.ReportMetric(float64(r.Steps), "steps/message")
		})
	}
}

func BenchmarkKernelTLS(b *testing.B) {
	k := loadKernelParser(b, loadParsetls, "tls_parse")
	samples, err := native.TLSSamples()
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range samples {
		if !measured[s.Name] {
			continue
		}
		b.Run(s.Name, func(b *testing.B) {
			r := new(native.TLSRun)
			r.Load(s.Bytes, s.Argument, native.Cut{})
			r.Plain, r.EOF, r.Repeat = true, false, uint32(b.N)
			k.run(b, runBytes(r))
			b.ReportMetric(float64(r.NS)/float64(b.N), "ns/direction")
			b.ReportMetric(float64(r.Steps), "steps/direction")
		})
	}
}
