package prom

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
)

// host is what n workloads with unpleasant names tell, of everything something.
func host(n int) (batch []flow.Record) {
	for i := range n {
		w := workload("shop", fmt.Sprintf("w\"%d\\\u00e9\n", (i*7)%n))
		c := flow.Counters{Packets: uint64(i), Payload: uint64(i) * 1e6, Wire: 1 << 40}
		start, end, drop := record(flow.RecordStart, w, redis), record(flow.RecordEnd, redis, w), record(flow.RecordDrop, nil, w)
		start.Flow.RTT, start.Flow.ConnectLatency = int64(i)*1e5, int64(i)*1e5
		start.Delta = flow.Delta{Sent: c, Received: c, Retransmits: uint32(i % 2)}
		start.Flow.Protocol = []flow.Protocol{flow.TCP, flow.UDP, 200}[i%3]
		end.Flow.End, end.Verdict = flow.EndRefused, flow.VerdictAudit
		drop.Drop = &flow.Drop{Reason: fmt.Sprint("POLICY_", i%4), Packets: 3}
		drop.Verdict = flow.VerdictDropped
		batch = append(batch, start, end, drop, refused(fmt.Sprint("rule ", i%5), 2))
		for j := range 3 {
			d := time.Duration(i*i+1) * time.Duration(j*j*j) * 100 * time.Microsecond
			traced := traced(strings.Repeat(fmt.Sprint(j), traceIDLen), d)
			calls := []flow.Record{
				both(tally(flow.HTTP, "GET", fmt.Sprint("/", i), uint16(200+100*j), 3, d)), traced,
				tally(flow.DNS, "A", fmt.Sprint(i, ".example"), uint16(j), 2, d), tally(flow.TLS, "", "a.example", uint16(40*j), 1, d),
				exchange(flow.Why(j)),
			}
			for _, r := range calls {
				r.L7.Client.Workload = w
			}
			batch = append(batch, calls...)
		}
	}
	return batch
}

// What is gathered is what a registry makes of the same series, in the same order.
func TestGatherIsARegistrys(t *testing.T) {
	families := gathered(t, everything(t))
	seen := map[string]int{}
	for _, f := range families {
		seen[f.GetName()] = len(f.Metric)
	}
	for m := range recordMetrics {
		if n := seen[metrics[m].name]; n < 3 && m != mShown && m != mRetransmits {
			t.Errorf("only %d series of %s: this test is about nothing", n, metrics[m].name)
		}
	}
}

// Whatever is consumed and however long it is silent, scrapes stay a registry's.
func TestGatherAfterAnything(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := &clock{time.Unix(1_700_000_000, 0)}
		e := New(Config{Budget: rapid.IntRange(1, 12).Draw(r, "budget"), Now: c.Now})
		all := host(12)
		for range rapid.IntRange(1, 6).Draw(r, "rounds") {
			from := rapid.IntRange(0, len(all)).Draw(r, "from")
			to := rapid.IntRange(from, len(all)).Draw(r, "to")
			_ = e.Consume(context.Background(), all[from:to])
			c.now = c.now.Add(time.Duration(rapid.IntRange(0, 400).Draw(r, "silent")) * time.Second)
			if rapid.Bool().Draw(r, "scraped") {
				gathered(t, e)
			}
		}
		gathered(t, e)
	})
}

var formats = []struct{ name, accept string }{
	{"openmetrics", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"},
	{"openmetrics escaped", "application/openmetrics-text; version=1.0.0"},
	{"old openmetrics", "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"},
	{"text", "text/plain;version=0.0.4"},
	{"anything", ""},
	{"protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"},
	{"protobuf in words", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text"},
}

// In every format the exporter writes byte for byte what the library writes of what a
// registry gathers.
func TestFormats(t *testing.T) {
	e := everything(t)
	families, err := registry(t, e).Gather()
	if err != nil {
		t.Fatal(err)
	}
	h, err := e.Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			req := httptest.NewRequest("GET", "/metrics", nil)
			req.Header.Set("Accept", f.accept)
			format := expfmt.NegotiateAccept(req.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
			names := req.URL.Query()
			var want bytes.Buffer
			enc := expfmt.NewEncoder(&want, format)
			for _, f := range families {
				names.Add("name[]", f.GetName()) // nothing of the runtime's and the process's
				if err := enc.Encode(f); err != nil {
					t.Fatal(err)
				}
			}
			if err := enc.(expfmt.Closer).Close(); err != nil {
				t.Fatal(err)
			}
			req.URL.RawQuery = names.Encode()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if got := w.Header().Get("Content-Type"); got != string(format) {
				t.Errorf("content type %q, want %q", got, format)
			}
			// The library's text form of messages differs from build to build in its spaces.
			got, plain := w.Body.Bytes(), want.Bytes()
			if strings.Contains(f.accept, "encoding=text") {
				got, plain = bytes.ReplaceAll(got, []byte(" "), nil), bytes.ReplaceAll(plain, []byte(" "), nil)
			}
			if !bytes.Equal(got, plain) {
				t.Errorf("differs:\n%s", difference(got, plain))
			}
		})
	}
}

func difference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %q\nwant %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// Two series with the same labels would cost Prometheus the whole scrape: one goes
// out, and the other is told of.
func TestTwins(t *testing.T) {
	e, _ := newExporter(t, 0)
	fill(t, e)
	fillPolicy(t, e)
	s := e.store
	for range 2 {
		s.counted[mFlows].add(&series{place: place{labels: s.counted[mFlows].list()[0].labels}, value: 77})
	}
	families, err := newGatherer(e).Gather()
	if err == nil || strings.Count(err.Error(), "weir_flows_total: two series have the labels") != 2 {
		t.Errorf("error %v, want that two series of weir_flows_total are not alone", err)
	}
	seen := map[string]bool{}
	for _, f := range families {
		for _, m := range f.Metric {
			key := f.GetName() + labelText(m)
			if seen[key] {
				t.Errorf("%s goes out twice", key)
			}
			seen[key] = true
		}
	}
	h, err := e.Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range formats[:6] {
		req := httptest.NewRequest("GET", "/metrics?name[]=promhttp_metric_handler_errors_total", nil)
		req.Header.Set("Accept", f.accept)
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if want := `promhttp_metric_handler_errors_total{cause="gathering"} 6`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("no %s: the scrapes that failed in part are not counted", want)
	}
	// The one that was first is as good as gone, and the other two are still two.
	s.counted[mFlows].remove(s.counted[mFlows].list()[0])
	s.counted[mFlows].prune()
	if _, err = newGatherer(e).Gather(); err == nil || strings.Count(err.Error(), "two series") != 1 {
		t.Errorf("error %v, want that one series is not alone", err)
	}
}

// Nobody else may take a name of the table in the registry that serves.
func TestNamesAreTaken(t *testing.T) {
	e, _ := newExporter(t, 0)
	for _, m := range metrics {
		reg := prometheus.NewRegistry()
		reg.MustRegister(healthCollector{e})
		if err := reg.Register(prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.name, Help: "Another."}, []string{"x"})); err == nil {
			t.Errorf("%s was given to another", m.name)
		}
	}
}

// Scrapes at the same time, while records come and series go, are each whole.
func TestScrapesAtOnce(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	var mu sync.Mutex
	e := New(Config{Budget: 30, TTL: time.Second, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		c.now = c.now.Add(20 * time.Millisecond)
		return c.now
	}})
	h, err := e.Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		all := host(50)
		for i := range 200 {
			_ = e.Consume(context.Background(), all[i*5%len(all):])
		}
	})
	for i := range 4 {
		done.Go(func() {
			for j := range 20 {
				req := httptest.NewRequest("GET", "/metrics", nil)
				req.Header.Set("Accept", formats[(i+j)%len(formats)].accept)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				if body, _ := io.ReadAll(w.Body); w.Code != 200 || len(body) < 1000 {
					t.Errorf("%s: status %d, %d bytes", formats[(i+j)%len(formats)].name, w.Code, len(body))
				}
			}
		})
	}
	done.Wait()
	gathered(t, e)
}

// What was gathered stays as it was, and each series began when it was made.
func TestGatheredStays(t *testing.T) {
	e, c := newExporter(t, 0)
	first := c.now
	call := tally(flow.HTTP, "GET", "/", 200, 3, time.Second)
	consume(t, e, record(flow.RecordStart, web, redis), call)
	c.now = c.now.Add(time.Second)
	late := record(flow.RecordStart, redis, web)
	consume(t, e, late)
	families, err := newGatherer(e).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var before []*dto.MetricFamily
	for _, f := range families {
		before = append(before, proto.Clone(f).(*dto.MetricFamily))
		if f.GetName() != "weir_flows_total" {
			continue
		}
		for i, at := range []time.Time{first, c.now} { // to redis, to web
			if got := f.Metric[i].Counter.CreatedTimestamp.AsTime(); !got.Equal(at) {
				t.Errorf("series %d began at %v, want %v", i, got, at)
			}
		}
	}
	copied := newGatherer(e).copy()
	consume(t, e, record(flow.RecordStart, web, redis), call, late)
	same(t, families, before)
	for _, r := range copied.readings[mHTTPClient] { // while these are made metrics, others count on
		for _, n := range r.latencies.Buckets {
			if n != 3 {
				t.Errorf("%d latencies in a bucket that was copied with 3", n)
			}
		}
	}
}
