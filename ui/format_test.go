package ui

import (
	"math"
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	day := int64(24 * time.Hour)
	for _, c := range []struct {
		name      string
		got, want text
	}{
		{"count", count(0), "0"},
		{"count", count(999), "999"},
		{"count", count(1204), "1,204"},
		{"count", count(math.MaxUint64), "18,446,744,073,709,551,615"},
		{"plural", plural(1, "row"), "1 row"},
		{"plural", plural(2000, "row"), "2,000 rows"},
		{"shortCount", shortCount(9_999), "9999"},
		{"shortCount", shortCount(12_345), "12k"},
		{"shortCount", shortCount(1_249_000), "1.2M"},
		{"bytes", bytes(0), "0 B"},
		{"bytes", bytes(999), "999 B"},
		{"bytes", bytes(1000), "1.0 kB"},
		{"bytes", bytes(9_949), "9.9 kB"},
		{"bytes", bytes(9_950), "10 kB"},
		{"bytes", bytes(999_499), "999 kB"},
		{"bytes", bytes(999_500), "1.0 MB"},
		{"bytes", bytes(85_000_000_000), "85 GB"},
		{"bytes", bytes(math.MaxUint64), "18 EB"},
		{"shortBytes", shortBytes(42), "42"},
		{"shortBytes", shortBytes(1_250_000), "1.2M"},
		{"rate", rate(0), "0 B/s"},
		{"rate", rate(1_250_000), "1.2 MB/s"},
		{"rate", rate(math.NaN()), "0 B/s"},
		{"rate", rate(math.Inf(1)), "18 EB/s"},
		{"rate", rate(-5), "0 B/s"},
		{"perSecond", perSecond(0), none},
		{"perSecond", perSecond(0.04), none},
		{"perSecond", perSecond(math.NaN()), none},
		{"perSecond", perSecond(0.4), "0.4"},
		{"perSecond", perSecond(9.96), "10"},
		{"perSecond", perSecond(12_000), "12k"},
		{"latency", latency(0), none},
		{"latency", latency(-1), none},
		{"latency", latency(400), "400 ns"},
		{"latency", latency(45_000), "45 µs"},
		{"latency", latency(1_234_000), "1.2 ms"},
		{"latency", latency(999_400_000), "999 ms"},
		{"latency", latency(999_600_000), "1.0 s"},
		{"latency", latency(75_000_000_000), "75 s"},
		{"age", age(-5), "0s"},
		{"age", age(int64(59 * time.Second)), "59s"},
		{"age", age(int64(184 * time.Second)), "3m04s"},
		{"age", age(int64(125 * time.Minute)), "2h05m"},
		{"age", age(3*day + int64(4*time.Hour)), "3d04h"},
		{"percent", percent(0, 10), "0%"},
		{"percent", percent(1, 1_000_000), "<1%"},
		{"percent", percent(999, 1000), "99%"},
		{"percent", percent(5, 0), none},
		{"clock", clock(0, noon), none},
		{"clock", clock(noon.Add(-time.Minute).UnixNano(), noon), "11:59:00"},
		{"clock", clock(noon.Add(-13*time.Hour).UnixNano(), noon), "2026-11-23 23:00:00"},
		{"gauge", gauge(0, 10, 12), "[..........]"},
		{"gauge", gauge(1, 1000, 12), "[#.........]"},
		{"gauge", gauge(5, 10, 12), "[#####.....]"},
		{"gauge", gauge(50, 10, 12), "[##########]"},
		{"gauge", gauge(1, 0, 12), ""},
		{"sparkline", sparkline([]float64{0, 1, 50, 100}, 6), "  ▁▂▅█"},
		{"sparkline", sparkline([]float64{1, 2, 3, 4}, 2), "▇█"},
		{"sparkline", sparkline(nil, 2), "  "},
		{"sparkline", sparkline([]float64{0, 0}, 2), "▁▁"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

// Narrow columns promise room for five digits and signs: the short forms keep
// to it for every value.
func TestShortFormsAreShort(t *testing.T) {
	for n := uint64(1); n < math.MaxUint64/3; n = n*3 + 1 {
		for _, s := range []text{shortBytes(n), shortCount(n), latency(int64(min(n, uint64(999*time.Second))))} {
			if s.width() > 6 {
				t.Errorf("%d gives %q", n, s)
			}
		}
	}
}
