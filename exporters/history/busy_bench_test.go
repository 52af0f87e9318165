package history

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

// busyHost makes the records of a busy host's seconds, as cmd/weir's ExporterShare has
// them: 1,000 connections a second of half a second each, 500 exchanges told in full
// with a path and a trace of their own, updates of 160 kept connections, and 800
// tallies of 100 operations.
type busyHost struct {
	crowd *crowd
	n     int // connections opened so far
	open  []flow.Record
}

func (c *busyHost) second(at time.Time) (out []flow.Record) {
	for i := range 1000 {
		start, end := c.crowd.lived(c.n, at.Add(time.Duration(i)*time.Millisecond))
		c.n++
		end.Time += 5e8
		end.Flow.Ended, end.Flow.Last = end.Time, end.Time
		out = append(out, start)
		c.open = append(c.open, end)
		if len(c.open) > 500 {
			out = append(out, c.open[0])
			c.open = c.open[1:]
		}
		if i%2 == 0 {
			out = append(out, c.exchange(&start))
		}
		if i < 160 {
			end.Kind, end.Flow.ID = flow.RecordUpdate, uint64(i)
			out = append(out, end)
		}
	}
	for i := range 800 {
		x := tally(at, fmt.Sprintf("/op/%d", i%10), 12, i%8 == 0)
		x.L7.Client.Workload, x.L7.Server.Workload, x.L7.Both = c.crowd.askers[i/80], c.crowd.answerers[i/80], true
		x.L7.Tally.Bucket += uint16(i % 8)
		out = append(out, x)
	}
	return out
}

func (c *busyHost) exchange(start *flow.Record) flow.Record {
	n := c.n
	client, server := start.Flow.Client, start.Flow.Server
	trace := fmt.Sprintf("%032x", n*2654435761)
	return flow.Record{Kind: flow.RecordL7, Time: start.Time, Verdict: flow.VerdictForwarded, L7: &flow.L7{
		Protocol: flow.HTTP, Client: client, Server: server, Seen: flow.RoleClient, Both: true, Method: "GET", Route: "/api/{id}", Rule: "collapsed", TraceID: trace,
		Exchange: &flow.Exchange{
			Counted: flow.Counted{
				Protocol: flow.HTTP, Role: flow.RoleClient, Cgroup: client.Workload.CgroupID, Peer: server.Workload.CgroupID,
				Remote: server.Addr.Addr(), Port: 8080, Operation: flow.Operation(n % 10),
			},
			Cookie: client.Cookie, ConnID: uint64(n), NetNS: 4026532000, PID: 4242, Comm: flow.MakeComm("client"), Local: client.Addr, RemotePort: 8080,
			Transport: flow.TCP, Status: 200, Why: flow.WhySample, Start: start.Time - 2e6, Latency: 2e6, RequestBytes: 300, ResponseBytes: 4000,
			HTTP: &flow.HTTPExchange{Method: "GET", Path: fmt.Sprintf("/api/users/%d", n), Version: 11, Traceparent: "00-" + trace + "-00f067aa0ba902b7-01"},
		},
	}}
}

// BenchmarkMinute is the processor time that the history takes of a busy host's
// minute, garbage collection included, and what it takes on disk. Records come as
// quickly as they are taken.
func BenchmarkMinute(b *testing.B) {
	debug.SetGCPercent(50) // as the daemon has it
	const seconds, batch = 15, 256
	var kept int
	var all [][]flow.Record
	load := busyHost{crowd: newCrowd()}
	for i := range seconds {
		for part := range slices.Chunk(load.second(noon.Add(time.Duration(i)*time.Second)), batch) {
			all = append(all, part)
		}
	}
	var took, least time.Duration
	var bytes int64
	for b.Loop() {
		s := benchStore(b)
		runtime.GC()
		before := processorTime(b)
		for _, part := range all {
			if err := s.Consume(b.Context(), part); err != nil {
				b.Fatal(err)
			}
		}
		s.Flush(b.Context())
		d := processorTime(b) - before
		if took += d; least == 0 || d < least {
			least = d
		}
		if len(s.Lost()) > 0 {
			b.Fatalf("lost %v", s.Lost())
		}
		e, err := s.Extent(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		kept, bytes = int(e.Flows), e.Bytes
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(took.Seconds()*1e3*60/seconds/float64(b.N), "ms/min")
	b.ReportMetric(least.Seconds()*1e3*60/seconds, "least-ms/min")
	b.ReportMetric(float64(bytes)/float64(kept), "bytes/flow")
	b.ReportMetric(float64(kept), "flows")
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
