package otel

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	aTrace  = "0af7651916cd43dd8448eb211c80319c"
	aParent = "b7ad6b7169203331"
)

func traceparent(parent string) string { return "00-" + aTrace + "-" + parent + "-01" }

// chain is a request through three services, told as weir tells it: the innermost
// exchange ends first. at gives each hop's header.
func chain(header func(hop int) string) []flow.Record {
	world := served(request(elsewhere(), front, 0, 90*time.Millisecond))
	return []flow.Record{
		with(request(middle, back, 20*time.Millisecond, 10*time.Millisecond), header(2)),
		with(request(front, middle, 10*time.Millisecond, 40*time.Millisecond), header(1)),
		with(world, header(0)),
	}
}

func elsewhere() *flow.Workload { return workload(10, "elsewhere") }

// Services that hand on the header that they got: every span hangs below the one
// that caused it.
func TestForwardedHeader(t *testing.T) {
	spans := spansOf(t, exporter(t, Config{}), chain(func(int) string { return traceparent(aParent) })...)
	if len(spans) != 5 {
		t.Fatalf("%d spans, want 5", len(spans))
	}
	for _, tc := range [][2]string{
		{"front client", "front server"}, {"middle server", "front client"}, {"middle client", "middle server"}, {"back server", "middle client"},
	} {
		child, parent := spans[tc[0]], spans[tc[1]]
		if string(child.ParentSpanId) != string(parent.SpanId) {
			t.Errorf("%s is below %x, want %s (%x)", tc[0], child.ParentSpanId, tc[1], parent.SpanId)
		}
	}
	if p := hex.EncodeToString(spans["front server"].ParentSpanId); p != aParent {
		t.Errorf("the first is below %s, want the header's %s", p, aParent)
	}
	for name, s := range spans {
		if hex.EncodeToString(s.TraceId) != aTrace {
			t.Errorf("%s is of another trace", name)
		}
	}
}

// Services that take part in tracing name a span of their own in each header: weir's
// spans hang below those.
func TestOwnHeaders(t *testing.T) {
	spans := spansOf(t, exporter(t, Config{}), chain(func(hop int) string { return traceparent(fmt.Sprintf("%016x", hop+1)) })...)
	for name, want := range map[string]string{
		"front server": "0000000000000001", "front client": "0000000000000002", "middle client": "0000000000000003",
	} {
		if p := hex.EncodeToString(spans[name].ParentSpanId); p != want {
			t.Errorf("%s is below %s, want %s", name, p, want)
		}
	}
	if s := spans["back server"]; string(s.ParentSpanId) != string(spans["middle client"].SpanId) {
		t.Error("the two ends of one request are not linked")
	}
}

// Only a request that was being served when another was made can have caused it.
func TestServings(t *testing.T) {
	outer := func(start, d time.Duration) flow.Record {
		return with(request(front, middle, start, d), traceparent(aParent))
	}
	inner := with(request(middle, back, 20*time.Millisecond, time.Millisecond), traceparent(aParent))
	for name, tc := range map[string]struct {
		outer  []flow.Record
		caused bool
	}{
		"while it was served": {[]flow.Record{outer(10*time.Millisecond, time.Minute)}, true},
		"before":              {[]flow.Record{outer(21*time.Millisecond, time.Minute)}, false},
		"at the same moment":  {[]flow.Record{outer(20*time.Millisecond, time.Minute)}, false},
		"after":               {[]flow.Record{outer(10*time.Millisecond, time.Millisecond)}, false},
		"of two the later":    {[]flow.Record{outer(15*time.Millisecond, time.Minute), outer(10*time.Millisecond, time.Minute)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := exporter(t, Config{})
			consume(t, e, append(tc.outer, inner)...)
			spans := map[string]*tracepb.Span{}
			for _, r := range spanMessage(t, e).ResourceSpans {
				for _, s := range r.ScopeSpans[0].Spans {
					key := fmt.Sprint(s.Kind, s.StartTimeUnixNano-uint64(epoch))
					spans[key] = s
				}
			}
			server := fmt.Sprint(tracepb.Span_SPAN_KIND_SERVER, tc.outer[0].L7.Exchange.Start-epoch)
			client := fmt.Sprint(tracepb.Span_SPAN_KIND_CLIENT, inner.L7.Exchange.Start-epoch)
			got, want := hex.EncodeToString(spans[client].ParentSpanId), aParent
			if tc.caused {
				want = hex.EncodeToString(spans[server].SpanId)
			}
			if got != want {
				t.Errorf("below %s, want %s", got, want)
			}
		})
	}
}

// A service that asks itself is not its own parent.
func TestServingItself(t *testing.T) {
	e := exporter(t, Config{})
	consume(t, e, with(request(middle, middle, 0, time.Second), traceparent(aParent)))
	for _, r := range spanMessage(t, e).ResourceSpans {
		for _, s := range r.ScopeSpans[0].Spans {
			if s.Kind == tracepb.Span_SPAN_KIND_CLIENT && hex.EncodeToString(s.ParentSpanId) != aParent {
				t.Error("a span is its own parent's parent")
			}
		}
	}
}

// However many headers come, what is remembered of them is bounded, newest first.
func TestServingsBounded(t *testing.T) {
	e := exporter(t, Config{Spans: Limits{Queue: 2 * maxServings}})
	for i := range maxServings + 100 {
		consume(t, e, with(request(front, middle, time.Duration(i), time.Second), traceparent(fmt.Sprintf("%016x", i/3+1))))
	}
	headers := map[servingKey]bool{}
	for _, one := range e.servings.ring {
		headers[one.key] = true
	}
	if n := len(e.servings.newest); n != len(headers) || len(e.servings.ring) != maxServings {
		t.Errorf("%d servings, want %d, of %d headers, want %d", len(e.servings.ring), maxServings, n, len(headers))
	}
	served := func(i int) bool {
		one := told{l: request(middle, back, 0, time.Second).L7, up: contextOf(with(request(middle, back, 0, 0), traceparent(fmt.Sprintf("%016x", i/3+1))).L7)}
		key, _ := one.cause()
		_, ok := e.servings.serving(key, epoch+int64(time.Second/2))
		return ok
	}
	if !served(maxServings+99) || !served(100) || served(96) {
		t.Error("not the newest are remembered")
	}
}

func TestContext(t *testing.T) {
	for header, want := range map[string]string{
		"": "", traceparent(aParent): aTrace + aParent + "true", "00-" + aTrace + "-" + aParent + "-00": aTrace + aParent + "false",
		"00-" + aTrace + "-" + aParent + "-ff": aTrace + aParent + "true", "01-" + aTrace + "-" + aParent + "-02-more": aTrace + aParent + "false",
		"00-" + aTrace + "-0000000000000000-01": "", "ff-" + aTrace + "-" + aParent + "-01": "", "00-" + aTrace + "-" + aParent: "", "\xff": "",
	} {
		c := contextOf(with(request(front, back, 0, 0), header).L7)
		got := ""
		if c.valid() {
			got = fmt.Sprint(hex.EncodeToString(c.trace[:]), hex.EncodeToString(c.parent[:]), c.sampled)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func FuzzContext(f *testing.F) {
	f.Add(traceparent(aParent))
	f.Add("00--")
	f.Fuzz(func(t *testing.T, header string) {
		l := with(request(front, back, 0, 0), header).L7
		up := contextOf(l)
		if up.valid() == (up.trace == traceID{}) {
			t.Errorf("%q: a trace without a parent or the reverse: %v", header, up)
		}
		if i := idsOf("n", l.Exchange, &up); i.trace == (traceID{}) || i.client == (spanID{}) || i.client == i.server {
			t.Errorf("%q: ids %v", header, i)
		}
	})
}
