package otel

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	logcollectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metriccollectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// What is sent is a message of OTLP's own types, field for field, as it lies in
// testdata/messages: whoever reads it must find no other. -update writes it anew.
func TestMessages(t *testing.T) {
	for name, got := range map[string]proto.Message{
		"records": recordMessage(t, exporter(t, Config{}), goldenFlows()...),
		"spans":   spanMessage(t, exporter(t, Config{}), goldenExchanges()...),
		"extra": spanMessage(t, exporter(t, Config{Attributes: [][2]string{
			{"deployment.environment.name", "prod\xff"}, {keyHostName, "named"}, {keyServiceNamespace, "ops"}, {"empty", ""},
		}}), request(front, back, 0, time.Second)),
		"cumulative": pointMessage(t, Config{}, goldenFlows(), goldenExchanges()),
		"delta":      pointMessage(t, Config{Temporality: Delta, Attributes: [][2]string{{keyServiceInstance, "mine"}, {"service.criticality", "high"}}}, goldenFlows()[:3], goldenExchanges()[:3]),
		"explicit":   pointMessage(t, Config{ExplicitBuckets: true}, goldenFlows()[:2], goldenExchanges()[:2]),
	} {
		path := filepath.Join("testdata", "messages", name+".txtpb")
		if *update {
			text, err := prototext.MarshalOptions{Multiline: true}.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := got.ProtoReflect().New().Interface()
		if err := prototext.Unmarshal(text, want); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("%s: the message\n%s\ndiffers from %s", name, prototext.Format(got), path)
		}
	}
}

// recordMessage is what is sent of flows.
func recordMessage(t *testing.T, e *Exporter, records ...flow.Record) *logcollectorpb.ExportLogsServiceRequest {
	t.Helper()
	consume(t, e, records...)
	m := &logcollectorpb.ExportLogsServiceRequest{}
	read(t, packed(e.records), m)
	return m
}

// spanMessage is what is sent of exchanges.
func spanMessage(t *testing.T, e *Exporter, records ...flow.Record) *tracecollectorpb.ExportTraceServiceRequest {
	t.Helper()
	consume(t, e, records...)
	m := &tracecollectorpb.ExportTraceServiceRequest{}
	read(t, packed(e.spans), m)
	return m
}

// pointMessage is the second of two exports of the same series, which began at
// known times.
func pointMessage(t *testing.T, cfg Config, flows, exchanges []flow.Record) *metriccollectorpb.ExportMetricsServiceRequest {
	t.Helper()
	cfg.Health = func() collector.Health {
		return collector.Health{Since: 3e9, Events: 12, Records: 11, Flows: 9, Lost: map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: 7}}
	}
	e := exporter(t, cfg)
	for range 2 {
		records := append(flows, connection(flow.RecordUpdate, front, back))
		for i, r := range exchanges {
			if r.L7.Exchange == nil {
				continue
			}
			r.L7.Exchange.Latency = int64(i*i) * int64(time.Millisecond)
			records = append(records, tally(r, uint64(i+1)))
		}
		consume(t, e, records...)
		for _, x := range e.folder.all {
			if x.start.Year() > 1970 {
				x.start = time.Unix(0, epoch)
			}
		}
	}
	e.folder.budget = 0
	consume(t, e, tally(request(back, front, 0, time.Second), 3))
	for k, x := range e.folder.all {
		if k.overflow {
			x.start = time.Unix(0, epoch)
		}
	}
	messages := e.measured(time.Unix(0, epoch+1e9))
	if len(messages) != 1 {
		t.Fatalf("%d messages, want 1", len(messages))
	}
	m := &metriccollectorpb.ExportMetricsServiceRequest{}
	read(t, messages[0].message, m)
	return m
}

// nasty is text that is no UTF-8, and text that does things to terminals.
const nasty = "\xff\x00a\x1b[2J\u202eé\xe2\x82"

// hostile is a workload whose every name is nasty.
func hostile() *flow.Workload {
	return &flow.Workload{
		CgroupID: 66, Cgroup: nasty, Runtime: flow.Runtime(nasty), Container: nasty, Name: nasty + strings.Repeat("é", maxValue), Namespace: nasty,
		Image: nasty + ":" + nasty, Owner: flow.Owner{Kind: "Deployment", Name: nasty}, Labels: []flow.Label{
			{Source: "container", Key: "name", Value: nasty}, {Source: "k8s", Key: labelPodUID, Value: nasty}, {Source: "k8s", Key: labelContainer, Value: nasty},
			{Source: "k8s", Key: labelVersion, Value: nasty},
		},
	}
}

func goldenFlows() []flow.Record {
	refused := connection(flow.RecordEnd, front, nil)
	refused.Flow.End, refused.Flow.Drops, refused.Flow.DropReason = flow.EndRefused, 3, "NETFILTER_DROP"
	reset := connection(flow.RecordEnd, front, back)
	reset.Flow.End, reset.Time = flow.EndResetRemote, -5
	bare := connection(flow.RecordStart, nil, nil)
	bare.Flow = flow.Flow{ID: 1 << 63, Protocol: flow.ICMP, Server: flow.Endpoint{Addr: netip.MustParseAddrPort("[fe80::1%eth0]:0")}}
	mapped := connection(flow.RecordStart, nil, middle)
	mapped.Flow.Protocol, mapped.Flow.Preexisting, mapped.Flow.Server.Via = flow.UDP, true, "docker-proxy"
	mapped.Flow.Client.Addr, mapped.Flow.Server.Addr = netip.MustParseAddrPort("[::ffff:1.2.3.4]:53"), netip.MustParseAddrPort("[fd00::7]:65535")
	denied := connection(flow.RecordStart, front, back)
	denied.Verdict = flow.VerdictDropped
	evil := connection(flow.RecordEnd, hostile(), hostile())
	evil.Flow.Server.Names, evil.Flow.Server.Via, evil.Flow.DropReason = []string{nasty}, nasty, nasty
	evil.Flow.Client.Comm, evil.Flow.Protocol, evil.Flow.End, evil.Flow.Sent.Payload = flow.MakeComm(nasty), 200, 77, 1<<64-1
	judged := verdict(true)
	judged.Judged.Rule, judged.Judged.Count = nasty+strings.Repeat("x", maxValue), 1<<64-1
	return []flow.Record{
		connection(flow.RecordStart, front, back), connection(flow.RecordEnd, front, back), refused, reset, bare, mapped, denied, evil, judged, verdict(false), verdict(true),
		connection(flow.RecordStart, middle, back),
	}
}

func goldenExchanges() []flow.Record {
	at := func(i int) flow.Record {
		return request(front, back, time.Duration(i)*time.Millisecond, 2*time.Millisecond)
	}
	odd := at(1)
	odd.L7.Method, odd.L7.Exchange.HTTP.Method, odd.L7.Exchange.Status, odd.L7.Route = "PURGE", "PURGE", 404, ""
	silent := at(2)
	silent.L7.Exchange.Status, silent.L7.Error, silent.L7.Exchange.Why = flow.NoAnswer, true, flow.WhyError
	forbidden := at(3)
	forbidden.Verdict, forbidden.L7.Exchange.Status = flow.VerdictDropped, 403
	audited := at(4)
	audited.Verdict, audited.L7.Exchange.HTTP.Upgrade, audited.L7.Exchange.Status = flow.VerdictAudit, "websocket", 101
	proxied := at(5)
	proxied.L7.Exchange.HTTP.Path, proxied.L7.Client.Via, proxied.L7.Server.Via = "http://bob:secret@other.example/a?token=1", "p", "docker-proxy"
	connect := at(6)
	connect.L7.Method, connect.L7.Exchange.HTTP.Method, connect.L7.Exchange.HTTP.Path = "CONNECT", "CONNECT", "other.example:443"
	bare := at(7)
	bare.L7.Server.Names, bare.L7.Exchange.Port, bare.L7.Server.Addr = nil, 80, netip.MustParseAddrPort("[fd00::3]:80")
	failed := at(8)
	failed.L7.Exchange.Status = 503
	resumed := handshake()
	resumed.L7.Exchange.Status, resumed.L7.Exchange.TLS.Resumed, resumed.L7.Exchange.TLS.ECH, resumed.L7.Exchange.TLS.ServerName = 40, true, true, ""
	evil := at(9)
	evil.L7.Client.Workload, evil.L7.Server.Workload, evil.L7.Server.Names = hostile(), &flow.Workload{Name: nasty}, []string{nasty}
	evil.L7.Method, evil.L7.Route, evil.L7.Exchange.Start, evil.L7.Exchange.Latency = nasty, "/"+nasty, -5, -1
	evil.L7.Exchange.HTTP = &flow.HTTPExchange{Method: nasty, Path: "/" + nasty + strings.Repeat("y", 2*maxValue), Upgrade: nasty}
	question := lookup()
	question.L7.Exchange.DNS.Name, question.L7.Exchange.DNS.Addrs = nasty, append(question.L7.Exchange.DNS.Addrs, netip.MustParseAddr("10.0.0.1"))
	records := []flow.Record{
		at(0), odd, silent, forbidden, audited, proxied, connect, bare, failed, lookup(), handshake(), resumed, evil, question,
		served(at(10)), asked(at(11)), served(with(at(12), traceparent(aParent))), with(at(13), strings.TrimSuffix(traceparent(aParent), "1")+"0"),
		tally(at(14), 300), at(14),
	}
	return append(records, chain(func(int) string { return traceparent(aParent) })...)
}
