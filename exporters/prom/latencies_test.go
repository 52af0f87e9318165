package prom

import (
	"math"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
)

// histogramOf is a metric's only series as it goes out in protobuf.
func histogramOf(t *testing.T, e *Exporter, name string) *dto.Histogram {
	t.Helper()
	for _, f := range gathered(t, e) {
		if f.GetName() == name && len(f.Metric) == 1 {
			return f.Metric[0].Histogram
		}
	}
	t.Fatalf("no single series of %s", name)
	return nil
}

// nativeCounts undoes the spans and deltas: bucket index → count.
func nativeCounts(h *dto.Histogram) map[int32]int64 {
	out := map[int32]int64{}
	var index int32
	var n int64
	deltas := h.PositiveDelta
	for _, s := range h.PositiveSpan {
		index += s.GetOffset()
		for range s.GetLength() {
			n += deltas[0]
			deltas = deltas[1:]
			if n != 0 {
				out[index] = n
			}
			index++
		}
	}
	return out
}

func TestNativeHistogram(t *testing.T) {
	e, c := newExporter(t, 0)
	started := c.now
	consume(t, e, tally(flow.HTTP, "GET", "/", 200, 3, time.Second))
	c.now = c.now.Add(time.Second)
	consume(t, e,
		tally(flow.HTTP, "GET", "/", 200, 1, 2*time.Second),
		tally(flow.HTTP, "GET", "/", 200, 4, time.Second+1), // just above: the next bucket
		tally(flow.HTTP, "GET", "/", 200, 2, 125*time.Millisecond),
		tally(flow.HTTP, "GET", "/", 200, 5, 0),
		tally(flow.HTTP, "GET", "/", 200, 6, 1000*time.Hour))
	h := histogramOf(t, e, "http_client_request_duration_seconds")
	if h.GetSchema() != 3 || h.GetZeroThreshold() != math.Exp2(-30) || h.GetZeroCount() != 5 || h.GetSampleCount() != 21 {
		t.Errorf("schema %d, zero threshold %v, zero count %d, count %d", h.GetSchema(), h.GetZeroThreshold(), h.GetZeroCount(), h.GetSampleCount())
	}
	want := map[int32]int64{-24: 2, 0: 3, 1: 4, 8: 1, 88: 6} // 2^(n/8) seconds
	got := nativeCounts(h)
	for b, n := range want {
		if got[b] != n {
			t.Errorf("bucket %d has %d, want %d", b, got[b], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("buckets %v, want %v", got, want)
	}
	if s := 3 + 2 + 4 + .25 + 6*3600*1000; math.Abs(h.GetSampleSum()-s) > 1e-6 {
		t.Errorf("sum %v, want %v", h.GetSampleSum(), s)
	}
	if !h.CreatedTimestamp.AsTime().Equal(started) {
		t.Errorf("created %v, want %v", h.CreatedTimestamp.AsTime(), started)
	}
}

// A recording may hold any bucket's number.
func TestHostileBucket(t *testing.T) {
	e, _ := newExporter(t, 0)
	r := tally(flow.HTTP, "GET", "/", 200, 1, time.Second)
	r.L7.Tally.Bucket = math.MaxUint16
	consume(t, e, r)
	h := histogramOf(t, e, "http_client_request_duration_seconds")
	if got := nativeCounts(h); got[88] != 1 || len(got) != 1 {
		t.Errorf("buckets %v, want the last one", got)
	}
	for _, o := range onlyPair(t, e).operations {
		if n := o.latencies.Span(); n != 1 {
			t.Errorf("%d buckets kept for one latency", n)
		}
	}
}

func onlyPair(t *testing.T, e *Exporter) *pair {
	t.Helper()
	for _, p := range e.store.exchanges.all {
		return p
	}
	t.Fatal("no pair")
	return nil
}

// Whatever the latencies: nothing is lost in either form, both forms agree where
// their bounds meet, and a classic bucket holds nothing that lies above its bound.
func TestHistogramForms(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := New(Config{})
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 50).Draw(r, "ns")
		for _, ns := range all {
			rec := tally(flow.HTTP, "GET", "/", 200, 1, time.Duration(ns))
			if err := e.Consume(t.Context(), []flow.Record{rec}); err != nil {
				r.Fatal(err)
			}
		}
		h := histogramOf(t, e, "http_client_request_duration_seconds")
		native := nativeCounts(h)
		total := h.GetZeroCount()
		for _, n := range native {
			total += uint64(n)
		}
		if n := uint64(len(all)); total != n || h.GetSampleCount() != n {
			r.Fatalf("native %d, count %d, want %d", total, h.GetSampleCount(), n)
		}
		var before uint64
		for _, b := range h.Bucket {
			var atMost, surely uint64
			for _, ns := range all {
				s := float64(ns) / 1e9
				if s <= b.GetUpperBound() {
					atMost++
				}
				if s*math.Exp2(1./8) <= b.GetUpperBound() {
					surely++
				}
			}
			n := b.GetCumulativeCount()
			if n < before || n > atMost || n < surely {
				r.Fatalf("bucket %v has %d, between %d and %d were expected", b.GetUpperBound(), n, surely, atMost)
			}
			before = n
			// A quarter, a half and a whole second end a bucket of both forms.
			if ub := b.GetUpperBound(); ub == .25 || ub == .5 || ub == 1 {
				if n != atMost {
					r.Fatalf("bucket %v has %d, want exactly %d", ub, n, atMost)
				}
			}
		}
	})
}
