package prom

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/seed79351815/weir/collector/flow"
)

// schema is that of native histograms whose buckets are those of tallies.
const schema = 3

// zeroThreshold is the width of the native histograms' zero bucket: latencies of
// nothing are in it too.
func zeroThreshold() float64 { return flow.BucketBound(0) }

// maxGap is how many empty buckets stand as such in a native histogram; where more
// are empty a new span begins. It is the library's choice.
const maxGap = 2

// classicBuckets tells of each of a tally's buckets in which classic bucket it is
// counted: whole in the first that reaches up to its upper bound, so that no latency
// looks shorter than it was. What is above all bounds has a number of its own.
func classicBuckets(bounds []float64) []uint8 {
	out := make([]uint8, flow.BucketOf(math.MaxInt64)+1)
	for b := range out {
		i, _ := slices.BinarySearch(bounds, flow.BucketBound(uint16(b)))
		out[b] = uint8(i)
	}
	return out
}

// histogramCell is a histogram as it goes out, in one piece of memory.
type histogramCell struct {
	metric    dto.Metric
	histogram dto.Histogram
	count     uint64
	zero      uint64
	sum       float64
}

// parts are what histograms are made of.
type parts struct {
	cells   arena[histogramCell]
	buckets arena[dto.Bucket]
	lists   arena[*dto.Bucket]
	counts  arena[uint64]
	spans   arena[dto.BucketSpan]
	offsets arena[int32]
	lengths arena[uint32]
}

// histograms makes metrics in both forms: the native one has the tally's buckets as
// they are; the classic one has each of them whole.
func (g *gatherer) histograms(m id, all []reading) []*dto.Metric {
	out := make([]*dto.Metric, len(all))
	var p parts
	for i := range all {
		r := &all[i]
		c := &p.cells.take(1)[0]
		c.count, c.sum = r.latencies.Count, float64(r.latencies.Sum)/1e9
		h := &c.histogram
		h.SampleCount, h.SampleSum, h.CreatedTimestamp = &c.count, &c.sum, r.created
		h.Schema, h.ZeroThreshold, h.ZeroCount = &g.schema, &g.zero, &c.zero
		g.classic(m, r, h, &p)
		native(r, h, &p)
		exemplars(h, r.exemplars)
		c.metric.Label, c.metric.Histogram = r.labels, h
		out[i] = &c.metric
	}
	return out
}

// classic gives h the cumulative counts of the metric's classic buckets.
func (g *gatherer) classic(m id, r *reading, h *dto.Histogram, p *parts) {
	bounds, place := metrics[m].buckets, g.classics[m]
	counts := p.counts.take(len(bounds) + 1) // the last is above all bounds
	for b, n := range r.latencies.Buckets {
		counts[place[b]] += n
	}
	buckets := p.buckets.take(len(bounds))
	h.Bucket = p.lists.take(len(bounds))
	var sum uint64
	for i := range bounds {
		sum += counts[i]
		counts[i] = sum
		buckets[i].CumulativeCount, buckets[i].UpperBound = &counts[i], &bounds[i]
		h.Bucket[i] = &buckets[i]
	}
}

// native gives h the native buckets: spans of them that lie together, and of each
// the difference to the one before.
func native(r *reading, h *dto.Histogram, p *parts) {
	var before int64
	var length *uint32
	next := int32(0) // the bucket behind the last
	put := func(n int64) {
		*length++
		h.PositiveDelta = append(h.PositiveDelta, n-before)
		before = n
	}
	h.PositiveDelta = make([]int64, 0, r.latencies.Span())
	for b, n := range r.latencies.Buckets {
		if b == 0 {
			*h.ZeroCount = n
			continue
		}
		index := flow.BucketIndex(b)
		gap := index - next
		if length == nil || gap > maxGap {
			length = p.lengths.of(0)
			s := &p.spans.take(1)[0]
			s.Offset, s.Length = p.offsets.of(gap), length
			h.PositiveSpan = append(h.PositiveSpan, s)
		} else {
			for range gap {
				put(0)
			}
		}
		put(int64(n))
		next = index + 1
	}
}
