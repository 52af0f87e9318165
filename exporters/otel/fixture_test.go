package otel

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
)

// epoch is when the fixtures happen: not now, as a span's time is its exchange's.
const epoch = int64(1_790_000_000_000_000_000)

// workload is a Compose service's container.
func workload(id uint64, name string) *flow.Workload {
	return &flow.Workload{
		CgroupID: id, Cgroup: "/system.slice/docker-" + name + ".scope", Runtime: flow.RuntimeDocker, Container: name + "0123456789abcdef",
		Name: name + "-1", Namespace: "shop", Image: "registry:5000/shop/" + name + ":1.2",
		Owner:  flow.Owner{Kind: "ComposeService", Name: name},
		Labels: []flow.Label{{Source: "container", Key: "name", Value: name + "-1"}},
	}
}

var front, middle, back = workload(11, "front"), workload(12, "middle"), workload(13, "back")

// request is GET /users/7 between two workloads of this host, from start for d.
func request(client, server *flow.Workload, start, d time.Duration) flow.Record {
	x := &flow.Exchange{
		Counted: flow.Counted{
			Protocol: flow.HTTP, Role: flow.RoleClient, Cgroup: client.CgroupID, Peer: server.CgroupID,
			Remote: netip.MustParseAddr("172.18.0.3"), Port: 8080, Operation: 77,
		},
		Cookie: client.CgroupID*1000 + server.CgroupID, ConnID: 99, NetNS: 4026531840, PID: 4242, Comm: flow.MakeComm("app"),
		Local: netip.MustParseAddrPort("172.18.0.2:40000"), RemotePort: 8080, Transport: flow.TCP,
		Status: 200, Why: flow.WhyNew, Start: epoch + int64(start), Latency: int64(d), RequestBytes: 120, ResponseBytes: 4000,
		HTTP: &flow.HTTPExchange{Method: "GET", Path: "/users/7", Version: 11, Query: true},
	}
	return flow.Record{Kind: flow.RecordL7, Time: x.Start, Verdict: flow.VerdictForwarded, L7: &flow.L7{
		Protocol: flow.HTTP, Seen: flow.RoleClient, Both: true, Method: "GET", Route: "/users/{id}", Exchange: x,
		Client: flow.Endpoint{Addr: x.Local, Workload: client, Seen: true, PID: 4242, Comm: x.Comm},
		Server: flow.Endpoint{Addr: netip.AddrPortFrom(x.Remote, 8080), Workload: server, Seen: true, Names: []string{"users.shop"}, PID: 5252},
	}}
}

// with gives a request a traceparent.
func with(r flow.Record, traceparent string) flow.Record {
	r.L7.Exchange.HTTP.Traceparent = traceparent
	return r
}

// served makes a request one from another machine.
func served(r flow.Record) flow.Record {
	r.L7.Both, r.L7.Seen, r.L7.Exchange.Role, r.L7.Exchange.Peer = false, flow.RoleServer, flow.RoleServer, 0
	r.L7.Exchange.Cgroup = r.L7.Server.Workload.CgroupID
	r.L7.Client.Workload, r.L7.Client.Seen = nil, false
	return r
}

// asked makes a request one to another machine.
func asked(r flow.Record) flow.Record {
	r.L7.Both, r.L7.Exchange.Peer = false, 0
	r.L7.Server.Workload, r.L7.Server.Seen = nil, false
	return r
}

// tally counts n exchanges like those of r.
func tally(r flow.Record, n uint64) flow.Record {
	l := *r.L7
	x := l.Exchange
	l.Exchange, l.Tally = nil, &flow.Tally{
		Counted: x.Counted, Status: x.Status, Bucket: flow.BucketOf(x.Latency), Count: n, Latency: n * uint64(x.Latency),
		RequestBytes: n * x.RequestBytes, ResponseBytes: n * x.ResponseBytes,
	}
	r.L7 = &l
	return r
}

// connection is a TCP flow between two workloads.
func connection(kind flow.RecordKind, client, server *flow.Workload) flow.Record {
	f := flow.Flow{
		ID: 5, Protocol: flow.TCP, Start: epoch, ConnectLatency: 300_000, RTT: 200_000, Retransmits: 1,
		Client: flow.Endpoint{Addr: netip.MustParseAddrPort("172.18.0.2:40000"), Workload: client, Seen: client != nil, PID: 4242, Comm: flow.MakeComm("app")},
		Server: flow.Endpoint{Addr: netip.MustParseAddrPort("172.18.0.3:5432"), Workload: server, Seen: server != nil, Names: []string{"db.shop"}},
		Sent:   flow.Counters{Packets: 3, Payload: 100, Wire: 300}, Received: flow.Counters{Packets: 4, Payload: 900, Wire: 1200},
	}
	if kind == flow.RecordEnd {
		f.Ended, f.End = epoch+int64(2*time.Second), flow.EndClosed
	}
	return flow.Record{
		Kind: kind, Time: epoch, Verdict: flow.VerdictForwarded, Flow: f,
		Delta: flow.Delta{Sent: f.Sent, Received: f.Received, Retransmits: 1},
	}
}

// exporter is one with all signals that go nowhere, unless cfg says where.
func exporter(t testing.TB, cfg Config) *Exporter {
	t.Helper()
	nowhere := &Endpoint{URL: "http://127.0.0.1:1", Protocol: GRPC, Timeout: time.Second}
	for _, to := range []**Endpoint{&cfg.Traces, &cfg.Metrics, &cfg.Logs} {
		if *to == nil {
			*to = nowhere
		}
	}
	cfg.Node, cfg.Version = "host-1", "1.0.0"
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func consume(t *testing.T, e *Exporter, records ...flow.Record) {
	t.Helper()
	if err := e.Consume(context.Background(), records); err != nil {
		t.Fatal(err)
	}
}

// packed is a message of what waits in a line, which is empty then; nil for nothing.
func packed(l *line) mem.Buffer {
	p, _ := l.take(time.Now(), true)
	if p == nil {
		return nil
	}
	if l.ready != nil {
		l.ready(p)
	}
	return l.packer.message(p)
}

// read decodes what is sent, as whoever gets it does, and frees it.
func read(t *testing.T, message mem.Buffer, into proto.Message) {
	t.Helper()
	if message == nil {
		return
	}
	defer message.Free()
	if err := proto.Unmarshal(message.ReadOnlyData(), into); err != nil {
		t.Fatalf("what is sent must be good protobuf: %v", err)
	}
}

// plainly is an attribute list as values of Go.
func plainly(list []*commonpb.KeyValue) map[string]any {
	out := map[string]any{}
	for _, kv := range list {
		out[kv.Key] = plain(kv.Value)
	}
	return out
}

func plain(v *commonpb.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_IntValue:
		return v.IntValue
	case *commonpb.AnyValue_BoolValue:
		return v.BoolValue
	case *commonpb.AnyValue_DoubleValue:
		return v.DoubleValue
	case *commonpb.AnyValue_ArrayValue:
		var list []any
		for _, x := range v.ArrayValue.Values {
			list = append(list, plain(x))
		}
		return list
	}
	return nil
}
