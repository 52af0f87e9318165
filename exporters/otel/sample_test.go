package otel

import (
	"strings"
	"testing"
	"time"

	tracecollectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/seed79351815/weir/collector/flow"
)

func TestSampler(t *testing.T) {
	plain := func() flow.Record { return request(front, back, 0, time.Millisecond) }
	failed := plain()
	failed.L7.Exchange.Status = 500
	clients := plain()
	clients.L7.Exchange.Status = 404
	slow := plain()
	slow.L7.Exchange.Why = flow.WhySlow
	refused := plain()
	refused.Verdict = flow.VerdictDropped
	yes, no := with(plain(), traceparent(aParent)), with(plain(), strings.TrimSuffix(traceparent(aParent), "1")+"0")
	const all = "plain failed clients slow refused yes no"
	const always = "failed clients slow refused"
	for _, tc := range []struct{ name, arg, want string }{
		{"", "", "plain " + always + " yes"},
		{"always_on", "", all},
		{"always_off", "", ""},
		{"traceidratio", "0", always},
		{"traceidratio", "1", all},
		{"traceidratio", "", all},
		{"parentbased_always_on", "", "plain " + always + " yes"},
		{"parentbased_always_off", "", always + " yes"},
		{"parentbased_traceidratio", "0", always + " yes"},
	} {
		s, err := newSampler(tc.name, tc.arg)
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]flow.Record{
			"plain": plain(), "failed": failed, "clients": clients, "slow": slow, "refused": refused, "yes": yes, "no": no,
		} {
			item := told{l: r.L7, verdict: r.Verdict, up: contextOf(r.L7)}
			item.ids = idsOf("n", r.L7.Exchange, &item.up)
			if got, want := s.takes(&item), strings.Contains(" "+tc.want+" ", " "+name+" "); got != want {
				t.Errorf("%s %s: %s: %v, want %v", tc.name, tc.arg, name, got, want)
			}
		}
	}
	for _, bad := range [][2]string{{"jaeger_remote", ""}, {"traceidratio", "2"}, {"traceidratio", "NaN"}, {"parentbased_traceidratio", "x"}} {
		if _, err := newSampler(bad[0], bad[1]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

// A ratio is of traces, and whoever else decides by OpenTelemetry's rule decides alike.
func TestSamplerRatio(t *testing.T) {
	s, err := newSampler("traceidratio", "0.25")
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	const n = 10_000
	for i := range n {
		item := told{l: request(front, back, time.Duration(i), time.Millisecond).L7}
		item.ids = idsOf("n", item.l.Exchange, &item.up)
		if s.takes(&item) {
			taken++
		}
	}
	if taken < n/4-300 || taken > n/4+300 {
		t.Errorf("%d of %d, want a quarter", taken, n)
	}
	low, high := told{l: request(front, back, 0, 0).L7}, told{l: request(front, back, 0, 0).L7}
	low.ids.trace[8], high.ids.trace[8] = 0x3f, 0x40
	if !s.takes(&low) || s.takes(&high) {
		t.Error("the bound is not at a quarter of the trace id's last 63 bits")
	}
}

// moreOf is what the clients' spans say of others like them, by when they began.
func moreOf(m *tracecollectorpb.ExportTraceServiceRequest) (out []uint64) {
	for _, r := range m.ResourceSpans {
		for _, s := range r.ScopeSpans[0].Spans {
			if s.Kind == tracepb.Span_SPAN_KIND_CLIENT {
				n, _ := plainly(s.Attributes)[keyMore].(int64)
				out = append(out, uint64(n))
			}
		}
	}
	return out
}

// What is counted and not told is said on the next span like it, each exchange once.
func TestMore(t *testing.T) {
	e := exporter(t, Config{})
	more := func(records ...flow.Record) (out []uint64) {
		consume(t, e, records...)
		return moreOf(spanMessage(t, e))
	}
	at := func(i int) flow.Record { return request(front, back, time.Duration(i), time.Millisecond) }
	other := at(0)
	other.L7.Exchange.Status = 201
	for i, step := range []struct {
		records []flow.Record
		want    []uint64
	}{
		{[]flow.Record{at(1)}, []uint64{0}},
		{[]flow.Record{tally(at(1), 100)}, nil},                               // 99 more than was told
		{[]flow.Record{at(2), at(3)}, []uint64{99, 0}},                        //
		{[]flow.Record{tally(at(1), 2), at(4)}, []uint64{0}},                  // those two
		{[]flow.Record{other}, []uint64{0}},                                   // another outcome is not like it
		{[]flow.Record{tally(at(1), 5), tally(at(1), 5), at(5)}, []uint64{9}}, // one of them was told
	} {
		got := more(step.records...)
		if len(got) != len(step.want) {
			t.Fatalf("step %d: %v, want %v", i, got, step.want)
		}
		for j := range got {
			if got[j] != step.want[j] {
				t.Errorf("step %d: %v, want %v", i, got, step.want)
			}
		}
	}
}

// An exchange that became no span for want of room is among those that the next
// span tells of.
func TestMoreOfWhatWasDropped(t *testing.T) {
	e := exporter(t, Config{Spans: Limits{Queue: 1}})
	at := func(i int) flow.Record { return request(front, back, time.Duration(i), time.Millisecond) }
	consume(t, e, at(0), at(1), at(2), tally(at(0), 50))
	if n := len(moreOf(spanMessage(t, e))); n != 1 {
		t.Fatalf("%d in the queue, want 1", n)
	}
	consume(t, e, at(3))
	if more := moreOf(spanMessage(t, e)); len(more) != 1 || more[0] != 49 {
		t.Errorf("more %d, want 49: all but the one that was told", more)
	}
	if n := e.Lost()[flow.Loss{Stage: "otel", Reason: "spans_queue_full"}]; n != 4 {
		t.Errorf("lost %d spans, want 4", n)
	}
}

func TestMoreBounded(t *testing.T) {
	e := exporter(t, Config{})
	for i := range maxKinds + 10 {
		r := tally(request(front, back, 0, 0), 2)
		r.L7.Tally.Operation = flow.Operation(i)
		consume(t, e, r)
	}
	if len(e.rest.kinds) != maxKinds {
		t.Errorf("%d kinds, want %d", len(e.rest.kinds), maxKinds)
	}
	if n := e.Lost()[flow.Loss{Stage: "otel", Reason: "more_unsaid"}]; n != 20 {
		t.Errorf("%d said on no span, want 20", n)
	}
}
