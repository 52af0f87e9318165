package otel

import (
	"fmt"
	"math"
	"testing"
	"time"

	metriccollectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// point is a point with what it is of.
type point struct {
	service string
	metric  *metricpb.Metric
	attrs   map[string]any
	number  int64
	count   uint64
	sum     float64
	start   uint64
	exp     *metricpb.ExponentialHistogramDataPoint
	classic *metricpb.HistogramDataPoint
}

// points are those of an export, by metric.
func points(t *testing.T, messages []metricMessage) map[string][]point {
	t.Helper()
	out := map[string][]point{}
	for _, m := range messages {
		var exported metriccollectorpb.ExportMetricsServiceRequest
		read(t, m.message, &exported)
		n := 0
		for _, r := range exported.ResourceMetrics {
			service, _ := plainly(r.Resource.Attributes)[keyServiceName].(string)
			for _, x := range r.ScopeMetrics[0].Metrics {
				for _, p := range pointsOf(x) {
					p.service, p.metric = service, x
					out[x.Name] = append(out[x.Name], p)
					n++
				}
			}
		}
		if uint64(n) != m.n {
			t.Errorf("a message of %d points says that it has %d", n, m.n)
		}
	}
	return out
}

func pointsOf(m *metricpb.Metric) (out []point) {
	for _, p := range append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...) {
		out = append(out, point{attrs: plainly(p.Attributes), number: p.GetAsInt(), start: p.StartTimeUnixNano})
	}
	for _, p := range m.GetExponentialHistogram().GetDataPoints() {
		out = append(out, point{attrs: plainly(p.Attributes), count: p.Count, sum: *p.Sum, exp: p, start: p.StartTimeUnixNano})
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		out = append(out, point{attrs: plainly(p.Attributes), count: p.Count, sum: *p.Sum, classic: p, start: p.StartTimeUnixNano})
	}
	return out
}

func one(t *testing.T, all map[string][]point, metric string) point {
	t.Helper()
	if len(all[metric]) != 1 {
		t.Fatalf("%s: %d points, want 1", metric, len(all[metric]))
	}
	return all[metric][0]
}

// A request between two workloads counts for both, each as its resource; one of
// another machine for one.
func TestRequestMetrics(t *testing.T) {
	e := exporter(t, Config{})
	consume(t, e, tally(request(front, back, 0, 3*time.Millisecond), 10), tally(request(front, back, 0, 3*time.Millisecond), 5))
	all := points(t, e.measured(time.Unix(1, 0)))
	server, client := one(t, all, "http.server.request.duration"), one(t, all, "http.client.request.duration")
	if server.service != "back" || client.service != "front" || server.count != 15 || client.count != 15 || math.Abs(server.sum-0.045) > 1e-9 {
		t.Errorf("server %+v\nclient %+v", server, client)
	}
	for k, v := range map[string]any{keyHTTPMethod: "GET", keyHTTPStatus: int64(200), keyHTTPRoute: "/users/{id}", keyURLScheme: "http", keyPeerName: "front", keyErrorType: nil} {
		if server.attrs[k] != v {
			t.Errorf("server: %s = %v, want %v", k, server.attrs[k], v)
		}
	}
	for k, v := range map[string]any{keyServerAddress: "back", keyServerPort: int64(8080), keyURLTemplate: "/users/{id}", keyHTTPRoute: nil} {
		if client.attrs[k] != v {
			t.Errorf("client: %s = %v, want %v", k, client.attrs[k], v)
		}
	}
	if server.metric.Unit != "s" || server.metric.GetExponentialHistogram().AggregationTemporality != Cumulative {
		t.Errorf("metric %v", server.metric)
	}
	bytes := map[any]int64{}
	for _, p := range all["weir.l7.bytes"] {
		bytes[p.attrs[keyNetDirection]] = p.number
	}
	if bytes[transmit] != 15*120 || bytes[receive] != 15*4000 {
		t.Errorf("bytes %v", bytes)
	}

	e = exporter(t, Config{})
	consume(t, e, tally(served(request(front, back, 0, 0)), 1), tally(asked(request(front, back, 0, 0)), 1), tally(lookup(), 3), tally(handshake(), 4))
	all = points(t, e.measured(time.Unix(1, 0)))
	if p := one(t, all, "http.server.request.duration"); p.attrs[keyPeerName] != "world" {
		t.Errorf("from another machine: %v", p.attrs)
	}
	if p := one(t, all, "http.client.request.duration"); p.attrs[keyServerAddress] != "users.shop" {
		t.Errorf("to another machine: %v", p.attrs)
	}
	if p := one(t, all, "dns.lookup.duration"); p.count != 3 || p.attrs[keyErrorType] != "SERVFAIL" || p.attrs[keyDNSQuestion] != "db.shop" {
		t.Errorf("lookups %+v", p)
	}
	if p := one(t, all, "weir.tls.handshake.duration"); p.count != 4 || p.attrs[keyTLSOutcome] != "ok" || p.attrs[keyServerAddress] != "api.example.com" {
		t.Errorf("handshakes %+v", p)
	}
}

// Errors: 4xx are the client's own.
func TestErrorType(t *testing.T) {
	for _, tc := range []struct {
		status         uint16
		server, client any
	}{{200, nil, nil}, {404, nil, "404"}, {503, "503", "503"}, {flow.NoAnswer, "no_answer", "no_answer"}} {
		e := exporter(t, Config{})
		r := request(front, back, 0, 0)
		r.L7.Exchange.Status = tc.status
		consume(t, e, tally(r, 1))
		all := points(t, e.measured(time.Unix(1, 0)))
		if s, c := one(t, all, "http.server.request.duration"), one(t, all, "http.client.request.duration"); s.attrs[keyErrorType] != tc.server || c.attrs[keyErrorType] != tc.client {
			t.Errorf("%d: server %v, client %v", tc.status, s.attrs[keyErrorType], c.attrs[keyErrorType])
		}
	}
}

// Each latency lies in the bucket that OpenTelemetry's formula gives it.
func TestExponentialBuckets(t *testing.T) {
	for _, d := range []time.Duration{0, 1, time.Microsecond, 999 * time.Microsecond, time.Millisecond, time.Second, 1001 * time.Millisecond, time.Minute, 24 * time.Hour} {
		e := exporter(t, Config{})
		consume(t, e, tally(request(front, back, 0, d), 7))
		p := one(t, points(t, e.measured(time.Unix(1, 0))), "http.server.request.duration").exp
		if p.ZeroCount == 7 {
			if d.Seconds() > p.ZeroThreshold {
				t.Errorf("%v is counted as zero, which goes up to %v s", d, p.ZeroThreshold)
			}
			continue
		}
		base := math.Exp2(math.Exp2(-float64(p.Scale)))
		low, high := math.Pow(base, float64(p.Positive.Offset)), math.Pow(base, float64(p.Positive.Offset+1))
		last := flow.BucketOf(int64(d)) == flow.BucketOf(math.MaxInt64)
		if len(p.Positive.BucketCounts) != 1 || p.Positive.BucketCounts[0] != 7 || !last && (d.Seconds() <= low*(1-1e-9) || d.Seconds() > high*(1+1e-9)) {
			t.Errorf("%v: bucket (%v, %v] with %v", d, low, high, p.Positive.BucketCounts)
		}
	}
	e := exporter(t, Config{})
	consume(t, e, tally(request(front, back, 0, time.Millisecond), 1), tally(request(front, back, 0, time.Second), 2))
	p := one(t, points(t, e.measured(time.Unix(1, 0))), "http.server.request.duration").exp
	if n := len(p.Positive.BucketCounts); n != 81 && n != 80 || p.Positive.BucketCounts[0] != 1 || p.Positive.BucketCounts[n-1] != 2 {
		t.Errorf("a millisecond and a second span %d buckets: %v", n, p.Positive.BucketCounts)
	}
}

func TestExplicitBuckets(t *testing.T) {
	e := exporter(t, Config{ExplicitBuckets: true})
	for _, d := range []time.Duration{time.Millisecond, 30 * time.Millisecond, time.Minute} {
		consume(t, e, tally(request(front, back, 0, d), 1))
	}
	p := one(t, points(t, e.measured(time.Unix(1, 0))), "http.server.request.duration").classic
	if got := fmt.Sprint(p.BucketCounts); got != "[1 0 0 1 0 0 0 0 0 0 0 0 0 0 1]" {
		t.Errorf("counts %s", got)
	}
}

func TestTemporality(t *testing.T) {
	for _, tc := range []struct {
		as         Temporality
		second     uint64
		idle       int
		startMoved bool
	}{{Cumulative, 15, 1, false}, {Delta, 5, 0, true}} {
		lost := uint64(7)
		e := exporter(t, Config{Temporality: tc.as, Health: func() collector.Health {
			return collector.Health{Since: 3e9, Lost: map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: lost}, Flows: 9}
		}})
		consume(t, e, tally(request(front, back, 0, time.Millisecond), 10), connection(flow.RecordStart, front, back))
		first := points(t, e.measured(time.Unix(100, 0)))
		consume(t, e, tally(request(front, back, 0, time.Millisecond), 5))
		lost = 10
		second := points(t, e.measured(time.Unix(200, 0)))
		a, b := one(t, first, "http.server.request.duration"), one(t, second, "http.server.request.duration")
		if a.count != 10 || b.count != tc.second || (a.start != b.start) != tc.startMoved {
			t.Errorf("%v: %d, then %d; from %d, then %d", tc.as, a.count, b.count, a.start, b.start)
		}
		if n := len(second["weir.flows"]); n != tc.idle {
			t.Errorf("%v: %d points of a count that did not grow, want %d", tc.as, n, tc.idle)
		}
		l, more := one(t, first, "weir.lost"), one(t, second, "weir.lost")
		if want := map[Temporality]int64{Cumulative: 10, Delta: 3}[tc.as]; l.number != 7 || more.number != want || l.start != 3e9 {
			t.Errorf("%v: lost %d from %d, then %d", tc.as, l.number, l.start, more.number)
		}
		if g := one(t, second, "weir.live_flows"); g.number != 9 || g.metric.GetGauge() == nil {
			t.Errorf("%v: live %+v", tc.as, g)
		}
	}
}

func TestFlowMetrics(t *testing.T) {
	e := exporter(t, Config{})
	end := connection(flow.RecordEnd, front, nil)
	end.Flow.End = flow.EndResetRemote
	drop := connection(flow.RecordDrop, front, nil)
	drop.Drop, drop.Delta = &flow.Drop{Reason: "NETFILTER_DROP", Packets: 6}, flow.Delta{}
	consume(t, e, connection(flow.RecordStart, front, nil), connection(flow.RecordUpdate, front, nil), end, drop)
	all := points(t, e.measured(time.Unix(1, 0)))
	for metric, want := range map[string]int64{"weir.flows": 1, "weir.connection.failures": 1, "weir.drops": 6, "weir.tcp.retransmits": 3} {
		p := one(t, all, metric)
		if p.number != want || p.service != "weir" || p.attrs[keySource] != "front" || p.attrs[keyDest] != "world" {
			t.Errorf("%s: %+v, want %d", metric, p, want)
		}
	}
	if p := one(t, all, "weir.connection.failures"); p.attrs[keyCause] != "reset-by-server" {
		t.Errorf("failures %v", p.attrs)
	}
	for _, p := range all["weir.flow.bytes"] {
		if want := map[any]int64{transmit: 300, receive: 2700}[p.attrs[keyNetDirection]]; p.number != want || p.metric.Unit != "By" {
			t.Errorf("bytes %v: %d, want %d", p.attrs, p.number, want)
		}
	}
	if p := one(t, all, "weir.tcp.connect.duration"); p.count != 1 {
		t.Errorf("a connection's latency is counted %d times", p.count)
	}
	if p := one(t, all, "weir.tcp.rtt"); p.count != 3 {
		t.Errorf("%d round trips, want 3", p.count)
	}
}

// What a stranger asks for does not grow without bounds, and takes nobody's place.
func TestBudget(t *testing.T) {
	e := exporter(t, Config{})
	for i := range 3 * metricBudget {
		r := request(front, back, 0, 0)
		r.L7.Route = fmt.Sprintf("/scan/%d", i)
		consume(t, e, tally(r, 1))
	}
	other := request(front, middle, 0, 0)
	consume(t, e, tally(other, 1))
	all := points(t, e.measured(time.Unix(1, 0)))["http.server.request.duration"]
	var total uint64
	overflow, others := false, false
	for _, p := range all {
		total += p.count
		overflow = overflow || p.attrs[keyOverflow] == true && len(p.attrs) == 1
		others = others || p.service == "middle"
	}
	if len(all) > metricBudget || total != 3*metricBudget+1 || !overflow || !others {
		t.Errorf("%d series of %d requests, overflow %v, another workload's %v", len(all), total, overflow, others)
	}
}

// Series go when nothing was seen of them, and their place with them.
func TestExpiry(t *testing.T) {
	e := exporter(t, Config{})
	consume(t, e, tally(request(front, back, 0, 0), 1), connection(flow.RecordStart, front, back))
	e.measured(time.Now().Add(silence + time.Minute))
	if n := len(e.folder.all) + len(e.folder.held) + len(e.folder.workloads) + e.folder.used[mHTTPServer]; n != 0 {
		t.Errorf("%d things are left of the silent", n)
	}
	if all := points(t, e.measured(time.Now())); len(all["http.server.request.duration"]) != 0 {
		t.Error("a silent series is still sent")
	}
	// And what comes again has series that are sent.
	consume(t, e, tally(request(front, back, 0, 0), 2), connection(flow.RecordStart, front, back))
	all := points(t, e.measured(time.Now()))
	if p, n := one(t, all, "http.server.request.duration"), one(t, all, "weir.flows"); p.count != 2 || n.number != 1 {
		t.Errorf("%d requests and %d flows after a silence, want 2 and 1", p.count, n.number)
	}
}

// Who is remembered is bounded, and who is forgotten goes on counting.
func TestFoundBounded(t *testing.T) {
	e := exporter(t, Config{})
	for range 2 {
		for i := range maxFound + 10 {
			r := tally(request(front, back, 0, 0), 1)
			r.L7.Route = fmt.Sprintf("/%d", i)
			r.L7.Client.Workload = workload(uint64(i+100), "many")
			consume(t, e, r, connection(flow.RecordStart, r.L7.Client.Workload, back))
		}
	}
	if len(e.folder.pairs) > maxFound || len(e.folder.operations) > maxFound {
		t.Errorf("%d pairs and %d operations, want no more than %d", len(e.folder.pairs), len(e.folder.operations), maxFound)
	}
	if p := one(t, points(t, e.measured(time.Unix(1, 0))), "weir.flows"); p.number != 2*(maxFound+10) {
		t.Errorf("%d flows, want %d", p.number, 2*(maxFound+10))
	}
}

// No message is larger than what receivers take as a rule.
func TestMessagesAreBounded(t *testing.T) {
	e := exporter(t, Config{})
	for i := range 1500 {
		w := workload(uint64(i+100), fmt.Sprintf("w%d", i))
		consume(t, e, tally(request(w, back, 0, time.Duration(i)*time.Microsecond), 1))
	}
	messages := e.measured(time.Unix(1, 0))
	for _, m := range messages {
		if n := m.message.Len(); n > 4<<20 || m.n > maxPoints {
			t.Errorf("a message of %d points and %d bytes", m.n, n)
		}
	}
	if n := len(points(t, messages)["http.client.request.duration"]); n != 1500 {
		t.Errorf("%d series, want 1500", n)
	}
}

// The table's metrics: names once, no attribute twice, no more than fit a key.
func TestMetricTable(t *testing.T) {
	names := map[string]bool{}
	for _, m := range metrics {
		keys := map[string]bool{}
		for _, k := range m.keys {
			if keys[k] {
				t.Errorf("%s: %s stands twice", m.name, k)
			}
			keys[k] = true
		}
		if names[m.name] || m.name == "" || m.unit == "" || m.help == "" || len(m.keys) > maxKeys {
			t.Errorf("metric %+v", m)
		}
		names[m.name] = true
	}
}
