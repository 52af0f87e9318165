package otel

import (
	"net/netip"

	logcollectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logpb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
)

// Names of events, in a log record's EventName.
const (
	eventStart   = "weir.flow.start"
	eventEnd     = "weir.flow.end"
	eventVerdict = "weir.policy.verdict"
)

// logged tells whether a record becomes a log record: a flow's beginning and end do,
// and what a policy said.
func logged(r *flow.Record) bool {
	return r.Kind == flow.RecordStart || r.Kind == flow.RecordEnd || r.Kind == flow.RecordVerdict && r.Judged != nil
}

// logBatch makes OTLP of flow records: a resource for each workload, the client's
// where it is of this host, else the server's.
func (e *Exporter) logBatch(batch []flow.Record) proto.Message {
	req := &logcollectorpb.ExportLogsServiceRequest{}
	of := map[*flow.Workload]*logpb.ScopeLogs{}
	for i := range batch {
		f := &batch[i].Flow
		w := f.Client.Workload
		if w == nil || !f.Client.Seen && f.Server.Seen {
			w = f.Server.Workload
		}
		group := of[w]
		if group == nil {
			group = &logpb.ScopeLogs{Scope: e.scope, SchemaUrl: schemaURL}
			of[w] = group
			req.ResourceLogs = append(req.ResourceLogs, &logpb.ResourceLogs{
				Resource: e.resources.of(w), ScopeLogs: []*logpb.ScopeLogs{group}, SchemaUrl: schemaURL,
			})
		}
		group.LogRecords = append(group.LogRecords, logRecord(&batch[i]))
	}
	return req
}

func logRecord(r *flow.Record) *logpb.LogRecord {
	f := &r.Flow
	rec := &logpb.LogRecord{
		TimeUnixNano: uint64(max(r.Time, 0)), ObservedTimeUnixNano: uint64(max(r.Time, 0)),
		SeverityNumber: logpb.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO", EventName: eventStart,
	}
	switch r.Kind {
	case flow.RecordEnd:
		rec.EventName = eventEnd
	case flow.RecordVerdict:
		rec.EventName = eventVerdict
	}
	if r.Verdict == flow.VerdictDropped || r.Verdict == flow.VerdictError || f.End.Failed() {
		rec.SeverityNumber, rec.SeverityText = logpb.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
	}
	a, body := flowAttributes(r), sentence(f)
	if j := r.Judged; j != nil {
		a.judged(j)
		body += " " + opinion(j)
	}
	rec.Attributes, rec.Body = a, text(body)
	return rec
}

// judged adds what only a verdict has.
func (a *attributes) judged(j *flow.Judged) {
	a.text(keyDirection, directionName(j))
	a.text(keyPolicy, j.PolicyNames())
	a.text(keyRule, j.Rule)
	a.put(keyAttempts, some(j.Count))
}

func directionName(j *flow.Judged) string {
	if j.Ingress {
		return "ingress"
	}
	return "egress"
}

// opinion ends a verdict's sentence: denied by shop/web: its rule.
func opinion(j *flow.Judged) string {
	s := "audited by " + j.PolicyNames()
	if j.Denied {
		s = "denied by " + j.PolicyNames()
	}
	if j.Rule != "" {
		s += ": " + j.Rule
	}
	return s
}

// sentence is what a person reads first: TCP web -> db:5432 closed.
func sentence(f *flow.Flow) string {
	s := f.Protocol.String() + " " + endName(&f.Client, false) + " -> " + endName(&f.Server, f.Protocol.HasPorts())
	if end := f.End.String(); end != "" {
		s += " " + end
	}
	return s
}

func endName(e *flow.Endpoint, withPort bool) string {
	name := e.Workload.String()
	if name == "" && len(e.Names) > 0 {
		name = e.Names[0]
	}
	if name == "" && e.Addr.Addr().IsValid() {
		name = e.Addr.Addr().String()
	}
	if withPort && e.Addr.Port() != 0 {
		name += ":" + decimal(e.Addr.Port())
	}
	return name
}

// flowAttributes are those of OpenTelemetry's registry "source" and "destination",
// and of weir's own names.
func flowAttributes(r *flow.Record) (a attributes) {
	f := &r.Flow
	names := bothNames(f.Client.Workload, f.Server.Workload)
	a.text(keyNetTransport, f.Protocol.String())
	a.put(keyNetType, networkType(firstAddr(f.Client.Addr, f.Server.Addr)))
	a.put(keySourceAddress, address(f.Client.Addr))
	a.put(keySourcePort, port(f.Client.Addr))
	a.put(keyDestAddress, address(f.Server.Addr))
	a.put(keyDestPort, port(f.Server.Addr))
	for i, key := range between {
		a.text(key, names[i])
	}
	if len(f.Server.Names) > 0 {
		a.text(keyServerAddress, f.Server.Names[0])
	}
	a.put("weir.flow.id", some(f.ID))
	a.put("weir.flow.preexisting", onlyTrue(f.Preexisting))
	a.text(keyFlowState, f.End.String())
	a.text(keyVerdict, verdictName(r.Verdict))
	a.text(keyVia, f.Server.Via)
	a.put("weir.flow.sent.bytes", some(f.Sent.Payload))
	a.put("weir.flow.sent.packets", some(f.Sent.Packets))
	a.put("weir.flow.received.bytes", some(f.Received.Payload))
	a.put("weir.flow.received.packets", some(f.Received.Packets))
	a.put("weir.flow.duration", seconds(duration(f)))
	a.put("weir.tcp.rtt", seconds(f.RTT))
	a.put("weir.tcp.connect.duration", seconds(f.ConnectLatency))
	a.put("weir.tcp.retransmits", some(uint64(f.Retransmits)))
	a.put("weir.drops", some(f.Drops))
	a.text(keyReason, f.DropReason)
	a.put(keyProcessPID, some(uint64(f.Client.PID)))
	a.text(keyProcessCommand, f.Client.Comm.String())
	return a
}

func firstAddr(list ...netip.AddrPort) netip.Addr {
	for _, a := range list {
		if a.Addr().IsValid() {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// duration is a flow's, once it has ended; ns.
func duration(f *flow.Flow) int64 {
	if f.Ended == 0 || f.Start == 0 {
		return 0
	}
	return f.Ended - f.Start
}

// seconds is nil for what was not measured.
func seconds(ns int64) *commonpb.AnyValue {
	if ns <= 0 {
		return nil
	}
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: float64(ns) / 1e9}}
}
