package prom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed79351815/weir/collector/flow"
)

// identity is the labels that all series of a pair share.
type identity struct {
	source, sourceNS, dest, destNS string
	protocol                       string
}

func makeIdentity(f *flow.Flow) identity {
	var i identity
	i.source, i.sourceNS = endLabels(f.Client.Workload)
	i.dest, i.destNS = endLabels(f.Server.Workload)
	i.protocol = protocolLabel(f.Protocol)
	return i
}

func overflowIdentity(protocol string) identity {
	return identity{other, other, other, other, protocol}
}

// pair is two workloads that talk, and the series made of it. It comes and
// goes as a whole: a counter that stands still while its flow runs must stay.
type pair struct {
	identity
	overflow bool      // takes what had no budget: has none itself, and stays
	last     time.Time // latest record
	counters map[counterKey]*series
	rtt      prometheus.Observer // nil until there was a reading
	connect  prometheus.Observer
}

// counterKey is a series within its pair: the metric and the value of its last
// label (verdict, direction, cause or reason), which is empty where it has none.
type counterKey struct {
	metric id
	label  string
}

type series struct {
	labels  []string
	value   uint64
	created time.Time
}

// values are the label values of a metric of this pair, in the table's order.
func (p *pair) values(m id, label string) []string {
	v := append(make([]string, 0, len(metrics[m].labels)), p.source, p.sourceNS, p.dest, p.destNS)
	if len(metrics[m].labels) > len(ends) {
		v = append(v, p.protocol, label)
	}
	return v
}

// pairKey finds a pair without looking at a string: workloads are immutable,
// so the same pointers mean the same labels.
type pairKey struct {
	client, server *flow.Workload
	protocol       flow.Protocol
}

// store is every series made of records. It is not safe for concurrent use.
type store struct {
	budget   int
	pairs    map[identity]*pair
	byKey    map[pairKey]*pair // a cache over pairs
	named    int               // pairs that count against the budget
	used     [flowMetrics]int  // series that count against the budget
	overflow [flowMetrics]uint64
	rtt      *prometheus.HistogramVec
	connect  *prometheus.HistogramVec
}

func newStore(budget int) *store {
	return &store{
		budget: budget, pairs: map[identity]*pair{}, byKey: map[pairKey]*pair{},
		rtt: newHistogram(mRTT), connect: newHistogram(mConnect),
	}
}

// newHistogram has both forms: Prometheus takes the native one where it is
// told to, and the classic buckets elsewhere. The bounds on its buckets hold
// memory: a series takes some kilobytes at most.
func newHistogram(m id) *prometheus.HistogramVec {
	t := metrics[m]
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: t.name, Help: t.help, Buckets: t.buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, t.labels)
}

// pair finds or makes the pair of a flow.
func (s *store) pair(f *flow.Flow, now time.Time) *pair {
	key := pairKey{f.Client.Workload, f.Server.Workload, f.Protocol}
	p := s.byKey[key]
	if p == nil {
		p = s.obtain(makeIdentity(f))
		// Workloads that are told anew leave their old pointers behind.
		if len(s.byKey) >= 4*s.budget {
			clear(s.byKey)
		}
		s.byKey[key] = p
	}
	p.last = now
	return p
}

func (s *store) obtain(i identity) *pair {
	if p := s.pairs[i]; p != nil {
		return p
	}
	isOther := i == overflowIdentity(i.protocol)
	if !isOther && s.named >= s.budget {
		return s.obtain(overflowIdentity(i.protocol))
	}
	if !isOther {
		s.named++
	}
	p := &pair{identity: i, overflow: isOther, counters: map[counterKey]*series{}}
	s.pairs[i] = p
	return p
}

// add counts n in a series of p, or in the overflow series where the metric's
// budget is used up. Nothing is made for 0.
func (s *store) add(p *pair, m id, label string, n uint64, now time.Time) {
	if n == 0 {
		return
	}
	if p.overflow {
		s.overflow[m]++
		if m == mDrops {
			label = other
		}
	}
	key := counterKey{m, label}
	c := p.counters[key]
	if c == nil {
		if !p.overflow {
			if s.used[m] >= s.budget {
				s.add(s.obtain(overflowIdentity(p.protocol)), m, label, n, now)
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

// expire removes the pairs of which nothing was seen since before.
func (s *store) expire(before time.Time) {
	gone := false
	for i, p := range s.pairs {
		if p.overflow || !p.last.Before(before) {
			continue
		}
		for key := range p.counters {
			s.used[key.metric]--
		}
		s.rtt.DeleteLabelValues(p.values(mRTT, "")...)
		s.connect.DeleteLabelValues(p.values(mConnect, "")...)
		delete(s.pairs, i)
		s.named--
		gone = true
	}
	if gone {
		clear(s.byKey)
	}
}
