package prom

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed79351815/weir/collector/flow"
)

// traceIDLen is the length of a W3C trace id in hexadecimal.
const traceIDLen = 32

// exemplar is an exchange whose trace id is known.
type exemplar struct {
	seconds float64
	trace   string
	at      time.Time
}

// exemplify keeps an exchange as the newest example of its classic bucket, so that
// there are always some of the slow ones. The exchange is told before the tally
// that counts it, which is why this too may make the series.
func (s *store) exemplify(p *pair, k operationKey, x *flow.Exchange, trace string, now time.Time) {
	if len(trace) != traceIDLen || p.overflow {
		return
	}
	o := s.operation(p, k, now)
	if o == nil {
		return
	}
	o.last = now
	bounds := metrics[k.metric].buckets
	e := exemplar{float64(x.Latency) / 1e9, clean(trace), time.Unix(0, x.Start+x.Latency)}
	bucket, _ := slices.BinarySearch(bounds, e.seconds)
	for i, old := range o.exemplars {
		if b, _ := slices.BinarySearch(bounds, old.seconds); b == bucket {
			o.exemplars[i] = e
			return
		}
	}
	o.exemplars = append(o.exemplars, e)
}

// withExemplars adds the examples to a histogram: OpenMetrics and protobuf carry them.
func withExemplars(m prometheus.Metric, examples []exemplar) (prometheus.Metric, error) {
	if len(examples) == 0 {
		return m, nil
	}
	out := make([]prometheus.Exemplar, len(examples))
	for i, e := range examples {
		out[i] = prometheus.Exemplar{Value: e.seconds, Labels: prometheus.Labels{"trace_id": e.trace}, Timestamp: e.at}
	}
	slices.SortFunc(out, func(a, b prometheus.Exemplar) int { return a.Timestamp.Compare(b.Timestamp) })
	return prometheus.NewMetricWithExemplars(m, out...)
}
