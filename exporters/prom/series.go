package prom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// store is every series made of records. It is not safe for concurrent use.
type store struct {
	budget    int
	labels    *Labels
	flows     *pairs
	exchanges *pairs
	used      [recordMetrics]int // series that count against the budget
	overflow  [recordMetrics]uint64
	short     [recordMetrics]bool // an operation found no room since the last expire
	rtt       *prometheus.HistogramVec
	connect   *prometheus.HistogramVec
}

func newStore(budget int, labels *Labels) *store {
	return &store{
		budget: budget, labels: labels, flows: newPairs(budget, labels), exchanges: newPairs(budget, labels),
		rtt: newHistogram(mRTT, labels), connect: newHistogram(mConnect, labels),
	}
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

// add counts n in a series of p, or in the overflow series where the metric's
// budget is used up. Nothing is made for 0.
func (s *store) add(p *pair, m id, label string, n uint64, now time.Time) {
	if n == 0 {
		return
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
				return
			}
			s.used[m]++
		}
		c = &series{labels: p.values(m, label), created: now}
		p.counters[key] = c
	}
	c.value += n
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
		*o = vec.WithLabelValues(p.values(m, "")...)
	}
	(*o).Observe(float64(ns) / 1e9)
}

// expire removes the pairs of which nothing was seen since before, and the
// silent operations of living ones where others found no room.
func (s *store) expire(before time.Time) {
	s.flows.expire(before, func(p *pair) {
		s.release(p)
		s.rtt.DeleteLabelValues(p.values(mRTT, "")...)
		s.connect.DeleteLabelValues(p.values(mConnect, "")...)
	})
	s.exchanges.expire(before, s.release)
	s.makeRoom(before)
}

// release gives the budget of a pair's series back.
func (s *store) release(p *pair) {
	for key := range p.counters {
		s.used[key.metric]--
	}
	for key := range p.operations {
		s.used[key.metric]--
	}
}
