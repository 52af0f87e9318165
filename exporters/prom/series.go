package prom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/flow"
)

// store is every series made of records. It is not safe for concurrent use.
type store struct {
	budget    int
	labels    *Labels
	pairs     *labelPairs
	flows     *pairs
	exchanges *pairs
	used      [recordMetrics]int // series that count against the budget
	overflow  [recordMetrics]uint64
	short     [recordMetrics]bool // an operation found no room since the last expire
	rtt       *prometheus.HistogramVec
	connect   *prometheus.HistogramVec

	// The same series once more, as scrapes show them.
	counted [recordMetrics]order[*series]
	tallied [recordMetrics]order[*operation]
	read    [recordMetrics]order[*observed]

	now     time.Time
	created *timestamppb.Timestamp // now, for all series that are made at once
}

// series is a counter.
type series struct {
	place
	value   uint64
	created *timestamppb.Timestamp
}

// observed is a histogram that the library counts in.
type observed struct {
	place
	prometheus.Histogram
}

func newStore(budget int, labels *Labels) *store {
	return &store{
		budget: budget, labels: labels, pairs: newLabelPairs(labels),
		flows:     newPairs(budget, labels, func(p uint8) string { return protocolLabel(flow.Protocol(p)) }),
		exchanges: newPairs(budget, labels, func(p uint8) string { return l7Label(flow.L7Protocol(p)) }),
		rtt:       newHistogram(mRTT, labels), connect: newHistogram(mConnect, labels),
	}
}

// since is when a series that is made now began.
func (s *store) since(now time.Time) *timestamppb.Timestamp {
	if s.created == nil || !s.now.Equal(now) {
		s.now, s.created = now, timestamppb.New(now)
	}
	return s.created
}

// newHistogram has both forms: Prometheus takes the native one where it is
// told to, and the classic buckets elsewhere. The bounds on its buckets hold
// memory: a series takes some kilobytes at most.
func newHistogram(m id, labels *Labels) *prometheus.HistogramVec {
	t := metrics[m]
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: t.name, Help: t.help, Buckets: t.buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels.of(m))
}

// count counts n in one of the series of p that most records are counted in.
func (s *store) count(p *pair, o often, n uint64, now time.Time) {
	if n == 0 {
		return
	}
	if c := p.often[o]; c != nil {
		c.value += n
		return
	}
	p.often[o] = s.add(p, oftens[o].metric, oftens[o].label, n, now)
}

// add counts n in a series of p, or in the overflow series where the metric's
// budget is used up. Nothing is made for 0. It gives the series where that is one
// of p in which more may be counted without asking.
func (s *store) add(p *pair, m id, label string, n uint64, now time.Time) *series {
	if n == 0 {
		return nil
	}
	if p.overflow {
		s.overflow[m]++
		switch m {
		case mDrops:
			label = other
		case mPolicy:
			label = overflowDecision(label)
		}
	}
	key := counterKey{m, label}
	c := p.counters[key]
	if c == nil {
		if !p.overflow {
			if s.used[m] >= s.budget {
				s.add(p.home.overflow(p.protocol), m, label, n, now)
				return nil
			}
			s.used[m]++
		}
		c = &series{place: place{labels: s.pairs.of(m, p.values(m, label))}, created: s.since(now)}
		p.counters[key] = c
		s.counted[m].add(c)
	}
	c.value += n
	if p.overflow {
		return nil
	}
	return c
}

// observe puts a duration of ns into one of p's histograms. There is at most
// one series of each for a pair, so that the bound on pairs is its budget.
func (s *store) observe(p *pair, m id, ns int64) {
	o, vec := &p.rtt, s.rtt
	if m == mConnect {
		o, vec = &p.connect, s.connect
	}
	if p.overflow {
		s.overflow[m]++
	}
	if *o == nil {
		// A vector of histograms gives histograms: that it says less is history.
		h := vec.WithLabelValues(p.values(m, "")...).(prometheus.Histogram)
		var d dto.Metric
		_ = h.Write(&d) // of a histogram it does not fail
		*o = &observed{place{labels: d.Label}, h}
		s.read[m].add(*o)
	}
	(*o).Observe(float64(ns) / 1e9)
}

// expire removes the pairs of which nothing was seen since before, and the
// silent operations of living ones where others found no room.
func (s *store) expire(before time.Time) {
	s.flows.expire(before, func(p *pair) {
		s.release(p)
		if p.rtt != nil {
			s.rtt.DeleteLabelValues(p.values(mRTT, "")...)
			s.read[mRTT].remove(p.rtt)
		}
		if p.connect != nil {
			s.connect.DeleteLabelValues(p.values(mConnect, "")...)
			s.read[mConnect].remove(p.connect)
		}
	})
	s.exchanges.expire(before, s.release)
	s.makeRoom(before)
	// Where nobody scrapes, what is gone must go too.
	for m := range recordMetrics {
		s.counted[m].prune()
		s.tallied[m].prune()
		s.read[m].prune()
	}
}

// release gives the budget of a pair's series back.
func (s *store) release(p *pair) {
	for key, c := range p.counters {
		s.used[key.metric]--
		s.counted[key.metric].remove(c)
	}
	for key, o := range p.operations {
		s.used[key.metric]--
		s.tallied[key.metric].remove(o)
	}
}
