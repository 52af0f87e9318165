package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/jsonl"
	"github.com/seed79351815/weir/exporters/otel"
	"github.com/seed79351815/weir/exporters/prom"
)

// attached is a sink at work, and what ends it.
type attached struct {
	sink collector.Sink
	stop func() // called when all records are consumed
}

// clock is what time it is in the minute that is told: a minute goes by within seconds,
// and its seconds are what the budget of flows is for.
type clock struct {
	collector.Sink
	now atomic.Int64
}

func (c *clock) Consume(ctx context.Context, batch []flow.Record) error {
	if len(batch) > 0 {
		c.now.Store(batch[0].Time)
	}
	return c.Sink.Consume(ctx, batch)
}

func (c *clock) time() time.Time { return time.Unix(0, c.now.Load()) }

// BenchmarkExporterShare is the processor time that a minute of a busy host takes in
// user space, without an exporter and with each. It is taken of the whole process,
// garbage collection included. The rounds' medians count: the machine may be busy.
func BenchmarkExporterShare(b *testing.B) {
	debug.SetGCPercent(50) // as the daemon has it
	rounds, seconds := lab.Rounds(5), 60
	if rounds == 1 {
		seconds = 3
	}
	spent := func(attach ...attach) float64 {
		return spent(b, seconds, attach...) * 60 / float64(seconds)
	}
	sets := append(slices.Clip(exportersAtWork), exporterSet{"default", []attach{attachProm, attachHubble, attachHistory}}, everyExporter())
	for b.Loop() {
		var none []float64 // ms
		more := map[string][]float64{}
		for range rounds {
			for _, s := range sets {
				// The machine's speed drifts: what is compared comes one after the other. Each
				// comes twice, and the second counts: a daemon has had its heap for long.
				spent()
				without := spent()
				spent(s.attach...)
				none, more[s.name] = append(none, without), append(more[s.name], spent(s.attach...)-without)
			}
		}
		b.ReportMetric(middle(none), "none-ms/min")
		for name, list := range more {
			b.ReportMetric(middle(list), name+"-ms/min")
		}
		b.ReportMetric(0, "ns/op")
	}
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// attach begins a sink.
type attach = func(b testing.TB, seconds int) attached

type exporterSet struct {
	name   string
	attach []attach
}

// exportersAtWork are those that weir has, set as the daemon sets them.
var exportersAtWork = []exporterSet{
	{"prom", []attach{attachProm}}, {"otel", []attach{attachOTLP}}, {"history", []attach{attachHistory}},
	{"jsonl", []attach{attachJSONL}}, {"hubble", []attach{attachHubble}},
}

func everyExporter() exporterSet {
	all := exporterSet{name: "all"}
	for _, e := range exportersAtWork {
		all.attach = append(all.attach, e.attach...)
	}
	return all
}

// spent is the processor time of so much of a minute, in ms.
func spent(b testing.TB, seconds int, attach ...attach) float64 {
	var sinks []collector.Sink
	var at []attached
	for _, a := range attach {
		x := a(b, seconds)
		at, sinks = append(at, x), append(sinks, x.sink)
	}
	table := aggregate.NewTable(aggregate.Config{}, newLoadIdentity())
	source := &minute{begin: time.Now().Add(-time.Minute).UnixNano(), seconds: seconds}
	c := collector.New(collector.Config{Wait: true, Logger: slog.New(slog.DiscardHandler)}, source, table, sinks...)
	runtime.GC()
	before := processorTime(b)
	if err := c.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, x := range at {
		x.stop()
	}
	took := processorTime(b) - before
	if h := c.Health(); h.Events < uint64(seconds)*4*loadOpened {
		b.Fatalf("only %d events", h.Events)
	} else {
		for l, n := range h.Lost {
			if n > 0 {
				b.Fatalf("lost %d of %v", n, l)
			}
		}
	}
	return took.Seconds() * 1e3
}

func processorTime(b testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// attachProm is scraped four times a minute, as Prometheus asks.
func attachProm(b testing.TB, seconds int) attached {
	e := prom.New(prom.Config{Health: func() collector.Health { return collector.Health{} }})
	h, err := e.Handler(func() error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	return attached{e, func() {
		for range (seconds + 14) / 15 {
			req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
			req.Header.Set("Accept-Encoding", "gzip")
			h.ServeHTTP(httptest.NewRecorder(), req)
		}
	}}
}

// attachOTLP sends to a receiver that reads and forgets, in this process: what it
// takes is in the figure. Queues have room for the minute, which comes within a
// second: nothing is lost and all of it is work.
func attachOTLP(b testing.TB, _ int) attached {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	to := func(path string) *otel.Endpoint {
		return &otel.Endpoint{URL: srv.URL + path, Protocol: otel.HTTP, Timeout: time.Minute}
	}
	room := otel.Limits{Queue: 200_000}
	c := &clock{}
	e, err := otel.New(otel.Config{
		Budget: defaultFlowBudget, Now: c.time,
		Traces: to("/v1/traces"), Metrics: to("/v1/metrics"), Logs: to("/v1/logs"), Spans: room, Records: room, Flush: time.Minute,
		TracesBudget: otel.DefaultTracesBudget, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	c.Sink = e
	return attached{c, func() {
		cancel()
		<-done
		srv.Close()
		for l, n := range e.Lost() {
			if n > 0 {
				b.Errorf("lost %d of %v", n, l)
			}
		}
	}}
}

func attachHistory(b testing.TB, _ int) attached {
	c := &clock{}
	s, err := history.Open(history.Config{
		Path: filepath.Join(b.TempDir(), "history.db"), NodeName: "host", Version: "weir", Budget: defaultFlowBudget, Now: c.time,
	})
	if err != nil {
		b.Fatal(err)
	}
	c.Sink = s
	return attached{c, func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
		for l, n := range s.Lost() {
			if n > 0 {
				b.Errorf("lost %d of %v", n, l)
			}
		}
	}}
}

func attachJSONL(b testing.TB, _ int) attached {
	c := &clock{}
	l, err := jsonl.Open(jsonl.Config{
		Path: filepath.Join(b.TempDir(), "flows.jsonl"), Size: 100 << 20, NodeName: "host", Version: "weir", Budget: defaultFlowBudget, Now: c.time,
	})
	if err != nil {
		b.Fatal(err)
	}
	c.Sink = l
	return attached{c, func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	}}
}

// attachHubble keeps the newest flows for clients, of which there are none.
func attachHubble(testing.TB, int) attached {
	return attached{hubble.NewObserver(hubble.Config{NodeName: "host", Version: "weir"}), func() {}}
}
