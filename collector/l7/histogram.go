package l7

import (
	"math"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
)

// Histogram counts latencies in flow's buckets, eight to an octave (Prometheus'
// native histograms of schema 3). It keeps the span of buckets that are in use.
// The zero value is empty. It is not safe for two goroutines.
type Histogram struct {
	Count  uint64
	Sum    uint64 // ns
	first  int    // bucket of counts[0]
	counts []uint64
}

// lastBucket holds all that took longer than its lower bound.
var lastBucket = flow.BucketOf(math.MaxInt64)

// Add counts n latencies of one bucket, which took sum ns together. A bucket above
// the last is the last.
func (h *Histogram) Add(bucket uint16, n, sum uint64) {
	if n == 0 {
		return
	}
	b := int(min(bucket, lastBucket))
	h.cover(b, b)
	h.counts[b-h.first] += n
	h.Count += n
	h.Sum += sum
}

// Merge adds all of o, which stays as it is.
func (h *Histogram) Merge(o *Histogram) {
	if len(o.counts) == 0 {
		return
	}
	h.cover(o.first, o.first+len(o.counts)-1)
	for i, n := range o.counts {
		h.counts[o.first+i-h.first] += n
	}
	h.Count += o.Count
	h.Sum += o.Sum
}

// Clone is a histogram of its own with the same counts.
func (h *Histogram) Clone() Histogram {
	own := *h
	own.counts = slices.Clone(h.counts)
	return own
}

// Span is how many buckets, from the first that is in use to the last, take memory.
func (h *Histogram) Span() int { return len(h.counts) }

// Reset empties it, and keeps its room.
func (h *Histogram) Reset() { *h = Histogram{counts: h.counts[:0]} }

// cover makes room for the buckets from low to high.
func (h *Histogram) cover(low, high int) {
	switch old := len(h.counts); {
	case old == 0:
		h.first = low
		h.grow(high - low + 1)
	default:
		if last := h.first + old - 1; high > last {
			h.grow(high - last)
		}
		if n := h.first - low; n > 0 {
			old := len(h.counts)
			h.grow(n)
			copy(h.counts[n:], h.counts[:old])
			clear(h.counts[:n])
			h.first = low
		}
	}
}

// grow adds n empty buckets at the end.
func (h *Histogram) grow(n int) {
	for range n {
		h.counts = append(h.counts, 0)
	}
}

// Buckets calls yield with every bucket that is not empty, the fastest first,
// until it returns false.
func (h *Histogram) Buckets(yield func(bucket uint16, n uint64) bool) {
	for i, n := range h.counts {
		if n > 0 && !yield(uint16(h.first+i), n) {
			return
		}
	}
}

// QuantileError bounds how far Quantile is off, as a part of the true latency, for
// all but the first and last bucket.
const QuantileError = 0.0443 // 2^(1/16) - 1

// Quantile is the latency in ns that a part q of all did not exceed, by rank; 0
// where there are none. It is the middle of its bucket, on a scale of octaves.
func (h *Histogram) Quantile(q float64) int64 {
	if h.Count == 0 {
		return 0
	}
	if !(q > 0) { // nor is it a number
		q = 0
	}
	rank := uint64(math.Ceil(min(q, 1) * float64(h.Count)))
	rank = min(max(rank, 1), h.Count)
	for i, n := range h.counts {
		if rank <= n {
			return middle(h.first + i)
		}
		rank -= n
	}
	return 0 // not reached: the counts sum up to Count
}

func middle(bucket int) int64 {
	return int64(math.Round(1e9 * flow.BucketBound(uint16(bucket)) * math.Exp2(-1.0/16)))
}
