package otel

import (
	"time"

	tracecollectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// denied is error.type of what a policy did not let pass.
const denied = "policy_denied"

// told is an exchange on its way to be spans.
type told struct {
	l       *flow.L7
	verdict flow.Verdict
	ripe    time.Time // when its parent can be looked for
	ids     ids
	up      traceContext // what the request's traceparent says
	more    uint64       // exchanges like it that were counted since the last that became spans
}

// ends are those whose spans weir makes: the end that was read, and the other
// where that is on this host too.
func (t *told) ends() end {
	switch {
	case t.l.Both:
		return bothEnds
	case t.l.Seen == flow.RoleServer:
		return serverEnd
	}
	return clientEnd
}

// spans is how many it gives.
func (t *told) spans() int {
	if t.ends() == bothEnds {
		return 2
	}
	return 1
}

// failed tells whether the exchange is an error to an end.
func (t *told) failed(of end) bool {
	row := l7.Of(t.l.Protocol)
	switch {
	case t.verdict == flow.VerdictDropped:
		return true
	case row == nil:
		return t.l.Error
	case of == serverEnd:
		return row.Fails(t.l.Exchange.Status)
	}
	return row.FailsClient(t.l.Exchange.Status)
}

// span makes the span of one end, under its parent.
func (t *told) span(of end, parent spanID, remote bool) *tracepb.Span {
	x := t.l.Exchange
	p := protocolOf(t.l.Protocol)
	s := &tracepb.Span{
		TraceId: t.ids.trace[:], SpanId: t.ids.client[:], Kind: tracepb.Span_SPAN_KIND_CLIENT, Name: p.name(t.l),
		StartTimeUnixNano: uint64(max(x.Start, 0)), EndTimeUnixNano: uint64(max(x.Start+max(x.Latency, 0), 0)),
		Flags: flagHasRemote, Status: &tracepb.Status{},
	}
	if of == serverEnd {
		s.SpanId, s.Kind = t.ids.server[:], tracepb.Span_SPAN_KIND_SERVER
	}
	if parent != (spanID{}) {
		s.ParentSpanId = parent[:]
		if remote {
			s.Flags |= flagRemote
		}
	}
	if t.up.sampled || !t.up.valid() {
		s.Flags |= flagSampled
	}
	s.Attributes = t.attributes(p, of)
	if t.failed(of) {
		s.Status.Code = tracepb.Status_STATUS_CODE_ERROR
	}
	return s
}

func (t *told) attributes(p *protocol, of end) (a attributes) {
	for _, rows := range [][]row{p.rows, everySpan} {
		for i := range rows {
			if rows[i].ends&of != 0 {
				a.put(rows[i].key, rows[i].value(t.l))
			}
		}
	}
	switch {
	case t.verdict == flow.VerdictDropped:
		a.text(keyErrorType, denied)
		a.text(keyVerdict, "dropped")
	case t.failed(of):
		a.text(keyErrorType, l7.Of(t.l.Protocol).Status(t.l.Exchange.Status))
	}
	if t.verdict == flow.VerdictAudit {
		a.text(keyVerdict, "audit")
	}
	a.number(keyMore, int64(t.more))
	return a
}

// spanBatch makes OTLP of exchanges: a resource for each workload.
func (e *Exporter) spanBatch(batch []told) proto.Message {
	data := &tracecollectorpb.ExportTraceServiceRequest{}
	of := map[*flow.Workload]*tracepb.ScopeSpans{}
	put := func(w *flow.Workload, s *tracepb.Span) {
		group := of[w]
		if group == nil {
			group = &tracepb.ScopeSpans{Scope: e.scope, SchemaUrl: schemaURL}
			of[w] = group
			data.ResourceSpans = append(data.ResourceSpans, &tracepb.ResourceSpans{
				Resource: e.resources.of(w), ScopeSpans: []*tracepb.ScopeSpans{group}, SchemaUrl: schemaURL,
			})
		}
		group.Spans = append(group.Spans, s)
	}
	for i := range batch {
		t := &batch[i]
		ends := t.ends()
		if ends&clientEnd != 0 {
			parent := t.up.parent
			if forwarder, ok := e.servings.serving(t); ok {
				parent = forwarder
			}
			put(t.l.Client.Workload, t.span(clientEnd, parent, false))
		}
		switch {
		case ends == bothEnds:
			put(t.l.Server.Workload, t.span(serverEnd, t.ids.client, true))
		case ends == serverEnd:
			put(t.l.Server.Workload, t.span(serverEnd, t.up.parent, true))
		}
	}
	return data
}
