package otel

import (
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// denied is error.type of what a policy did not let pass.
const denied = "policy_denied"

// told is an exchange on its way to be spans.
type told struct {
	l       *flow.L7
	verdict flow.Verdict
	ids     ids
	up      traceContext // what the request's traceparent says
	name    string       // of its spans
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
func (t *told) spans() uint64 {
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

// Fields of OTLP's Span and Status.
const (
	spanTrace      field = 1
	spanOwn        field = 2
	spanParent     field = 4
	spanName       field = 5
	spanKind       field = 6
	spanStart      field = 7
	spanEnd        field = 8
	spanAttributes field = 9
	spanStatus     field = 15
	spanFlags      field = 16

	statusCode field = 3
)

// writeSpans makes the spans of an exchange, of one workload or of two. Below which
// one the client's is can be said later (wanted).
func writeSpans(k *packer, p *parcel, t *told) {
	ends := t.ends()
	t.name = protocolOf(t.l.Protocol).name(t.l)
	if ends&clientEnd != 0 {
		at := t.write(k, p, clientEnd, t.up.parent, false)
		if key, ok := t.cause(); ok {
			p.wanted = append(p.wanted, wanted{at, key, t.l.Exchange.Start})
		}
	}
	switch ends {
	case bothEnds:
		t.write(k, p, serverEnd, t.ids.client, true)
	case serverEnd:
		t.write(k, p, serverEnd, t.up.parent, true)
	}
}

// write makes the span of one end, and tells where in the wire its parent stands.
func (t *told) write(k *packer, p *parcel, of end, parent spanID, remote bool) (at int) {
	x := t.l.Exchange
	protocol := protocolOf(t.l.Protocol)
	workload, own, kind := t.l.Client.Workload, t.ids.client[:], tracepb.Span_SPAN_KIND_CLIENT
	if of == serverEnd {
		workload, own, kind = t.l.Server.Workload, t.ids.server[:], tracepb.Span_SPAN_KIND_SERVER
	}
	flags := flagHasRemote
	begin := p.begin()
	p.bytes(spanTrace, t.ids.trace[:])
	p.bytes(spanOwn, own)
	if parent != (spanID{}) {
		p.bytes(spanParent, parent[:])
		at = len(p.wire) - len(parent) - begin
		if remote {
			flags |= flagRemote
		}
	}
	p.text(spanName, t.name)
	p.varint(spanKind, uint64(kind))
	p.fixed64(spanStart, uint64(max(x.Start, 0)))
	p.fixed64(spanEnd, uint64(max(x.Start+max(x.Latency, 0), 0)))
	t.attributes(&p.wire, protocol, of)
	status := p.open(spanStatus)
	if t.failed(of) {
		p.varint(statusCode, uint64(tracepb.Status_STATUS_CODE_ERROR))
	}
	p.close(status)
	if t.up.sampled || !t.up.valid() {
		flags |= flagSampled
	}
	p.fixed32(spanFlags, flags)
	return p.end(k.of(workload), begin) + at
}

func (t *told) attributes(w *wire, p *protocol, of end) {
	rows := p.of(of)
	for i := range rows {
		w.attribute(spanAttributes, rows[i].key, rows[i].value(t.l))
	}
	put := func(key string, v value) { w.attribute(spanAttributes, key, v) }
	switch {
	case t.verdict == flow.VerdictDropped:
		put(keyErrorType, text(denied))
		put(keyVerdict, text("dropped"))
	case t.failed(of):
		put(keyErrorType, text(l7.Of(t.l.Protocol).Status(t.l.Exchange.Status)))
	}
	if t.verdict == flow.VerdictAudit {
		put(keyVerdict, text("audit"))
	}
	put(keyMore, some(t.more))
}
