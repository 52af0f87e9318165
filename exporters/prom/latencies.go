package prom

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// schema is that of native histograms whose buckets are those of tallies.
const schema = 3

// reading is a histogram's state at one moment, to be made a metric without
// holding up those who count on.
type reading struct {
	latencies l7.Histogram
	exemplars []exemplar
	metric    id
	labels    []string
	created   time.Time
}

func (o *operation) reading(m id) reading {
	return reading{latencies: o.latencies.Clone(), exemplars: slices.Clone(o.exemplars), metric: m, labels: o.labels, created: o.created}
}

// export makes a metric in both forms: the native one has the tally's buckets
// as they are; the classic one has each of them whole in the first bucket that
// reaches up to its upper bound, so that no latency looks shorter than it was.
func (r *reading) export(desc *prometheus.Desc) prometheus.Metric {
	var zero uint64
	native := map[int]int64{}
	for b, n := range r.latencies.Buckets {
		if b == 0 {
			zero = n // latencies of nothing are there too
		} else {
			native[int(flow.BucketIndex(b))] = int64(n)
		}
	}
	m, err := prometheus.NewConstNativeHistogram(desc, r.latencies.Count, float64(r.latencies.Sum)/1e9, native, nil, zero,
		schema, flow.BucketBound(0), r.created, r.labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	both, err := withExemplars(bothForms{m, r.classic()}, r.exemplars)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return both
}

// classic are the cumulative counts of the metric's classic buckets.
func (r *reading) classic() []*dto.Bucket {
	bounds := metrics[r.metric].buckets
	counts := make([]uint64, len(bounds)+1) // the last is above all bounds
	for b, n := range r.latencies.Buckets {
		i, _ := slices.BinarySearch(bounds, flow.BucketBound(b))
		counts[i] += n
	}
	out := make([]*dto.Bucket, len(bounds))
	var sum uint64
	for i, bound := range bounds {
		sum += counts[i]
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
