package prom

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed79351815/weir/collector/flow"
)

type descriptors [metricCount]*prometheus.Desc

// Describe sends the whole table.
func (e *Exporter) Describe(ch chan<- *prometheus.Desc) {
	for i, d := range e.descs {
		if metrics[i].kind != histogram {
			ch <- d
		}
	}
	e.store.rtt.Describe(ch)
	e.store.connect.Describe(ch)
}

// Collect sends the series and the pipeline's health as they are now.
func (e *Exporter) Collect(ch chan<- prometheus.Metric) {
	// The receiver may be slow: nothing is sent while the lock is held.
	for _, m := range e.flowSeries() {
		ch <- m
	}
	e.store.rtt.Collect(ch)
	e.store.connect.Collect(ch)
	e.health(ch)
}

func (e *Exporter) flowSeries() []prometheus.Metric {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sweep(e.cfg.Now())
	var out []prometheus.Metric
	for _, p := range e.store.pairs {
		for key, s := range p.counters {
			m, err := prometheus.NewConstMetricWithCreatedTimestamp(
				e.descs[key.metric], prometheus.CounterValue, float64(s.value), s.created, s.labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(e.descs[key.metric], err)
			}
			out = append(out, m)
		}
	}
	for m, n := range e.store.overflow {
		out = append(out, e.metric(mOverflow, float64(n), metrics[m].name))
	}
	return out
}

func (e *Exporter) metric(m id, v float64, labels ...string) prometheus.Metric {
	c, err := prometheus.NewConstMetric(e.descs[m], metrics[m].valueType(), v, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(e.descs[m], err)
	}
	return c
}

func (e *Exporter) health(ch chan<- prometheus.Metric) {
	b := e.cfg.Build
	ch <- e.metric(mBuild, 1, clean(b.Version), clean(b.Revision), clean(b.Go))
	if e.cfg.Health == nil {
		return
	}
	h := e.cfg.Health()
	ch <- e.metric(mLive, float64(h.Flows))
	ch <- e.metric(mEvicted, float64(h.Evicted))
	ch <- e.metric(mEvents, float64(h.Events))
	ch <- e.metric(mRecords, float64(h.Records))
	ch <- e.metric(mRingSize, float64(h.Source.Ring))
	ch <- e.metric(mRingUnread, float64(h.Source.Unread))
	ch <- e.metric(mCaptureStart, float64(h.Since)/1e9)
	for l, n := range cleanLost(h.Lost) {
		ch <- e.metric(mLost, float64(n), l.Stage, l.Reason)
	}
	for cpu, c := range h.Source.PerCPU {
		n := strconv.Itoa(cpu)
		ch <- e.metric(mProduced, float64(c.Produced), n)
		ch <- e.metric(mDelivered, float64(c.Delivered), n)
		ch <- e.metric(mRingLost, float64(c.Lost), n)
	}
	for _, t := range h.Source.Tables {
		ch <- e.metric(mTableEntries, float64(t.Entries), clean(t.Name))
		ch <- e.metric(mTableMax, float64(t.Max), clean(t.Name))
	}
}

// cleanLost sums losses whose names are the same once they are clean: two equal
// series would cost the whole scrape.
func cleanLost(lost map[flow.Loss]uint64) map[flow.Loss]uint64 {
	out := make(map[flow.Loss]uint64, len(lost))
	for l, n := range lost {
		out[flow.Loss{Stage: clean(l.Stage), Reason: clean(l.Reason)}] += n
	}
	return out
}
