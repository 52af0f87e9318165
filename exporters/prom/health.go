package prom

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed79351815/weir/collector/flow"
)

type descriptors [metricCount]*prometheus.Desc

// healthCollector is a prometheus.Collector of what is not made of records: the pipeline's
// health, and what had no budget. It describes the whole table, so that a registry
// lets nobody else have one of its names.
type healthCollector struct{ *Exporter }

func (h healthCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range h.descs {
		ch <- d
	}
}

func (h healthCollector) Collect(ch chan<- prometheus.Metric) {
	for m, n := range h.overflows() {
		ch <- h.metric(mOverflow, float64(n), metrics[m].name)
	}
	h.Exporter.health(ch)
}

// overflows is how many observations had no budget, by metric.
func (e *Exporter) overflows() [recordMetrics]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.store.overflow
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
	capturing := 1.0
	if h.Blind {
		capturing = 0
	}
	ch <- e.metric(mCapturing, capturing)
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
	for u, n := range cleanUnseen(h.Source.Unseen) {
		ch <- e.metric(mUnseenBytes, float64(n.bytes), u.protocol, u.reason)
		ch <- e.metric(mUnseenStretches, float64(n.stretches), u.protocol, u.reason)
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

type unseenKey struct{ protocol, reason string }

type unseen struct{ bytes, stretches uint64 }

// cleanUnseen sums what was not seen, as cleanLost sums losses.
func cleanUnseen(all []flow.Unseen) map[unseenKey]unseen {
	out := make(map[unseenKey]unseen, len(all))
	for _, u := range all {
		key := unseenKey{l7Label(u.Protocol), clean(u.Reason)}
		n := out[key]
		out[key] = unseen{n.bytes + u.Bytes, n.stretches + u.Stretches}
	}
	return out
}
