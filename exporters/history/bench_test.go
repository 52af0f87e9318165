package history

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// crowd is 50 workloads that ask 20 services, as the records of a living host share
// them.
type crowd struct {
	askers    [50]*flow.Workload
	answerers [20]*flow.Workload
}

func newCrowd() *crowd {
	c := new(crowd)
	for i := range c.askers {
		c.askers[i] = container(uint64(1+i), fmt.Sprintf("web-%d", i))
	}
	for i := range c.answerers {
		c.answerers[i] = container(uint64(100+i), fmt.Sprintf("api-%d", i))
	}
	return c
}

// container is one as Docker Compose makes it.
func container(id uint64, service string) *flow.Workload {
	name := "shop-" + service + "-1"
	return &flow.Workload{
		CgroupID: id, Cgroup: "/system.slice/docker-" + name + ".scope", Runtime: flow.RuntimeDocker, Container: fmt.Sprintf("%064x", id),
		Name: name, Namespace: "shop", Image: "registry:5000/shop/" + service + ":1.2", Owner: flow.Owner{Kind: "ComposeService", Name: service},
		Labels: []flow.Label{
			{Source: "container", Key: "com.docker.compose.project", Value: "shop"}, {Source: "container", Key: "com.docker.compose.service", Value: service},
			{Source: "container", Key: "name", Value: name},
		},
	}
}

// lived is the two records of a connection that makes history, from a port of its own.
func (c *crowd) lived(i int, at time.Time) (start, end flow.Record) {
	r := flow.Record{Kind: flow.RecordStart, Time: at.UnixNano() + int64(i), Verdict: flow.VerdictForwarded, Flow: flow.Flow{
		ID: uint64(i), Protocol: flow.TCP, Start: at.UnixNano() + int64(i),
		Client: flow.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 18, 0, byte(i % 50)}), uint16(32768+i%28000)), Seen: true, Cookie: uint64(i),
			Workload: c.askers[i%50], NetNS: 4026532000 + uint32(i%50), PID: 1000 + uint32(i%50), Comm: flow.MakeComm("client")},
		Server: flow.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 18, 1, byte(i % 20)}), 8080), Seen: true, Cookie: uint64(i) << 32,
			Workload: c.answerers[i%20], NetNS: 4026532100 + uint32(i%20), PID: 2000 + uint32(i%20), Comm: flow.MakeComm("server")},
		ConnectLatency: 90_000 + int64(i*7919%5000),
	}}
	e := r
	e.Kind, e.Flow.Ended, e.Flow.End = flow.RecordEnd, e.Time+1e6, flow.EndClosed
	e.Flow.RTT = 120_000 + int64(i*104729%9000)
	e.Flow.Sent, e.Flow.Received = flow.Counters{Packets: 6, Payload: 400, Wire: 700}, flow.Counters{Packets: 5, Payload: 9000, Wire: 9300}
	e.Delta.Sent, e.Delta.Received = e.Flow.Sent, e.Flow.Received
	return r, e
}

func benchStore(b *testing.B) *Store {
	s, err := Open(Config{Path: filepath.Join(b.TempDir(), "h"), Now: func() time.Time { return noon }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func batches(flows int) (out [][]flow.Record) {
	c := newCrowd()
	for i := 0; i < flows; i += 128 {
		var batch []flow.Record
		for j := i; j < i+128; j++ {
			start, end := c.lived(j, noon)
			batch = append(batch, start, end)
		}
		out = append(out, batch)
	}
	return out
}

// BenchmarkWrite is what one record costs: converted, compressed, indexed, written and
// committed. Of short connections the starts are not; long ones begin here and end
// later.
func BenchmarkWrite(b *testing.B) {
	short := batches(1 << 14)
	long := batches(1 << 14)
	for i, batch := range long {
		long[i] = slices.DeleteFunc(batch, func(r flow.Record) bool { return r.Kind == flow.RecordEnd })
	}
	for name, all := range map[string][][]flow.Record{"short": short, "long": long} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b)
			b.ResetTimer()
			n := 0
			for i := 0; b.Loop(); i++ {
				batch := all[i%len(all)]
				if err := s.Consume(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				n += len(batch)
			}
			if lost := s.Lost()[lossWrite]; lost > 0 {
				b.Fatalf("lost %d", lost)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
		})
	}
}

// BenchmarkScan is a query that the index does not help: every block of the time is
// read.
func BenchmarkScan(b *testing.B) {
	s := benchStore(b)
	const flows = 1 << 15
	for _, batch := range batches(flows) {
		if err := s.Consume(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	s.Flush(context.Background())
	q := hubble.PastQuery{Since: -1 << 63, Until: 1<<63 - 1, Present: 1<<63 - 1}
	n := 0
	for b.Loop() {
		if err := s.Flows(context.Background(), q, func(hubble.PastPlace, *flowpb.Flow) bool { n++; return true }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "flows/s")
}

// BenchmarkWindow reads a day of 100 operations between 50 workloads, each asked in
// every minute.
func BenchmarkWindow(b *testing.B) {
	s, c := benchStore(b), newCrowd()
	for minute := range 24 * 60 {
		at := noon.Add(time.Duration(minute) * time.Minute)
		var batch []flow.Record
		for i := range 100 {
			start, end := c.lived(i, at)
			x := tally(at, fmt.Sprintf("/op/%d", i), 40, false)
			x.L7.Client, x.L7.Server, x.L7.Both = start.Flow.Client, start.Flow.Server, true
			batch = append(batch, end, x)
		}
		if err := s.Consume(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		s.watch.note(at, 0, true)
		s.flush(context.Background(), true)
		s.red = minutes{}
	}
	for b.Loop() {
		w, err := s.Window(context.Background(), noon, noon.Add(24*time.Hour))
		if err != nil {
			b.Fatal(err)
		}
		if len(w.Operations) != 100 || w.Gaps != 0 {
			b.Fatalf("%d operations, %d gaps", len(w.Operations), w.Gaps)
		}
	}
}
