package otel

import (
	"net/netip"
	"strconv"

	logpb "go.opentelemetry.io/proto/otlp/logs/v1"

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

// Fields of OTLP's LogRecord.
const (
	recordTime         field = 1
	recordSeverity     field = 2
	recordSeverityText field = 3
	recordBody         field = 5
	recordAttributes   field = 6
	recordObserved     field = 11
	recordEvent        field = 12
)

// writeRecord makes a log record of a flow record, of the client's workload where it
// is of this host, else of the server's.
func writeRecord(k *packer, p *parcel, r *flow.Record) {
	f := &r.Flow
	client, server := k.of(f.Client.Workload), k.of(f.Server.Workload)
	of := client
	if f.Client.Workload == nil || !f.Client.Seen && f.Server.Seen {
		of = server
	}
	begin := p.begin()
	p.fixed64(recordTime, uint64(max(r.Time, 0)))
	if r.Verdict == flow.VerdictDropped || r.Verdict == flow.VerdictError || f.End.Failed() {
		p.varint(recordSeverity, uint64(logpb.SeverityNumber_SEVERITY_NUMBER_WARN))
		p.text(recordSeverityText, "WARN")
	} else {
		p.varint(recordSeverity, uint64(logpb.SeverityNumber_SEVERITY_NUMBER_INFO))
		p.text(recordSeverityText, "INFO")
	}
	body := p.open(recordBody)
	p.text(stringField, clean(sentence(r, client.title, server.title)))
	p.close(body)
	a := recordWriter{&p.wire}
	a.flow(r, client, server)
	if r.Judged != nil {
		a.judged(r.Judged)
	}
	p.fixed64(recordObserved, uint64(max(r.Time, 0)))
	p.text(recordEvent, eventName(r.Kind))
	p.end(of, begin)
}

func eventName(k flow.RecordKind) string {
	switch k {
	case flow.RecordEnd:
		return eventEnd
	case flow.RecordVerdict:
		return eventVerdict
	}
	return eventStart
}

// recordWriter writes the attributes of a log record.
type recordWriter struct{ wire *wire }

func (a recordWriter) put(key string, v value) { a.wire.attribute(recordAttributes, key, v) }
func (a recordWriter) text(key, s string)      { a.put(key, text(s)) }

// judged adds what only a verdict has.
func (a recordWriter) judged(j *flow.Judged) {
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
func sentence(r *flow.Record, client, server string) string {
	f := &r.Flow
	client, server = endName(&f.Client, client), endName(&f.Server, server)
	var port, colon, end, said string
	if n := f.Server.Addr.Port(); n != 0 && f.Protocol.HasPorts() {
		colon, port = ":", decimal(n)
	}
	if s := f.End.String(); s != "" {
		end = " " + s
	}
	if j := r.Judged; j != nil {
		said = " " + opinion(j)
	}
	if r.More > 0 {
		said += ", " + strconv.FormatUint(r.More, 10) + " more like it"
	}
	return f.Protocol.String() + " " + client + " -> " + server + colon + port + end + said
}

// endName is a workload's title, else the name by which it was found, else its
// address.
func endName(e *flow.Endpoint, title string) string {
	switch {
	case title != "":
		return title
	case len(e.Names) > 0 && e.Names[0] != "":
		return e.Names[0]
	case e.Addr.Addr().IsValid():
		return e.Addr.Addr().String()
	}
	return ""
}

// flow writes those of OpenTelemetry's registry "source" and "destination", and of
// weir's own names.
func (a recordWriter) flow(r *flow.Record, client, server *party) {
	f := &r.Flow
	a.text(keyNetTransport, f.Protocol.String())
	a.put(keyNetType, networkType(firstAddr(f.Client.Addr, f.Server.Addr)))
	a.put(keySourceAddress, address(f.Client.Addr))
	a.put(keySourcePort, port(f.Client.Addr))
	a.put(keyDestAddress, address(f.Server.Addr))
	a.put(keyDestPort, port(f.Server.Addr))
	*a.wire = append(append(*a.wire, client.source...), server.destination...)
	if len(f.Server.Names) > 0 {
		a.text(keyServerAddress, f.Server.Names[0])
	}
	a.put("weir.flow.id", some(f.ID))
	a.put(keyMore, some(r.More))
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
