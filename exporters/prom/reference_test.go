package prom

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
)

// reference is the plain way: a prometheus.Collector that makes each series anew
// with the library's own means, and tests what it is made of on the way.
type reference struct{ *Exporter }

func (e reference) Describe(ch chan<- *prometheus.Desc) {
	for i, d := range e.descs {
		// These two describe themselves.
		if id(i) != mRTT && id(i) != mConnect {
			ch <- d
		}
	}
	e.store.rtt.Describe(ch)
	e.store.connect.Describe(ch)
}

func (e reference) Collect(ch chan<- prometheus.Metric) {
	for _, m := range e.series() {
		ch <- m
	}
	e.store.rtt.Collect(ch)
	e.store.connect.Collect(ch)
	healthCollector(e).Collect(ch)
}

func (e reference) series() (out []prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sweep(e.cfg.Now())
	for _, all := range []map[identity]*pair{e.store.flows.all, e.store.exchanges.all} {
		for _, p := range all {
			for key, s := range p.counters {
				c, err := prometheus.NewConstMetricWithCreatedTimestamp(e.descs[key.metric], prometheus.CounterValue,
					float64(s.value), s.created.AsTime(), p.values(key.metric, key.label)...)
				out = append(out, orInvalid(c, err))
			}
			for key, o := range p.operations {
				if o.latencies.Count > 0 {
					out = append(out, orInvalid(e.histogram(key, p, o)))
				}
			}
		}
	}
	return out
}

func orInvalid(m prometheus.Metric, err error) prometheus.Metric {
	if err != nil {
		return prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
	return m
}

func (e reference) histogram(k operationKey, p *pair, o *operation) (prometheus.Metric, error) {
	var zero uint64
	native := map[int]int64{}
	for b, n := range o.latencies.Buckets {
		if b == 0 {
			zero = n
		} else {
			native[int(flow.BucketIndex(b))] = int64(n)
		}
	}
	m, err := prometheus.NewConstNativeHistogram(e.descs[k.metric], o.latencies.Count, float64(o.latencies.Sum)/1e9, native, nil, zero,
		schema, flow.BucketBound(0), o.created.AsTime(), k.values(p)...)
	if err != nil {
		return nil, err
	}
	m = bothForms{m, classicForm(k.metric, o)}
	if len(o.exemplars) == 0 {
		return m, nil
	}
	var examples []prometheus.Exemplar
	for _, x := range o.exemplars {
		examples = append(examples, prometheus.Exemplar{Value: x.seconds, Labels: prometheus.Labels{"trace_id": x.trace}, Timestamp: x.at})
	}
	slices.SortFunc(examples, func(a, b prometheus.Exemplar) int { return a.Timestamp.Compare(b.Timestamp) })
	return prometheus.NewMetricWithExemplars(m, examples...)
}

func classicForm(m id, o *operation) (out []*dto.Bucket) {
	for _, bound := range metrics[m].buckets {
		var sum uint64
		for b, n := range o.latencies.Buckets {
			if flow.BucketBound(b) <= bound {
				sum += n
			}
		}
		out = append(out, &dto.Bucket{CumulativeCount: new(sum), UpperBound: new(bound)})
	}
	return out
}

// bothForms adds classic buckets to a native histogram.
type bothForms struct {
	prometheus.Metric
	classic []*dto.Bucket
}

func (m bothForms) Write(out *dto.Metric) error {
	if err := m.Metric.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = m.classic
	return nil
}

// registry is one that has e the plain way, and finds fault with whatever it can.
func registry(t testing.TB, e *Exporter) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(reference{e}); err != nil {
		t.Fatal(err)
	}
	return reg
}

// ours is what the exporter gathers, without the runtime's and the process's own.
func ours(t testing.TB, e *Exporter) prometheus.TransactionalGatherer {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(healthCollector{e}); err != nil {
		t.Fatal(err)
	}
	return prometheus.NewMultiTRegistry(prometheus.ToTransactionalGatherer(newGatherer(e)), prometheus.ToTransactionalGatherer(reg))
}

// gathered are the families of a scrape, which must be those of the plain way.
func gathered(t testing.TB, e *Exporter) []*dto.MetricFamily {
	t.Helper()
	got, _, err := ours(t, e).Gather()
	if err != nil {
		t.Fatalf("gather: %v", err)
	}
	want, err := registry(t, e).Gather()
	if err != nil {
		t.Fatalf("gather the plain way: %v", err)
	}
	same(t, got, want)
	return got
}

// same compares families, their order and all that is in them.
func same(t testing.TB, got, want []*dto.MetricFamily) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d families, want %d", len(got), len(want))
	}
	for i, f := range want {
		if got[i].GetName() != f.GetName() || len(got[i].Metric) != len(f.Metric) {
			t.Fatalf("%s with %d series, want %s with %d", got[i].GetName(), len(got[i].Metric), f.GetName(), len(f.Metric))
		}
		for n, m := range f.Metric {
			if !proto.Equal(got[i].Metric[n], m) {
				t.Fatalf("%s, series %d:\n got %v\nwant %v", f.GetName(), n, got[i].Metric[n], m)
			}
		}
		if !proto.Equal(got[i], f) {
			t.Fatalf("%s: name, help, unit or type differ:\n got %v\nwant %v", f.GetName(), got[i], f)
		}
	}
}

// everything is an exporter with series of all kinds, some of which went again.
func everything(t testing.TB) *Exporter {
	c := &clock{time.Unix(1_700_000_000, 123_456_789)}
	e := New(Config{Budget: 60, Now: c.Now, Build: Build{"1.0", `a"b\c`, "go1.26"}, Health: testHealth})
	batch := host(40)
	for i := range batch {
		if i%7 == 0 {
			c.now = c.now.Add(13 * time.Millisecond)
		}
		if err := e.Consume(t.Context(), batch[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	gathered(t, e)
	c.now = c.now.Add(4 * time.Minute)
	if err := e.Consume(t.Context(), host(25)); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(2 * time.Minute)
	if err := e.Consume(t.Context(), host(12)); err != nil {
		t.Fatal(err)
	}
	return e
}
