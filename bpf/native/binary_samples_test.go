//go:build cgo && linux

package native

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// tells checks, or with -update writes, what is told of all samples.
func tells(t *testing.T, protocol string, samples []BinarySample, says func(BinarySample) string) {
	t.Helper()
	if *update {
		var b strings.Builder
		for _, s := range samples {
			b.WriteString(s.Name + strings.ReplaceAll(says(s), "\n\t", "\n") + "\n\n")
		}
		if err := os.WriteFile("testdata/"+protocol+"/told.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if len(samples) < 20 {
		t.Errorf("%d samples", len(samples))
	}
	for _, s := range samples {
		want := ""
		for _, line := range s.Told {
			want += "\n\t" + line
		}
		if got := says(s); got != want || strings.Contains(got, "error") || got == "" {
			t.Errorf("%s says%s\nwant%s", s.Name, got, want)
		}
	}
}

func TestDNSSamples(t *testing.T) {
	samples, err := DNSSamples()
	if err != nil {
		t.Fatal(err)
	}
	var r DNSRun
	tells(t, "dns", samples, func(s BinarySample) string {
		return lines(pointers(dnsSays(&r, s.Bytes, s.Argument > 0, Cut{})))
	})
	random := rand.New(rand.NewPCG(3, 4))
	for _, s := range samples {
		everyDNSCut(t, &r, s.Bytes, s.Argument > 0, cuts(len(s.Bytes), random))
		if s.Argument > 0 {
			agree(t, &r, s.Bytes)
		}
	}
}

func TestTLSSamples(t *testing.T) {
	samples, err := TLSSamples()
	if err != nil {
		t.Fatal(err)
	}
	var r TLSRun
	tells(t, "tls", samples, func(s BinarySample) string {
		return lines(pointers(tlsSays(&r, s.Bytes, s.Argument, Cut{})))
	})
	random := rand.New(rand.NewPCG(3, 4))
	for _, s := range samples {
		everyTLSCut(t, &r, s.Bytes, s.Argument, cuts(len(s.Bytes), random))
	}
}
