package prom

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed79351815/weir/collector/flow"
)

// schema is that of native histograms whose buckets are those of tallies.
const schema = 3

// lastBucket holds all latencies above its lower bound, about half an hour.
var lastBucket = flow.BucketOf(math.MaxInt64)

// latencies are durations in a tally's exponential buckets. Only the stretch of
// buckets that is in use takes memory: never more than 2.6 KiB.
type latencies struct {
	first  uint16 // the bucket of counts[0]
	counts []uint64
	sum    uint64 // ns
}

// add counts a tally's exchanges.
func (l *latencies) add(t *flow.Tally) {
	*l.bucket(min(t.Bucket, lastBucket)) += t.Count
	l.sum += t.Latency
}

// bucket is the count of bucket b, with the stretch made longer where needed.
func (l *latencies) bucket(b uint16) *uint64 {
	switch {
	case len(l.counts) == 0:
		l.first, l.counts = b, []uint64{0}
	case b < l.first:
		l.counts = slices.Concat(make([]uint64, l.first-b), l.counts)
		l.first = b
	}
	if missing := int(b-l.first) + 1 - len(l.counts); missing > 0 {
		l.counts = append(l.counts, make([]uint64, missing)...)
	}
	return &l.counts[b-l.first]
}

// reading is a histogram's state at one moment, to be made a metric without
// holding up those who count on.
type reading struct {
	latencies
	metric  id
	labels  []string
	created time.Time
}

func (o *operation) reading(m id) reading {
	r := reading{latencies: o.latencies, metric: m, labels: o.labels, created: o.created}
	r.counts = slices.Clone(r.counts)
	return r
}

// export makes a metric in both forms: the native one has the tally's buckets
// as they are; the classic one has each of them whole in the first bucket that
// reaches up to its upper bound, so that no latency looks shorter than it was.
func (r *reading) export(desc *prometheus.Desc) prometheus.Metric {
	var total, zero uint64
	native := make(map[int]int64, len(r.counts))
	for i, n := range r.counts {
		total += n
		switch b := r.first + uint16(i); {
		case b == 0:
			zero = n // latencies of nothing are there too
		case n > 0:
			native[int(flow.BucketIndex(b))] = int64(n)
		}
	}
	m, err := prometheus.NewConstNativeHistogram(desc, total, float64(r.sum)/1e9, native, nil, zero,
		schema, flow.BucketBound(0), r.created, r.labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return bothForms{m, r.classic()}
}

// classic are the cumulative counts of the metric's classic buckets.
func (r *reading) classic() []*dto.Bucket {
	bounds := metrics[r.metric].buckets
	out := make([]*dto.Bucket, len(bounds))
	var sum uint64
	next := 0
	for i, bound := range bounds {
		for next < len(r.counts) && flow.BucketBound(r.first+uint16(next)) <= bound {
			sum += r.counts[next]
			next++
		}
		out[i] = &dto.Bucket{CumulativeCount: new(sum), UpperBound: new(bound)}
	}
	return out
}

// bothForms adds classic buckets to a native histogram.
type bothForms struct {
	prometheus.Metric
	classic []*dto.Bucket
}

// Write is called once, by the scrape that the metric was made for.
func (m bothForms) Write(out *dto.Metric) error {
	if err := m.Metric.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = m.classic
	return nil
}
