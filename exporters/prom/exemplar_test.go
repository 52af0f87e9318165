package prom

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	traceA = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceB = "00f067aa0ba902b7a3ce929d0e0e4736"
)

func traced(trace string, latency time.Duration) flow.Record {
	r := exchange(flow.WhySample)
	r.L7.TraceID = trace
	r.L7.Exchange.Start, r.L7.Exchange.Latency = 1_700_000_000e9, int64(latency)
	return r
}

func openMetrics(t *testing.T, e *Exporter) string {
	t.Helper()
	h, err := e.Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Body.String()
}

func TestExemplars(t *testing.T) {
	e, _ := newExporter(t, 0)
	// The example may come before what counts it: then there is no series yet.
	consume(t, e, both(traced(traceB, 2*time.Millisecond)))
	if got := values(t, e, "http_client_request_duration_seconds"); len(got) != 0 {
		t.Errorf("an example alone made series: %v", got)
	}
	consume(t, e,
		both(tally(flow.HTTP, "GET", "/", 200, 9, 3*time.Millisecond)),
		both(traced(traceA, 3*time.Millisecond)), both(traced(traceB, 20*time.Second)),
		both(traced("not a trace id", 40*time.Millisecond)))
	for _, name := range []string{"http_client_request_duration_seconds", "http_server_request_duration_seconds"} {
		h := histogramOf(t, e, name)
		if h.GetSampleCount() != 9 {
			t.Errorf("%s: %d counted, want 9: examples are among them", name, h.GetSampleCount())
		}
		if n := len(h.Exemplars); n != 2 {
			t.Errorf("%s: the native histogram has %d examples, want 2", name, n)
		}
		first, last := h.Bucket[0], h.Bucket[len(h.Bucket)-1]
		if x := first.Exemplar; x == nil || x.GetValue() != .003 || x.Label[0].GetValue() != traceA {
			t.Errorf("%s: up to 5 ms the example is %v, want the newest, of %s", name, x, traceA)
		}
		if x := last.Exemplar; x == nil || x.GetValue() != 20 || x.Timestamp.AsTime().Unix() != 1_700_000_020 {
			t.Errorf("%s: beyond the last bound the example is %v", name, x)
		}
	}
	text := openMetrics(t, e)
	if n := strings.Count(text, `# {trace_id="`+traceA+`"} 0.003 `); n != 2 {
		t.Errorf("OpenMetrics shows the example %d times, want once for each end", n)
	}
}

// What a stranger sends as trace ids takes no more memory than there are buckets.
func TestExemplarsAreBounded(t *testing.T) {
	e, _ := newExporter(t, 4)
	for i := range 2000 {
		consume(t, e, traced(traceA, time.Duration(i)*20*time.Millisecond))
	}
	for _, p := range e.store.exchanges.all {
		for k, o := range p.operations {
			if n := len(o.exemplars); n > len(metrics[k.metric].buckets)+1 {
				t.Errorf("%d examples", n)
			}
		}
	}
	// Nor do examples take more than the budget of series.
	for i := range 50 {
		r := traced(traceA, time.Millisecond)
		r.L7.Route = strings.Repeat("/", i)
		consume(t, e, r)
	}
	if n := e.store.used[mHTTPClient]; n > 4 {
		t.Errorf("%d series for a budget of 4", n)
	}
}
