package l7

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
)

// latencies are drawn over all magnitudes.
var latencies = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) int64 {
	return int64(math.Exp2(rapid.Float64Range(2, 40.9).Draw(t, "log2")))
}), 1, 300)

func histogramOf(ns []int64) *Histogram {
	var h Histogram
	for _, n := range ns {
		h.Add(flow.BucketOf(n), 1, uint64(n))
	}
	return &h
}

func TestQuantileError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := latencies.Draw(t, "ns")
		h := histogramOf(ns)
		slices.Sort(ns)
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		rank := min(max(int(math.Ceil(q*float64(len(ns)))), 1), len(ns))
		want := float64(ns[rank-1])
		got := float64(h.Quantile(q))
		// A nanosecond is what rounding takes.
		if math.Abs(got-want) > QuantileError*want+1 {
			t.Fatalf("quantile %f of %d: %.0f, want %.0f", q, len(ns), got, want)
		}
	})
}

func contents(h *Histogram) map[uint16]uint64 {
	m := map[uint16]uint64{}
	h.Buckets(func(b uint16, n uint64) bool { m[b] = n; return true })
	return m
}

func equal(t interface{ Fatalf(string, ...any) }, a, b *Histogram) {
	x, y := contents(a), contents(b)
	if len(x) != len(y) || a.Count != b.Count || a.Sum != b.Sum {
		t.Fatalf("%d of %d and %d of %d", a.Count, a.Sum, b.Count, b.Sum)
	}
	for k, n := range x {
		if y[k] != n {
			t.Fatalf("bucket %d: %d and %d", k, n, y[k])
		}
	}
}

// Merging is the same as having counted all, in any order, and changes nothing of
// what is merged.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := latencies.Draw(t, "a"), latencies.Draw(t, "b")
		all := histogramOf(slices.Concat(a, b))
		x, y := histogramOf(a), histogramOf(b)
		x.Merge(y)
		equal(t, x, all)
		equal(t, y, histogramOf(b))
		y.Merge(histogramOf(a))
		equal(t, y, all)
		var reused Histogram
		reused.Merge(x)
		reused.Reset()
		equal(t, &reused, &Histogram{})
		reused.Merge(histogramOf(b))
		equal(t, &reused, histogramOf(b))
	})
}

func TestHistogramHostile(t *testing.T) {
	var h Histogram
	h.Add(math.MaxUint16, 3, 9)
	h.Add(0, 1, 0)
	if n := len(h.counts); n != int(lastBucket)+1 || h.Count != 4 {
		t.Errorf("%d buckets, count %d", n, h.Count)
	}
	if h.Quantile(-1) != h.Quantile(0) || h.Quantile(2) != h.Quantile(1) || h.Quantile(math.NaN()) < 0 {
		t.Error("quantiles out of range")
	}
	if (&Histogram{}).Quantile(0.5) != 0 {
		t.Error("quantile of nothing")
	}
}
