package merge

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// told keeps copies of what a Merger tells.
type told []flow.Record

func (l *told) tell(r *flow.Record) { *l = append(*l, *r) }

// stands is how many records those that were told stand for.
func (l told) stands() (n uint64) {
	for _, r := range l {
		n += 1 + r.More
	}
	return n
}

// flows are the beginnings or ends of n flows that are alike.
func flows(w *flow.Workload, kind flow.RecordKind, first, n int) (out []flow.Record) {
	for i := range n {
		r := recordtest.New(uint64(first+i), kind)
		r.Flow.Client.Workload = w
		r.Flow.Client.Addr = netip.AddrPortFrom(r.Flow.Client.Addr.Addr(), uint16(30000+i))
		out = append(out, r)
	}
	return out
}

// Up to the budget nothing changes, second by second.
func TestUnderBudget(t *testing.T) {
	web := recordtest.Web()
	m, now := New(10, nil), time.Unix(1000, 0)
	var got told
	for s := range 20 {
		for _, r := range flows(web, flow.RecordStart, 10*s, 10) {
			m.Add(&r, now, got.tell)
		}
		if len(got) != 10*(s+1) || m.Waiting() > 0 {
			t.Fatalf("second %d: %d told, %d wait", s, len(got), m.Waiting())
		}
		now = now.Add(time.Second)
	}
	for i, r := range got {
		if r.Flow.ID != uint64(i) || r.More != 0 {
			t.Fatalf("record %d is flow %d with %d more", i, r.Flow.ID, r.More)
		}
	}
}

// Without a budget all are told, however many there are.
func TestNoBudget(t *testing.T) {
	web := recordtest.Web()
	m := New(0, nil)
	var got told
	for _, r := range flows(web, flow.RecordEnd, 0, 5000) {
		m.Add(&r, time.Unix(1000, 0), got.tell)
	}
	if len(got) != 5000 || m.Waiting() != 0 {
		t.Errorf("%d told, %d wait", len(got), m.Waiting())
	}
}

// Beyond the budget the first of a kind is told at once, and one of the others after
// the window, with the numbers of all of them.
func TestMerged(t *testing.T) {
	web := recordtest.Web()
	var log strings.Builder
	m, now := New(10, slog.New(slog.NewTextHandler(&log, nil))), time.Unix(1000, 0)
	var got told
	ends := flows(web, flow.RecordEnd, 0, 100)
	for i := range ends {
		ends[i].Flow.Retransmits = 1
		m.Add(&ends[i], now, got.tell)
	}
	if len(got) != 11 || m.Waiting() != 89 {
		t.Fatalf("%d told at once, %d wait", len(got), m.Waiting())
	}
	m.Tick(now.Add(window-1), got.tell)
	if len(got) != 11 {
		t.Fatal("told too early")
	}
	m.Tick(now.Add(window), got.tell)
	if len(got) != 12 || m.Waiting() != 0 {
		t.Fatalf("%d told after the window, %d wait", len(got), m.Waiting())
	}
	last, one := got[11], ends[0].Flow
	want := ends[11]
	want.More = 88
	want.Flow.Retransmits = 89
	for range 88 {
		want.Flow.Sent.Add(one.Sent)
		want.Flow.Received.Add(one.Received)
	}
	if fmt.Sprint(last) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", last, want)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "each_second=10") {
		t.Errorf("the log says %q", log.String())
	}
	m.Tick(now.Add(2*window), got.tell)
	if len(got) != 12 {
		t.Error("told twice")
	}
}

// Of many flows those that are told one by one are told from beginning to end.
func TestWholeFlows(t *testing.T) {
	web := recordtest.Web()
	m, now := New(100, nil), time.Unix(1000, 0)
	var got told
	const each = 1000
	for s := range 30 {
		for i, r := range flows(web, flow.RecordStart, each*s, each) {
			m.Add(&r, now, got.tell)
			if s > 0 {
				end := flows(web, flow.RecordEnd, each*s-1-i, 1)[0] // in another order than they began
				m.Add(&end, now, got.tell)
			}
		}
		now = now.Add(time.Second)
	}
	m.Flush(got.tell)
	starts, ends, whole := map[uint64]bool{}, 0, 0
	for _, r := range got {
		switch {
		case r.More > 0:
		case r.Kind == flow.RecordStart:
			starts[r.Flow.ID] = true
		default:
			ends++
			if starts[r.Flow.ID] {
				whole++
			}
		}
	}
	if len(starts) < 1000 || len(starts) > 3200 || ends < 1000 || ends > 3200 || whole < ends*3/4 {
		t.Errorf("%d starts, %d ends, %d of them of flows whose start was told", len(starts), ends, whole)
	}
	if n := got.stands(); n != 30*each+29*each {
		t.Errorf("what was told stands for %d records", n)
	}
}

// What fails, is new or slow has more room, and does not take that of others. What is
// counted together elsewhere always passes.
func TestNotable(t *testing.T) {
	web := recordtest.Web()
	m, now := New(10, nil), time.Unix(1000, 0)
	refused := 0
	for i := range 100 {
		for _, change := range []func(*flow.Record){
			func(r *flow.Record) { r.Flow.End = flow.EndRefused },
			func(r *flow.Record) { r.Kind, r.Judged = flow.RecordVerdict, &flow.Judged{} },
			func(r *flow.Record) { r.Kind, r.Drop = flow.RecordDrop, &flow.Drop{} },
			func(r *flow.Record) { r.Kind = flow.RecordUpdate },
		} {
			r := recordtest.New(uint64(i), flow.RecordEnd)
			r.Flow.Client.Workload = web
			change(&r)
			passed := false
			m.Add(&r, now, func(*flow.Record) { passed = true })
			switch {
			case r.Kind != flow.RecordEnd:
				if !passed {
					t.Fatalf("%+v waits", r)
				}
			case passed:
				refused++
			}
		}
	}
	if refused != 10*spared+1 {
		t.Errorf("%d of those that were refused were told", refused)
	}
	var got told
	for _, r := range flows(web, flow.RecordStart, 0, 10) {
		m.Add(&r, now, got.tell)
	}
	if len(got) != 10 {
		t.Errorf("%d of ordinary ones were told beside them", len(got))
	}
}

// Exchanges are merged by what was asked and what came of it.
func TestExchanges(t *testing.T) {
	m, now := New(1, nil), time.Unix(1000, 0)
	var got told
	client, server := recordtest.Web(), recordtest.Host()
	ask := func(route string, status uint16) {
		r := flow.Record{Kind: flow.RecordL7, Time: 1, Verdict: flow.VerdictForwarded, L7: &flow.L7{
			Protocol: flow.HTTP, Client: flow.Endpoint{Workload: client}, Server: flow.Endpoint{Workload: server}, Method: "GET", Route: route,
			Exchange: &flow.Exchange{Transport: flow.TCP, Status: status, Why: flow.WhySample, HTTP: &flow.HTTPExchange{Method: "GET"}},
		}}
		m.Add(&r, now, got.tell)
	}
	for range 10 {
		ask("/users", 200)
		ask("/posts", 200)
		ask("/posts", 201)
	}
	m.Flush(got.tell)
	count := map[string]uint64{}
	for _, r := range got {
		count[fmt.Sprint(r.L7.Route, r.L7.Exchange.Status)] += 1 + r.More
	}
	if fmt.Sprint(count) != "map[/posts200:10 /posts201:10 /users200:10]" || len(got) > 7 {
		t.Errorf("%d told: %v", len(got), count)
	}
}

// However many kinds there are, few wait and few are told.
func TestBounded(t *testing.T) {
	m, now := New(10, nil), time.Unix(1000, 0)
	var got told
	const all = 100_000
	for i := range all {
		r := recordtest.New(uint64(i), flow.RecordEnd)
		w := recordtest.Web()
		w.Runtime = flow.RuntimeDocker
		if i%2 == 0 {
			w = nil
		}
		r.Flow.Client.Workload = w
		r.Flow.Client.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		r.Flow.Server.Addr = netip.AddrPortFrom(r.Flow.Server.Addr.Addr(), uint16(i))
		m.Add(&r, now, got.tell)
		if len(m.kinds) > 2*maxKinds+100 {
			t.Fatalf("%d kinds after %d records", len(m.kinds), i)
		}
	}
	m.Flush(got.tell)
	if len(got) > 4*maxKinds+300 {
		t.Errorf("%d were told", len(got))
	}
	if n := got.stands(); n != all {
		t.Errorf("what was told stands for %d records of %d", n, all)
	}
}

// Each record is told or counted once, whatever they are and whenever they come.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, now := New(rapid.IntRange(0, 4).Draw(t, "budget"), nil), time.Unix(1000, 0)
		few := rapid.SliceOfN(recordtest.Any(), 1, 5).Draw(t, "records")
		var got told
		given := uint64(0)
		for range rapid.IntRange(1, 100).Draw(t, "count") {
			r := few[rapid.IntRange(0, len(few)-1).Draw(t, "which")]
			given += 1 + r.More
			m.Add(&r, now, got.tell)
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "later")))
		}
		m.Flush(got.tell)
		if n := got.stands(); n != given {
			t.Fatalf("%d given, what was told stands for %d", given, n)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	web := recordtest.Web()
	m, now := New(200, nil), time.Unix(1000, 0)
	records := append(flows(web, flow.RecordStart, 0, 500), flows(web, flow.RecordEnd, 0, 500)...)
	var n int
	tell := func(*flow.Record) { n++ }
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Add(&records[i%len(records)], now, tell)
		now = now.Add(500 * time.Microsecond)
	}
}
