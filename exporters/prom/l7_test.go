package prom

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// tally is a record of count exchanges from web to redis that took d each.
func tally(p flow.L7Protocol, method, route string, status uint16, count uint64, d time.Duration) flow.Record {
	return flow.Record{Kind: flow.RecordL7, L7: &flow.L7{
		Protocol: p, Seen: flow.RoleClient, Method: method, Route: route,
		Client: flow.Endpoint{Workload: web}, Server: flow.Endpoint{Workload: redis},
		Tally: &flow.Tally{
			Status: status, Bucket: flow.BucketOf(int64(d)), Count: count, Latency: count * uint64(d),
			RequestBytes: 100 * count, ResponseBytes: 1000 * count,
		},
	}}
}

func served(r flow.Record) flow.Record {
	l := *r.L7
	l.Seen = flow.RoleServer
	r.L7 = &l
	return r
}

func both(r flow.Record) flow.Record {
	l := *r.L7
	l.Both = true
	r.L7 = &l
	return r
}

func exchange(why flow.Why) flow.Record {
	r := tally(flow.HTTP, "GET", "/", 200, 1, time.Millisecond)
	r.L7.Tally, r.L7.Exchange = nil, &flow.Exchange{Why: why, Status: 200, Latency: 1e6, RequestBytes: 100, ResponseBytes: 1000}
	return r
}

// sum is the number of observations, or the value, of all of a metric's series.
func sum(t *testing.T, e *Exporter, name string) (total float64) {
	t.Helper()
	for _, v := range values(t, e, name) {
		total += v
	}
	return total
}

// The whole text that Prometheus gets, held against a file that was checked by
// hand: go test ./exporters/prom -update writes it anew.
func TestScrapeL7(t *testing.T) {
	e, _ := newExporter(t, 0)
	fillL7(t, e)
	e.cfg.Health = func() collector.Health {
		return collector.Health{Source: flow.SourceStats{Unseen: []flow.Unseen{
			{Protocol: flow.HTTP, Reason: "gap", Stretches: 2, Bytes: 3000},
			{Protocol: flow.HTTP, Reason: "bad\x00", Stretches: 1, Bytes: 1},
			{Protocol: flow.HTTP, Reason: "bad\x01", Stretches: 1, Bytes: 2},
			{Protocol: flow.TLS, Reason: "mid_stream", Stretches: 1, Bytes: 70},
			{Protocol: 200, Reason: "busy", Stretches: 1, Bytes: 5},
		}}}
	}
	h, err := e.Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	got := ofExchanges(w.Body.String())
	const golden = "testdata/l7.prom"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the scrape differs from %s:\n%s", golden, got)
	}
}

// ofExchanges are a scrape's lines of the metrics of exchanges. Of one metric
// they hold the buckets: TestHistogramForms is about these.
func ofExchanges(scrape string) string {
	var b strings.Builder
	for line := range strings.Lines(scrape) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		for _, m := range append(slices.Clone(metrics[mHTTPServer:recordMetrics]), metrics[mUnseenBytes], metrics[mUnseenStretches]) {
			bucket := strings.HasPrefix(name, m.name+"_bucket{")
			if strings.HasPrefix(name, m.name) && (!bucket || m.name == metrics[mHTTPServer].name) {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// fillL7 gives every metric of exchanges series of each kind of outcome.
func fillL7(t *testing.T, e *Exporter) {
	t.Helper()
	consume(t, e,
		both(tally(flow.HTTP, "GET", "/users/{id}", 200, 7, 3*time.Millisecond)),
		tally(flow.HTTP, "GET", "/users/{id}", 404, 2, 40*time.Millisecond),
		served(tally(flow.HTTP, "GET", "/users/{id}", 404, 1, 40*time.Millisecond)),
		tally(flow.HTTP, "BREW", "/pot", 503, 1, 20*time.Second),
		tally(flow.HTTP, "CONNECT", "db.example:443", 200, 1, time.Millisecond),
		served(tally(flow.HTTP, "POST", "/posts", flow.NoAnswer, 3, 6*time.Second)),
		tally(flow.HTTP, "", "", 999, 1, 0),
		tally(flow.DNS, "A", "example.com", 0, 5, 800*time.Microsecond),
		tally(flow.DNS, "AAAA", "example.com", 3, 4, 800*time.Microsecond),
		tally(flow.DNS, "TYPE9999", "example.com", 2, 1, 800*time.Microsecond),
		tally(flow.DNS, "PTR", "1.2.0.192.in-addr.arpa", 99, 1, 800*time.Microsecond),
		tally(flow.DNS, "PTR", "9.2.0.192.in-addr.arpa", 99, 1, 800*time.Microsecond),
		tally(flow.DNS, "A", "gone.example", flow.NoAnswer, 1, 5*time.Second),
		tally(flow.TLS, "", "example.com", 0, 3, 30*time.Millisecond),
		tally(flow.TLS, "", "example.com", 48, 1, 30*time.Millisecond),
		tally(flow.TLS, "", "example.com", 300, 1, 30*time.Millisecond),
		tally(flow.TLS, "", "", flow.NoAnswer, 1, time.Second),
		exchange(flow.WhyNew), exchange(flow.WhySlow), exchange(flow.WhySlow), exchange(99),
	)
}

// An exchange belongs to the workload that asked and to the one that was asked,
// where weir knows both; else to the one whose socket was read.
func TestBothEnds(t *testing.T) {
	base := tally(flow.HTTP, "GET", "/", 200, 10, time.Millisecond)
	for name, c := range map[string]struct {
		record         flow.Record
		server, client float64
	}{
		"asked":          {base, 0, 10},
		"served":         {served(base), 10, 0},
		"both":           {both(base), 10, 10},
		"both by server": {both(served(base)), 10, 10},
	} {
		e, _ := newExporter(t, 0)
		consume(t, e, c.record, exchange(flow.WhyNew))
		if n := sum(t, e, "http_server_request_duration_seconds"); n != c.server {
			t.Errorf("%s: the server's metric has %v, want %v", name, n, c.server)
		}
		if n := sum(t, e, "http_client_request_duration_seconds"); n != c.client {
			t.Errorf("%s: the client's metric has %v, want %v", name, n, c.client)
		}
		if n := sum(t, e, "weir_l7_bytes_total"); n != 11_000 {
			t.Errorf("%s: %v bytes, want 11,000", name, n)
		}
		if n := sum(t, e, "weir_exchanges_shown_total"); n != 1 {
			t.Errorf("%s: %v shown, want 1", name, n)
		}
	}
	for _, p := range []flow.L7Protocol{flow.DNS, flow.TLS} {
		e, _ := newExporter(t, 0)
		consume(t, e, both(tally(p, "A", "example.com", 0, 10, time.Millisecond)))
		if n := sum(t, e, "dns_lookup_duration_seconds") + sum(t, e, "weir_tls_handshake_duration_seconds"); n != 10 {
			t.Errorf("%s: %v counted, want 10", p, n)
		}
	}
}

// A record of exchanges has a zero Flow, which must never be taken for a flow.
func TestL7IsNoFlow(t *testing.T) {
	e, _ := newExporter(t, 0)
	fillL7(t, e)
	consume(t, e, flow.Record{Kind: flow.RecordL7}, flow.Record{Kind: flow.RecordL7, L7: &flow.L7{}})
	if n := len(e.store.flows.all); n != 0 {
		t.Errorf("%d pairs of flows were made", n)
	}
	for m := mFlows; m < mHTTPServer; m++ {
		if got := values(t, e, metrics[m].name); len(got) != 0 {
			t.Errorf("%s: %v", metrics[m].name, got)
		}
	}
}

func TestHostileLabels(t *testing.T) {
	e, _ := newExporter(t, 0)
	for _, p := range []flow.L7Protocol{flow.HTTP, flow.DNS, flow.TLS} {
		// Names that are the same once they are clean make one series, not two equal ones.
		consume(t, e,
			tally(p, "GET\n", "/a\x00\u202e", 0, 1, time.Millisecond),
			tally(p, "GET\r", "/a\x01\u202e", 0, 1, time.Millisecond),
			tally(p, "", strings.Repeat("/é", 5000), 0, 1, time.Millisecond))
	}
	for m := mHTTPClient; m <= mTLS; m++ {
		got := values(t, e, metrics[m].name)
		if len(got) != 2 || !slices.Contains(slices.Collect(maps.Values(got)), 2) {
			t.Errorf("%s: %v", metrics[m].name, got)
		}
		for labels := range got {
			if len(labels) > 600 || strings.ContainsAny(labels, "\x00\x01\u202e\n\r") {
				t.Errorf("%s: hostile label: %q", metrics[m].name, labels)
			}
		}
	}
}

// One that asks for a hundred thousand paths takes its share of the budget and
// no more memory than that; all it asked is counted.
func TestScanner(t *testing.T) {
	e, c := newExporter(t, 100)
	scan := func(i int) flow.Record {
		r := served(tally(flow.HTTP, "GET", fmt.Sprint("/", i), 404, 1, time.Duration(i)*time.Microsecond))
		r.L7.Client.Workload = nil
		return r
	}
	const paths = 100_000
	for i := range paths {
		consume(t, e, scan(i))
	}
	const name = "http_server_request_duration_seconds"
	series := values(t, e, name)
	if len(series) != 51 {
		t.Errorf("%d series, want half of the budget and one of the name other", len(series))
	}
	if n := sum(t, e, name); n != paths {
		t.Errorf("%v requests counted, want %d", n, paths)
	}
	elsewhere := "destination_namespace=shop,destination_workload=redis,error_type=,http_request_method=GET," +
		"http_response_status_code=404,http_route=other,source_namespace=,source_workload=world"
	if n := series[elsewhere]; n != paths-50 {
		t.Errorf("%v requests under the name other, want %d: %v", n, paths-50, series)
	}
	overflow := values(t, e, "weir_metrics_overflow_total")
	if n := overflow["metric="+name]; n != paths-50 {
		t.Errorf("overflow is %v, want %d", n, paths-50)
	}

	// Another pair still finds room.
	consume(t, e, tally(flow.HTTP, "GET", "/", 200, 1, time.Millisecond), both(tally(flow.HTTP, "GET", "/", 200, 1, time.Millisecond)))
	if n := values(t, e, "weir_metrics_overflow_total")["metric="+name]; n != overflow["metric="+name] {
		t.Error("a pair beside the scanner's found no room")
	}

	// What it asked for goes when it is silent, though the pair lives.
	for range 4 {
		c.now = c.now.Add(2 * time.Minute)
		consume(t, e, scan(1_000_000))
	}
	if n := len(values(t, e, name)); n > 3 {
		t.Errorf("%d series are left of a scanner that went", n)
	}
}

// Everything that has no room at all is in series of which there are few.
func TestOverflowL7(t *testing.T) {
	e, _ := newExporter(t, 10)
	const workloads = 300
	for i := range workloads {
		r := both(tally(flow.HTTP, "GET", fmt.Sprint("/", i), uint16(100+i), 2, time.Millisecond))
		r.L7.Client.Workload = workload("", fmt.Sprint("w", i))
		consume(t, e, r)
	}
	for _, m := range []id{mHTTPServer, mHTTPClient} {
		name := metrics[m].name
		if n := sum(t, e, name); n != 2*workloads {
			t.Errorf("%s: %v counted, want %d", name, n, 2*workloads)
		}
		if n := len(values(t, e, name)); n > 10+2 {
			t.Errorf("%s: %d series, budget 10 and the overflow's", name, n)
		}
		if n := values(t, e, "weir_metrics_overflow_total")["metric="+name]; n != 2*(workloads-10) {
			t.Errorf("%s: overflow is %v, want %v", name, n, 2*(workloads-10))
		}
	}
	if n := sum(t, e, "weir_l7_bytes_total"); n != 2*workloads*1100 {
		t.Errorf("%v bytes, want %d", n, 2*workloads*1100)
	}
}

// The bookkeeping of the budget must be the truth, whatever came and went.
func TestBudgetIsGivenBack(t *testing.T) {
	e, c := newExporter(t, 20)
	for round := range 40 {
		for i := range 30 {
			r := both(tally(flow.HTTP, "GET", fmt.Sprint("/", round*7+i), 200, 1, time.Millisecond))
			r.L7.Client.Workload = workload("", fmt.Sprint("w", (round+i)%5))
			consume(t, e, r)
		}
		c.now = c.now.Add(time.Duration(round) * 30 * time.Second)
		var used [recordMetrics]int
		for _, p := range e.store.exchanges.all {
			var held [recordMetrics]int
			for k := range p.operations {
				held[k.metric]++
			}
			if p.overflow {
				continue
			}
			if held != p.held {
				t.Fatalf("round %d: a pair thinks it holds %v, and holds %v", round, p.held, held)
			}
			for m, n := range held {
				used[m] += n
			}
			for k := range p.counters {
				used[k.metric]++
			}
		}
		if used != e.store.used {
			t.Fatalf("round %d: %v used, the store says %v", round, used, e.store.used)
		}
	}
	c.now = c.now.Add(time.Hour)
	consume(t, e)
	if e.store.used != [recordMetrics]int{} || e.store.exchanges.named != 0 {
		t.Errorf("after an hour's silence: used %v, named %d", e.store.used, e.store.exchanges.named)
	}
}

// mixed is what a busy host tells in one reading.
func mixed() []flow.Record {
	var batch []flow.Record
	for i := range 64 {
		d := time.Duration(i+1) * time.Millisecond
		batch = append(batch,
			both(tally(flow.HTTP, "GET", fmt.Sprintf("/users/{id}/posts/%d", i%16), 200, 9, d)),
			served(tally(flow.HTTP, "POST", "/posts", uint16(200+i), 1, d)),
			tally(flow.DNS, "AAAA", "www.example.com", 0, 2, d),
			tally(flow.TLS, "", "www.example.com", 0, 2, d))
	}
	return batch
}

func TestConsumeL7Allocates(t *testing.T) {
	e := New(Config{})
	batch := mixed()
	consume(t, e, batch...)
	if n := testing.AllocsPerRun(20, func() { _ = e.Consume(context.Background(), batch) }); n != 0 {
		t.Errorf("%v allocations in %d tallies that make no new series", n, len(batch))
	}
}

func BenchmarkConsumeL7(b *testing.B) {
	e := New(Config{})
	batch := mixed()
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Consume(context.Background(), batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch)), "ns/tally")
}

// Workloads that are told anew, with the same names, leave nothing behind.
func TestWorkloadsToldAnew(t *testing.T) {
	e, _ := newExporter(t, 10)
	for range 1000 {
		r := tally(flow.HTTP, "GET", "/", 200, 1, time.Millisecond)
		r.L7.Client.Workload = workload("shop", "web")
		consume(t, e, r)
	}
	if got := values(t, e, "http_client_request_duration_seconds"); len(got) != 1 {
		t.Errorf("%d series of one pair: %v", len(got), got)
	}
	if n := len(e.store.exchanges.byKey); n > 40 {
		t.Errorf("%d old workloads are kept, want at most four times the budget", n)
	}
}

// A scrape reads what it copied: tallies that come meanwhile are of the next one.
func TestScrapeWhileConsuming(t *testing.T) {
	e := New(Config{})
	const rounds = 50
	batch := mixed()
	var done sync.WaitGroup
	done.Go(func() {
		for range rounds {
			_ = e.Consume(context.Background(), batch)
		}
	})
	g := newGatherer(e)
	for range rounds {
		families, err := g.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.Metric {
				h := m.Histogram
				if h == nil || len(h.Bucket) == 0 {
					continue
				}
				if last := h.Bucket[len(h.Bucket)-1].GetCumulativeCount(); last != h.GetSampleCount() {
					t.Fatalf("%s: %d below ten seconds, %d in all: not of one moment", f.GetName(), last, h.GetSampleCount())
				}
			}
		}
	}
	done.Wait()
	if n := sum(t, e, "dns_lookup_duration_seconds"); n != rounds*64*2 {
		t.Errorf("%v lookups, want %d", n, rounds*64*2)
	}
}

// TestEveryProtocolIsCounted: a protocol that gets a row must get its histograms too.
func TestEveryProtocolIsCounted(t *testing.T) {
	for _, row := range l7.Protocols {
		if row.Number == flow.L7None {
			continue
		}
		e, _ := newExporter(t, 0)
		consume(t, e, both(tally(row.Number, "A", "name", 0, 3, time.Millisecond)))
		for _, name := range []string{row.ClientMetric, row.ServerMetric} {
			if n := sum(t, e, name); n != 3 {
				t.Errorf("%s: %v counted in %s, want 3", row.Name, n, name)
			}
		}
	}
}
