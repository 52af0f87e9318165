package prom

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/l7"
)

// gatherer is a prometheus.Gatherer of what is made of records. It gives what a
// prometheus.Registry would make of the same series, in the same order, without
// making labels, comparing and sorting them anew each time: a host has thousands
// of these series, and mostly the same ones from scrape to scrape. It is safe for
// concurrent use, and what it gives belongs to the caller but for the labels and
// times, which are never changed.
type gatherer struct {
	e        *Exporter
	byName   []id // those made of records
	classics [recordMetrics][]uint8
	zero     float64 // widths of the native histograms' zero bucket
	schema   int32
}

func newGatherer(e *Exporter) *gatherer {
	g := &gatherer{e: e, zero: zeroThreshold(), schema: schema}
	for m := range recordMetrics {
		g.byName = append(g.byName, m)
		if m >= mHTTPServer && metrics[m].kind == histogram {
			g.classics[m] = classicBuckets(metrics[m].buckets)
		}
	}
	slices.SortFunc(g.byName, func(a, b id) int { return cmp.Compare(metrics[a].name, metrics[b].name) })
	return g
}

// Gather gives the families by name. Its error tells of series that are not among
// them because another has the same labels.
func (g *gatherer) Gather() ([]*dto.MetricFamily, error) {
	s := g.copy()
	var families []*dto.MetricFamily
	for _, m := range g.byName {
		var shown []*dto.Metric
		switch {
		case metrics[m].kind == counter:
			shown = s.counted[m]
		case g.classics[m] != nil:
			shown = g.histograms(m, s.readings[m])
		default:
			var err error
			if shown, err = written(s.read[m]); err != nil {
				s.errs = append(s.errs, fmt.Errorf("%s: %w", metrics[m].name, err))
			}
		}
		if len(shown) > 0 {
			families = append(families, family(m, shown))
		}
	}
	return families, errors.Join(s.errs...)
}

func family(m id, shown []*dto.Metric) *dto.MetricFamily {
	t := &metrics[m]
	kind := dto.MetricType_COUNTER
	if t.kind == histogram {
		kind = dto.MetricType_HISTOGRAM
	}
	return &dto.MetricFamily{Name: &t.name, Help: &t.help, Type: kind.Enum(), Metric: shown}
}

// snapshot is all series at one moment, to be made families without holding up
// those who count on.
type snapshot struct {
	counted  [recordMetrics][]*dto.Metric
	readings [recordMetrics][]reading
	read     [recordMetrics][]*observed
	errs     []error
}

// copy takes a snapshot.
func (g *gatherer) copy() (out snapshot) {
	e := g.e
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sweep(e.cfg.Now())
	for m := range recordMetrics {
		out.counted[m] = counters(single(&out, m, e.store.counted[m].list()))
		for _, o := range single(&out, m, e.store.tallied[m].list()) {
			if o.latencies.Count > 0 { // else only an example of it was told
				out.readings[m] = append(out.readings[m], o.reading())
			}
		}
		out.read[m] = slices.Clone(single(&out, m, e.store.read[m].list()))
	}
	return out
}

// single is all but those whose labels another has, which become errors: two equal
// series would cost the whole scrape.
func single[S placed](out *snapshot, m id, all []S) []S {
	if !slices.ContainsFunc(all, func(s S) bool { return s.where().twin }) {
		return all
	}
	var kept []S
	for _, s := range all {
		if p := s.where(); p.twin {
			out.errs = append(out.errs, fmt.Errorf("%s: two series have the labels %v", metrics[m].name, p.labels))
		} else {
			kept = append(kept, s)
		}
	}
	return kept
}

// counterCell is a counter as it goes out, in one piece of memory.
type counterCell struct {
	metric  dto.Metric
	counter dto.Counter
	value   float64
}

func counters(all []*series) []*dto.Metric {
	cells, out := make([]counterCell, len(all)), make([]*dto.Metric, len(all))
	for i, s := range all {
		c := &cells[i]
		c.value = float64(s.value)
		c.counter.Value, c.counter.CreatedTimestamp = &c.value, s.created
		c.metric.Label, c.metric.Counter = s.labels, &c.counter
		out[i] = &c.metric
	}
	return out
}

// written are histograms that the library counts in, as it shows them.
func written(all []*observed) ([]*dto.Metric, error) {
	var out []*dto.Metric
	var errs []error
	for _, o := range all {
		d := &dto.Metric{}
		if err := o.Write(d); err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, d)
	}
	return out, errors.Join(errs...)
}

// reading is a histogram's state at one moment.
type reading struct {
	labels    []*dto.LabelPair
	created   *timestamppb.Timestamp
	latencies l7.Histogram
	exemplars []exemplar
}

func (o *operation) reading() reading {
	return reading{labels: o.labels, created: o.created, latencies: o.latencies.Clone(), exemplars: slices.Clone(o.exemplars)}
}
