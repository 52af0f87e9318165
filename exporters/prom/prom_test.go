package prom

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// clock is a time that stands still until it is told to go on.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newExporter(t *testing.T, budget int) (*Exporter, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_700_000_000, 0)}
	return New(Config{Budget: budget, Now: c.Now, Build: Build{"1.0", "abc", "go1.26"}}), c
}

func workload(ns, name string) *flow.Workload {
	return &flow.Workload{Namespace: ns, Name: name, Runtime: flow.RuntimeDocker}
}

var (
	web   = workload("shop", "web")
	redis = workload("shop", "redis")
)

func record(kind flow.RecordKind, client, server *flow.Workload) flow.Record {
	return flow.Record{
		Kind: kind, Verdict: flow.VerdictForwarded,
		Flow: flow.Flow{
			ID: 1, Protocol: flow.TCP,
			Client: flow.Endpoint{Workload: client, Addr: netip.MustParseAddrPort("10.0.0.1:40000")},
			Server: flow.Endpoint{Workload: server, Addr: netip.MustParseAddrPort("10.0.0.2:6379")},
		},
	}
}

func consume(t *testing.T, e *Exporter, rs ...flow.Record) {
	t.Helper()
	if err := e.Consume(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
}

// values are the metric's series as "label=value,…" → value; of a histogram,
// the number of observations.
func values(t *testing.T, e *Exporter, name string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, f := range gathered(t, e) {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			out[labelText(m)] = value(m)
		}
	}
	return out
}

func labelText(m *dto.Metric) string {
	var parts []string
	for _, l := range m.Label {
		parts = append(parts, l.GetName()+"="+l.GetValue())
	}
	return strings.Join(parts, ",")
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount())
	}
	return -1
}

func expect(t *testing.T, e *Exporter, name string, want map[string]float64) {
	t.Helper()
	got := values(t, e, name)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n got %v\nwant %v", name, got, want)
	}
}

const shop = "destination_namespace=shop,destination_workload=redis,"
const fromWeb = "source_namespace=shop,source_workload=web"

func TestFold(t *testing.T) {
	e, _ := newExporter(t, 0)
	start := record(flow.RecordStart, web, redis)
	start.Flow.ConnectLatency = 2_000_000
	up := record(flow.RecordUpdate, web, redis)
	up.Flow.RTT, up.Flow.ConnectLatency = 300_000, 2_000_000
	up.Delta = flow.Delta{
		Sent:        flow.Counters{Packets: 3, Payload: 100, Wire: 220},
		Received:    flow.Counters{Packets: 2, Payload: 900, Wire: 1000},
		Retransmits: 1,
	}
	drop := record(flow.RecordDrop, web, redis)
	drop.Drop = &flow.Drop{Reason: "NETFILTER_DROP", Packets: 4}
	end := record(flow.RecordEnd, web, redis)
	end.Flow.End, end.Flow.RTT = flow.EndResetRemote, 300_000 // nothing received since: no new reading
	closed := record(flow.RecordEnd, web, redis)
	closed.Flow.End = flow.EndClosed
	consume(t, e, start, up, up, drop, end, closed)

	sent := "destination_namespace=shop,destination_workload=redis,direction=sent,protocol=tcp," + fromWeb
	received := strings.Replace(sent, "sent", "received", 1)
	expect(t, e, "weir_flows_total", map[string]float64{shop + "protocol=tcp," + fromWeb + ",verdict=forwarded": 1})
	expect(t, e, "weir_flow_bytes_total", map[string]float64{sent: 200, received: 1800})
	expect(t, e, "weir_flow_wire_bytes_total", map[string]float64{sent: 440, received: 2000})
	expect(t, e, "weir_flow_packets_total", map[string]float64{sent: 6, received: 4})
	expect(t, e, "weir_tcp_retransmits_total", map[string]float64{shop + fromWeb: 2})
	expect(t, e, "weir_tcp_rtt_seconds", map[string]float64{shop + fromWeb: 2})
	expect(t, e, "weir_tcp_connect_duration_seconds", map[string]float64{shop + fromWeb: 1})
	expect(t, e, "weir_drops_total", map[string]float64{shop + "protocol=tcp,reason=NETFILTER_DROP," + fromWeb: 4})
	expect(t, e, "weir_connection_failures_total", map[string]float64{"cause=reset-by-server," + shop + "protocol=tcp," + fromWeb: 1})
}

// The server's socket may report a connection before the client's does.
func TestConnectLatencyLate(t *testing.T) {
	e, _ := newExporter(t, 0)
	late := record(flow.RecordUpdate, web, redis)
	late.Flow.ConnectLatency = 1_000_000
	consume(t, e, record(flow.RecordStart, web, redis), late, late)
	old := record(flow.RecordStart, web, redis)
	old.Flow.ID, old.Flow.Preexisting = 2, true
	unseen := record(flow.RecordStart, web, redis)
	unseen.Flow.ID = 3
	end := record(flow.RecordEnd, web, redis)
	end.Flow.ID = 3
	consume(t, e, old, unseen, end)
	expect(t, e, "weir_tcp_connect_duration_seconds", map[string]float64{shop + fromWeb: 1})
	if len(e.awaiting) != 0 {
		t.Errorf("flows still awaited: %v", e.awaiting)
	}
}

func TestEnds(t *testing.T) {
	e, _ := newExporter(t, 0)
	r := record(flow.RecordStart, nil, workload("", "sshd.service"))
	r.Flow.Protocol = flow.Protocol(200)
	r.Verdict = flow.Verdict(77)
	consume(t, e, r)
	expect(t, e, "weir_flows_total", map[string]float64{
		"destination_namespace=,destination_workload=sshd.service,protocol=other,source_namespace=,source_workload=world,verdict=unknown": 1,
	})
}

func TestBudget(t *testing.T) {
	e, _ := newExporter(t, 10)
	var rs []flow.Record
	for i := range 50 {
		r := record(flow.RecordStart, workload("", fmt.Sprintf("w%d", i)), redis)
		r.Flow.ConnectLatency = 1
		r.Delta.Sent.Payload, r.Delta.Received.Payload = 10, 1
		rs = append(rs, r)
	}
	consume(t, e, rs...)
	for name, want := range map[string]float64{"weir_flows_total": 50, "weir_flow_bytes_total": 550, "weir_tcp_connect_duration_seconds": 50} {
		got := values(t, e, name)
		var sum float64
		for _, v := range got {
			sum += v
		}
		if sum != want {
			t.Errorf("%s sums to %v, want %v: a budget must lose nothing", name, sum, want)
		}
		if len(got) > 10+2 {
			t.Errorf("%s has %d series, budget 10 and the overflow's", name, len(got))
		}
	}
	flows := values(t, e, "weir_flows_total")
	over := flows["destination_namespace=other,destination_workload=other,protocol=tcp,source_namespace=other,source_workload=other,verdict=forwarded"]
	if over != 40 {
		t.Errorf("overflow series holds %v flows, want 40", over)
	}
	if n := values(t, e, "weir_metrics_overflow_total")["metric=weir_flows_total"]; n != 40 {
		t.Errorf("weir_metrics_overflow_total is %v, want 40", n)
	}
	// Five pairs have their two directions; the other five found no room for one.
	if n := values(t, e, "weir_metrics_overflow_total")["metric=weir_flow_bytes_total"]; n != 90 {
		t.Errorf("overflow of bytes is %v, want 90", n)
	}
}

// A stranger's recording may hold any reason; the overflow has only one.
func TestOverflowReasons(t *testing.T) {
	e, _ := newExporter(t, 5)
	for i := range 1000 {
		r := record(flow.RecordDrop, web, redis)
		r.Drop = &flow.Drop{Reason: fmt.Sprint("R", i), Packets: 1}
		consume(t, e, r)
	}
	if n := len(values(t, e, "weir_drops_total")); n != 6 {
		t.Errorf("%d series, want 5 and the overflow", n)
	}
}

func TestExpiry(t *testing.T) {
	e, c := newExporter(t, 3)
	r := record(flow.RecordStart, web, redis)
	r.Flow.ConnectLatency = 1
	other := record(flow.RecordStart, workload("", "a"), redis)
	consume(t, e, r, other)
	c.now = c.now.Add(4 * time.Minute)
	consume(t, e, other)
	c.now = c.now.Add(2 * time.Minute)
	expect(t, e, "weir_tcp_connect_duration_seconds", map[string]float64{})
	if got := values(t, e, "weir_flows_total"); len(got) != 1 {
		t.Errorf("series after the TTL: %v, want only a's", got)
	}
	// What went gives its budget back.
	consume(t, e, r, record(flow.RecordStart, workload("", "b"), redis))
	if n := values(t, e, "weir_metrics_overflow_total")["metric=weir_flows_total"]; n != 0 {
		t.Errorf("%v observations overflowed, want 0", n)
	}
}

func TestLint(t *testing.T) {
	e, _ := newExporter(t, 0)
	e.cfg.Health = testHealth
	fill(t, e)
	fillL7(t, e)
	fillPolicy(t, e)
	families := gathered(t, e)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	// Every line of the table must really come out.
	seen := map[string]bool{}
	for _, f := range families {
		seen[f.GetName()] = true
	}
	for _, m := range metrics {
		if !seen[m.name] {
			t.Errorf("%s is in the table and was never exported", m.name)
		}
	}
}

// fill gives every metric of flows a series.
func fill(t *testing.T, e *Exporter) {
	t.Helper()
	r := record(flow.RecordStart, web, redis)
	r.Flow.RTT, r.Flow.ConnectLatency = 1000, 1000
	n := flow.Counters{Packets: 1, Payload: 1, Wire: 1}
	r.Delta = flow.Delta{Sent: n, Received: n, Retransmits: 1}
	end := record(flow.RecordEnd, web, redis)
	end.Flow.End = flow.EndRefused
	drop := record(flow.RecordDrop, web, redis)
	drop.Drop = &flow.Drop{Reason: "NO_SOCKET", Packets: 1}
	consume(t, e, r, end, drop)
}

func testHealth() collector.Health {
	return collector.Health{
		Source: flow.SourceStats{
			PerCPU: []flow.CPUCounts{{Produced: 10, Delivered: 8, Lost: 2}, {Produced: 5, Delivered: 5}},
			Ring:   1 << 20, Unread: 64, Tables: []flow.TableFill{{Name: "flows", Entries: 5, Max: 10}},
			Unseen: []flow.Unseen{{Protocol: flow.HTTP, Reason: "gap", Stretches: 1, Bytes: 10}},
		},
		Lost:   map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: 2, {Stage: "a\x00", Reason: "r"}: 3, {Stage: "a\x01", Reason: "r"}: 4},
		Events: 13, Records: 9, Flows: 4, Evicted: 1, Since: 1_700_000_000_000_000_000,
	}
}

func TestHealth(t *testing.T) {
	e, _ := newExporter(t, 0)
	e.cfg.Health = testHealth
	expect(t, e, "weir_lost_total", map[string]float64{"reason=ring_full,stage=kernel": 2, "reason=r,stage=a?": 7})
	expect(t, e, "weir_kernel_events_produced_total", map[string]float64{"cpu=0": 10, "cpu=1": 5})
	expect(t, e, "weir_kernel_events_delivered_total", map[string]float64{"cpu=0": 8, "cpu=1": 5})
	expect(t, e, "weir_kernel_events_lost_total", map[string]float64{"cpu=0": 2, "cpu=1": 0})
	expect(t, e, "weir_kernel_table_entries", map[string]float64{"table=flows": 5})
	expect(t, e, "weir_events_total", map[string]float64{"": 13})
	expect(t, e, "weir_capture_start_time_seconds", map[string]float64{"": 1_700_000_000})
	expect(t, e, "weir_capturing", map[string]float64{"": 1})
	expect(t, e, "weir_build_info", map[string]float64{"goversion=go1.26,revision=abc,version=1.0": 1})
}

func TestNotCapturing(t *testing.T) {
	e, _ := newExporter(t, 0)
	e.cfg.Health = func() collector.Health { return collector.Health{Blind: true} }
	expect(t, e, "weir_capturing", map[string]float64{"": 0})
}

func TestHandler(t *testing.T) {
	e, _ := newExporter(t, 0)
	fill(t, e)
	hostile := record(flow.RecordStart, workload("n\xff\"\n\u202e", strings.Repeat("é", 500)), redis)
	consume(t, e, hostile)
	var notReady error = fmt.Errorf("programs are not attached")
	h, err := e.Handler(func() error { return notReady })
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	get := func(path, accept string) (int, string) {
		req, _ := http.NewRequest("GET", srv.URL+path, nil)
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	status, body := get("/metrics", "application/openmetrics-text; version=1.0.0")
	if status != 200 || !strings.HasSuffix(body, "# EOF\n") || !strings.Contains(body, "weir_tcp_rtt_seconds_bucket") {
		t.Errorf("OpenMetrics: status %d, %d bytes", status, len(body))
	}
	status, body = get("/metrics", "")
	if status != 200 || !strings.Contains(body, `source_namespace="n?\"??"`) || !utf8.ValidString(body) {
		t.Errorf("text: status %d, hostile labels not as expected", status)
	}
	if !strings.Contains(body, "process_cpu_seconds_total") || !strings.Contains(body, "go_goroutines") {
		t.Error("text: the process's own metrics are missing")
	}
	if status, _ := get("/healthz", ""); status != 200 {
		t.Errorf("healthz: %d", status)
	}
	if status, body := get("/readyz", ""); status != 503 || !strings.Contains(body, "programs are not attached") {
		t.Errorf("readyz before: %d %q", status, body)
	}
	notReady = nil
	if status, _ := get("/readyz", ""); status != 200 {
		t.Errorf("readyz after: %d", status)
	}
}

func BenchmarkConsume(b *testing.B) {
	e := New(Config{})
	batch := make([]flow.Record, 256)
	for i := range batch {
		batch[i] = record(flow.RecordUpdate, web, redis)
		n := flow.Counters{Packets: 1, Payload: 1, Wire: 1}
		batch[i].Delta = flow.Delta{Sent: n, Received: n}
		batch[i].Flow.RTT = 1000
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Consume(context.Background(), batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch)), "ns/record")
}
