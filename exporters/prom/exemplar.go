package prom

import (
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/flow"
)

// traceIDLen is the length of a W3C trace id in hexadecimal.
const traceIDLen = 32

// exemplar is an exchange whose trace id is known.
type exemplar struct {
	bucket  int // the classic one that it lies in
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
	e := exemplar{seconds: float64(x.Latency) / 1e9, trace: clean(trace), at: time.Unix(0, x.Start+x.Latency)}
	e.bucket, _ = slices.BinarySearch(metrics[k.metric].buckets, e.seconds)
	for i := range o.exemplars {
		if o.exemplars[i].bucket == e.bucket {
			o.exemplars[i] = e
			return
		}
	}
	o.exemplars = append(o.exemplars, e)
}

// exemplars adds the examples to a histogram: OpenMetrics and protobuf carry them.
// The native form has all of them, the classic one each at its bucket, for which
// what is above all bounds gets one.
func exemplars(h *dto.Histogram, examples []exemplar) {
	slices.SortFunc(examples, func(a, b exemplar) int { return a.at.Compare(b.at) })
	for i := range examples {
		e := &examples[i]
		x := &dto.Exemplar{
			Label: []*dto.LabelPair{{Name: new("trace_id"), Value: &e.trace}},
			Value: &e.seconds, Timestamp: timestamppb.New(e.at),
		}
		h.Exemplars = append(h.Exemplars, x)
		if e.bucket == len(h.Bucket) {
			h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: h.SampleCount, UpperBound: new(math.Inf(1))})
		}
		h.Bucket[e.bucket].Exemplar = x
	}
}
