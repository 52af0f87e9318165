package otel

import (
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// Bounds of a store.
const (
	metricBudget = 2000            // series of each metric
	silence      = 5 * time.Minute // after which a series goes
)

// seriesKey is what a series is of.
type seriesKey struct {
	metric   metricID
	workload uint64 // cgroup id of the workload that is its resource; 0 for weir
	overflow bool   // it counts what had no room
	values   [maxKeys]string
}

// series is a counter's count, a gauge's value or a histogram.
type series struct {
	value     uint64
	sent      uint64 // of value, with delta temporality
	latencies l7.Histogram
	start     time.Time // of what is counted
	last      time.Time // latest observation
}

// store holds the series. One goroutine uses it at a time.
type store struct {
	all       map[seriesKey]*series
	used      [metricCount]int
	held      map[holder]int
	workloads map[uint64]*flow.Workload // the latest that is known of each
	budget    int
}

// holder is who has series of a metric.
type holder struct {
	metric   metricID
	workload uint64
}

func newStore(budget int) *store {
	return &store{all: map[seriesKey]*series{}, held: map[holder]int{}, workloads: map[uint64]*flow.Workload{}, budget: budget}
}

// series finds or makes the series of a workload, nil for weir's own. Names are
// chosen by whoever asks: so that one workload does not take everything, it never
// holds more than it leaves free. What has no room is counted in one series of the
// metric that says so, as OpenTelemetry's SDKs do.
func (s *store) series(m metricID, w *flow.Workload, now time.Time, values ...string) *series {
	k := seriesKey{metric: m}
	copy(k.values[:], values)
	if w != nil {
		k.workload = w.CgroupID
	}
	x := s.all[k]
	if x == nil {
		if free := s.budget - s.used[m]; free <= 0 || w != nil && s.held[holder{m, k.workload}] >= free {
			k = seriesKey{metric: m, overflow: true}
			x = s.all[k]
		}
	}
	if x == nil {
		x = &series{start: now}
		s.all[k] = x
		if !k.overflow {
			s.used[m]++
			s.held[holder{m, k.workload}]++
		}
	}
	if k.workload != 0 {
		s.workloads[k.workload] = w
	}
	x.last = now
	return x
}

func (s *store) add(m metricID, now time.Time, n uint64, values ...string) {
	if n > 0 {
		s.series(m, nil, now, values...).value += n
	}
}

// latency counts one of ns.
func (x *series) latency(ns int64) { x.latencies.Add(flow.BucketOf(ns), 1, uint64(ns)) }

// expire removes what was silent since before, and tells whether anything was.
func (s *store) expire(before time.Time) bool {
	had := len(s.all)
	kept := map[uint64]struct{}{}
	for k, x := range s.all {
		if !x.last.Before(before) {
			kept[k.workload] = struct{}{}
			continue
		}
		delete(s.all, k)
		if k.overflow {
			continue
		}
		s.used[k.metric]--
		h := holder{k.metric, k.workload}
		if s.held[h]--; s.held[h] <= 0 {
			delete(s.held, h)
		}
	}
	for id := range s.workloads {
		if _, ok := kept[id]; !ok {
			delete(s.workloads, id)
		}
	}
	return len(s.all) < had
}
