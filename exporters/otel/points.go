package otel

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	metriccollectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// scale is that of exponential histograms whose buckets are those of tallies.
const scale = 3

// maxPoints is how many go into one message: receivers take 4 MiB as a rule.
const maxPoints = 1000

// explicitBounds are the buckets that OpenTelemetry advises for durations, in
// seconds.
var explicitBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// metricMessage is an export of n points.
type metricMessage struct {
	message proto.Message
	n       uint64
}

// collect makes messages of the series as they are now. With delta temporality
// they begin anew.
func (e *Exporter) collect(s *store, now time.Time) (out []metricMessage) {
	req, n := &metriccollectorpb.ExportMetricsServiceRequest{}, 0
	flush := func() {
		if n > 0 {
			out = append(out, metricMessage{req, uint64(n)})
		}
		req, n = &metriccollectorpb.ExportMetricsServiceRequest{}, 0
	}
	keys := make([]seriesKey, 0, len(s.all))
	for k := range s.all {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, seriesKey.compare)
	var scope *metricpb.ScopeMetrics
	var m *metricpb.Metric
	var workload uint64 // that scope is of
	for _, k := range keys {
		x := s.all[k]
		if !x.tells(k.metric, e.cfg.Temporality) {
			continue
		}
		if n == maxPoints {
			flush()
		}
		if n == 0 || k.workload != workload {
			workload, m = k.workload, nil
			scope = &metricpb.ScopeMetrics{Scope: e.scope, SchemaUrl: schemaURL}
			of := e.resources.own()
			if k.workload != 0 {
				of = e.resources.of(s.workloads[k.workload])
			}
			req.ResourceMetrics = append(req.ResourceMetrics, &metricpb.ResourceMetrics{
				Resource: of, ScopeMetrics: []*metricpb.ScopeMetrics{scope}, SchemaUrl: schemaURL,
			})
		}
		if row := &metrics[k.metric]; m == nil || m.Name != row.name {
			m = row.empty(e.cfg.Temporality, e.cfg.ExplicitBuckets)
			scope.Metrics = append(scope.Metrics, m)
		}
		x.appendTo(m, k, now)
		n++
		if e.cfg.Temporality == Delta {
			x.restart(now)
		}
	}
	flush()
	return out
}

// tells tells whether a series has something to say.
func (x *series) tells(m metricID, t Temporality) bool {
	return t != Delta || metrics[m].kind == gauge || x.value != x.sent || x.latencies.Count > 0
}

// restart begins to count anew.
func (x *series) restart(now time.Time) {
	x.sent, x.start = x.value, now
	x.latencies.Reset()
}

// empty is a metric without points.
func (row *metric) empty(t Temporality, explicit bool) *metricpb.Metric {
	m := &metricpb.Metric{Name: row.name, Unit: row.unit, Description: row.help}
	switch {
	case row.kind == counter:
		m.Data = &metricpb.Metric_Sum{Sum: &metricpb.Sum{AggregationTemporality: t, IsMonotonic: true}}
	case row.kind == gauge:
		m.Data = &metricpb.Metric_Gauge{Gauge: &metricpb.Gauge{}}
	case explicit:
		m.Data = &metricpb.Metric_Histogram{Histogram: &metricpb.Histogram{AggregationTemporality: t}}
	default:
		m.Data = &metricpb.Metric_ExponentialHistogram{ExponentialHistogram: &metricpb.ExponentialHistogram{AggregationTemporality: t}}
	}
	return m
}

// appendTo adds the series' point to its metric.
func (x *series) appendTo(m *metricpb.Metric, k seriesKey, now time.Time) {
	attrs := k.attributes()
	start, at := uint64(x.start.UnixNano()), uint64(now.UnixNano())
	switch d := m.Data.(type) {
	case *metricpb.Metric_Sum:
		n := x.value
		if d.Sum.AggregationTemporality == Delta {
			n -= x.sent
		}
		d.Sum.DataPoints = append(d.Sum.DataPoints, &metricpb.NumberDataPoint{
			Attributes: attrs, StartTimeUnixNano: start, TimeUnixNano: at, Value: &metricpb.NumberDataPoint_AsInt{AsInt: int64(n)},
		})
	case *metricpb.Metric_Gauge:
		d.Gauge.DataPoints = append(d.Gauge.DataPoints, &metricpb.NumberDataPoint{
			Attributes: attrs, TimeUnixNano: at, Value: &metricpb.NumberDataPoint_AsInt{AsInt: int64(x.value)},
		})
	case *metricpb.Metric_Histogram:
		p := explicitPoint(&x.latencies)
		p.Attributes, p.StartTimeUnixNano, p.TimeUnixNano = attrs, start, at
		d.Histogram.DataPoints = append(d.Histogram.DataPoints, p)
	case *metricpb.Metric_ExponentialHistogram:
		p := exponentialPoint(&x.latencies)
		p.Attributes, p.StartTimeUnixNano, p.TimeUnixNano = attrs, start, at
		d.ExponentialHistogram.DataPoints = append(d.ExponentialHistogram.DataPoints, p)
	}
}

// exponentialPoint has the tallies' buckets as they are. OpenTelemetry numbers a
// bucket by its lower bound, Prometheus by its upper.
func exponentialPoint(h *l7.Histogram) *metricpb.ExponentialHistogramDataPoint {
	sum := float64(h.Sum) / 1e9
	p := &metricpb.ExponentialHistogramDataPoint{
		Count: h.Count, Sum: &sum, Scale: scale, ZeroThreshold: flow.BucketBound(0),
		Positive: &metricpb.ExponentialHistogramDataPoint_Buckets{},
	}
	for b, n := range h.Buckets {
		if b == 0 {
			p.ZeroCount = n // latencies of nothing are there too
			continue
		}
		i := flow.BucketIndex(b) - 1
		if len(p.Positive.BucketCounts) == 0 {
			p.Positive.Offset = i
		}
		for p.Positive.Offset+int32(len(p.Positive.BucketCounts)) < i {
			p.Positive.BucketCounts = append(p.Positive.BucketCounts, 0)
		}
		p.Positive.BucketCounts = append(p.Positive.BucketCounts, n)
	}
	return p
}

// explicitPoint has each of the tallies' buckets whole in the first that reaches up
// to its upper bound, so that no latency looks shorter than it was.
func explicitPoint(h *l7.Histogram) *metricpb.HistogramDataPoint {
	sum := float64(h.Sum) / 1e9
	p := &metricpb.HistogramDataPoint{
		Count: h.Count, Sum: &sum, ExplicitBounds: explicitBounds, BucketCounts: make([]uint64, len(explicitBounds)+1),
	}
	for b, n := range h.Buckets {
		i, _ := slices.BinarySearch(explicitBounds, flow.BucketBound(b))
		p.BucketCounts[i] += n
	}
	return p
}

func (k seriesKey) attributes() (a attributes) {
	if k.overflow {
		a.put(keyOverflow, truth(true))
		return a
	}
	for i, key := range metrics[k.metric].keys {
		a.put(key, k.value(key, i))
	}
	return a
}

// value is that of an attribute: numbers are kept as text.
func (k *seriesKey) value(key string, i int) *commonpb.AnyValue {
	if key == keyHTTPStatus || key == keyServerPort {
		if n, err := strconv.ParseInt(k.values[i], 10, 64); err == nil {
			return number(n)
		}
	}
	return text(k.values[i])
}

// compare orders keys by resource, then by metric.
func (k seriesKey) compare(o seriesKey) int {
	return cmp.Or(cmp.Compare(k.workload, o.workload), cmp.Compare(k.metric, o.metric), slices.Compare(k.values[:], o.values[:]))
}
