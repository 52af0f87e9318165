package otel

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// scale is that of exponential histograms whose buckets are those of tallies.
const scale = 3

// maxPoints is how many go into one message: receivers take 4 MiB as a rule.
const maxPoints = 1000

// explicitBounds are the buckets that OpenTelemetry advises for durations, in
// seconds.
var explicitBounds = [...]float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// metricMessage is an export of n points.
type metricMessage struct {
	message mem.Buffer
	n       uint64
}

// collect makes messages of the series as they are now. With delta temporality
// they begin anew.
func (e *Exporter) collect(s *store, now time.Time) (out []metricMessage) {
	k, p, t, explicit := e.points, &e.sheet, e.cfg.Temporality, e.cfg.ExplicitBuckets
	keys := make([]seriesKey, 0, len(s.all))
	for k, x := range s.all {
		if x.tells(k.metric, t) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, seriesKey.compare)
	for len(keys) > 0 {
		k.begin(p)
		n := 0 // points
		for len(keys) > 0 && n < maxPoints && !p.full() {
			first := keys[0]
			of := k.own
			if first.workload != 0 {
				of = k.of(s.workloads[first.workload])
			}
			begin := p.begin()
			data := metrics[first.metric].begin(&p.wire, t, explicit)
			for len(keys) > 0 && n < maxPoints && !p.full() && keys[0].metric == first.metric && keys[0].workload == first.workload {
				x := s.all[keys[0]]
				x.write(&p.wire, &keys[0], now, t, explicit)
				if t == Delta {
					x.restart(now)
				}
				keys, n = keys[1:], n+1
			}
			p.close(data)
			p.end(of, begin)
		}
		out = append(out, metricMessage{k.message(p), uint64(n)})
	}
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

// Fields of OTLP's Metric, and of what holds its points.
const (
	metricName     field = 1
	metricHelp     field = 2
	metricUnit     field = 3
	gaugeField     field = 5
	sumField       field = 7
	histogramField field = 9
	expField       field = 10

	pointsField      field = 1
	temporalityField field = 2
	monotonicField   field = 3
)

// begin writes all of a metric but its points, which are what is written next. It
// gives what end is to be told.
func (row *metric) begin(w *wire, t Temporality, explicit bool) (data int) {
	w.text(metricName, row.name)
	w.text(metricHelp, row.help)
	w.text(metricUnit, row.unit)
	switch {
	case row.kind == gauge:
		return w.open(gaugeField)
	case row.kind == counter:
		data = w.open(sumField)
		w.varint(monotonicField, 1)
	case explicit:
		data = w.open(histogramField)
	default:
		data = w.open(expField)
	}
	w.varint(temporalityField, uint64(t))
	return data
}

// Fields of OTLP's NumberDataPoint, HistogramDataPoint and
// ExponentialHistogramDataPoint.
const (
	pointStart field = 2
	pointTime  field = 3
	pointCount field = 4
	pointSum   field = 5

	numberValue      field = 6
	numberAttributes field = 7

	histogramCounts     field = 6
	histogramBounds     field = 7
	histogramAttributes field = 9

	expAttributes     field = 1
	expScale          field = 6
	expZeros          field = 7
	expPositive       field = 8
	expZeroThreshold  field = 14
	expPositiveOffset field = 1
	expPositiveCounts field = 2
)

// write writes the series' point.
func (x *series) write(w *wire, k *seriesKey, now time.Time, t Temporality, explicit bool) {
	begin := w.open(pointsField)
	kind := metrics[k.metric].kind
	if kind != gauge {
		w.fixed64(pointStart, uint64(x.start.UnixNano()))
	}
	w.fixed64(pointTime, uint64(now.UnixNano()))
	switch {
	case kind != histogram:
		n := x.value
		if kind == counter && t == Delta {
			n -= x.sent
		}
		w.always64(numberValue, n)
		k.attributes(w, numberAttributes)
	case explicit:
		explicitPoint(w, &x.latencies)
		k.attributes(w, histogramAttributes)
	default:
		exponentialPoint(w, &x.latencies)
		k.attributes(w, expAttributes)
	}
	w.close(begin)
}

// exponentialPoint has the tallies' buckets as they are. OpenTelemetry numbers a
// bucket by its lower bound, Prometheus by its upper.
func exponentialPoint(w *wire, h *l7.Histogram) {
	w.fixed64(pointCount, h.Count)
	w.always64(pointSum, math.Float64bits(float64(h.Sum)/1e9))
	w.varint(expScale, protowire.EncodeZigZag(scale))
	w.double(expZeroThreshold, flow.BucketBound(0))
	positive, counts := w.open(expPositive), -1
	var zeros uint64 // latencies of nothing are there too
	var next int32   // bucket
	for b, n := range h.Buckets {
		if b == 0 {
			zeros = n
			continue
		}
		i := flow.BucketIndex(b) - 1
		if counts < 0 {
			w.varint(expPositiveOffset, protowire.EncodeZigZag(int64(i)))
			counts, next = w.open(expPositiveCounts), i
		}
		for ; next < i; next++ {
			*w = protowire.AppendVarint(*w, 0)
		}
		*w = protowire.AppendVarint(*w, n)
		next++
	}
	if counts >= 0 {
		w.close(counts)
	}
	w.close(positive)
	w.fixed64(expZeros, zeros)
}

// explicitPoint has each of the tallies' buckets whole in the first that reaches up
// to its upper bound, so that no latency looks shorter than it was.
func explicitPoint(w *wire, h *l7.Histogram) {
	var counts [len(explicitBounds) + 1]uint64
	for b, n := range h.Buckets {
		i, _ := slices.BinarySearch(explicitBounds[:], flow.BucketBound(b))
		counts[i] += n
	}
	w.fixed64(pointCount, h.Count)
	w.always64(pointSum, math.Float64bits(float64(h.Sum)/1e9))
	begin := w.open(histogramCounts)
	for _, n := range counts {
		*w = protowire.AppendFixed64(*w, n)
	}
	w.close(begin)
	begin = w.open(histogramBounds)
	for _, s := range explicitBounds {
		*w = protowire.AppendFixed64(*w, math.Float64bits(s))
	}
	w.close(begin)
}

func (k *seriesKey) attributes(w *wire, f field) {
	if k.overflow {
		w.attribute(f, keyOverflow, truth(true))
		return
	}
	for i, key := range metrics[k.metric].keys {
		w.attribute(f, key, k.value(key, i))
	}
}

// value is that of an attribute: numbers are kept as text.
func (k *seriesKey) value(key string, i int) value {
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
