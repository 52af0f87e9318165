package jsonl

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

// BenchmarkLine is what one line takes: of a connection's start, of its end and of an
// exchange, two by two by one, between containers of a host.
func BenchmarkLine(b *testing.B) {
	l, err := Open(Config{Path: filepath.Join(b.TempDir(), "flows.json"), Size: 100 << 20, NodeName: "host", Version: "weir"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	batch := busy(200)
	b.ReportAllocs()
	before := processorTime(b)
	for i := 0; i < b.N; i += len(batch) {
		if err := l.Consume(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(l.lines.Len())/float64(len(batch)), "B/line")
}

// processorTime is what a busy machine tells apart from waiting.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// busy are the records of containers that ask each other.
func busy(n int) (batch []flow.Record) {
	const epoch = 1_780_000_000_123_456_789
	var all []*flow.Workload
	for i := range 20 {
		name := fmt.Sprintf("service-%d", i)
		all = append(all, &flow.Workload{
			CgroupID: uint64(i), Cgroup: "/system.slice/docker-" + name + ".scope", Runtime: flow.RuntimeDocker, Container: fmt.Sprintf("%064x", i),
			Name: "shop-" + name + "-1", Namespace: "shop", Image: "registry:5000/shop/" + name + ":1.2", Addrs: []netip.Addr{netip.AddrFrom4([4]byte{172, 18, 0, byte(i)})},
			Owner: flow.Owner{Kind: "ComposeService", Name: name},
			Labels: []flow.Label{
				{Source: "container", Key: "com.docker.compose.project", Value: "shop"}, {Source: "container", Key: "com.docker.compose.service", Value: name},
				{Source: "container", Key: "name", Value: "shop-" + name + "-1"},
			},
		})
	}
	for i := range n {
		at := epoch + int64(i)*1_000_037
		client, server := all[i%10], all[10+i%10]
		from := netip.AddrPortFrom(client.Addrs[0], uint16(32768+i))
		to := netip.AddrPortFrom(server.Addrs[0], 8080)
		r := flow.Record{Kind: flow.RecordStart, Time: at, Verdict: flow.VerdictForwarded}
		ends := [2]flow.Endpoint{
			{Addr: from, Workload: client, Seen: true, Cookie: uint64(2*i + 1), NetNS: 4026532000, PID: 4242, Comm: flow.MakeComm("client")},
			{Addr: to, Workload: server, Seen: true, Cookie: uint64(2*i + 2), NetNS: 4026532001, PID: 4243, Comm: flow.MakeComm("server")},
		}
		r.Flow = flow.Flow{ID: uint64(i) + 1, Protocol: flow.TCP, Client: ends[0], Server: ends[1], Start: at, Last: at, ConnectLatency: 90_000}
		switch i % 5 {
		case 1, 3:
			r.Kind = flow.RecordEnd
			r.Flow.Last, r.Flow.Ended, r.Flow.End, r.Flow.RTT = at+500_000_123, at+500_000_123, flow.EndClosed, 120_000
			r.Flow.Sent, r.Flow.Received = flow.Counters{Packets: 6, Payload: 300, Wire: 700}, flow.Counters{Packets: 5, Payload: 4000, Wire: 4300}
			r.Delta = flow.Delta{Sent: r.Flow.Sent, Received: r.Flow.Received}
		case 4:
			x := &flow.Exchange{
				Counted: flow.Counted{Protocol: flow.HTTP, Role: flow.RoleClient, Cgroup: client.CgroupID, Peer: server.CgroupID, Remote: to.Addr(), Port: 8080, Operation: 7},
				Cookie:  uint64(2*i + 1), ConnID: uint64(i + 1), NetNS: 4026532000, PID: 4242, Comm: flow.MakeComm("client"), Local: from, RemotePort: 8080,
				Transport: flow.TCP, Status: 200, Why: flow.WhySample, Start: at, Latency: 2_000_000, RequestBytes: 300, ResponseBytes: 4000,
				HTTP: &flow.HTTPExchange{Method: "GET", Path: fmt.Sprintf("/api/users/%d", i), Version: 11, Traceparent: fmt.Sprintf("00-%032x-%016x-01", i+1, i+1)},
			}
			r = flow.Record{Kind: flow.RecordL7, Time: at, Verdict: flow.VerdictForwarded, L7: &flow.L7{
				Protocol: flow.HTTP, Seen: flow.RoleClient, Client: ends[0], Server: ends[1], Method: "GET", Route: "/api/users/{id}",
				TraceID: fmt.Sprintf("%032x", i+1), Exchange: x,
			}}
		}
		batch = append(batch, r)
	}
	return batch
}
