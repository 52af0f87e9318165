package collector

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// nobody is an Identity that knows nothing.
type nobody struct{}

func (nobody) Observe(*flow.Event)                        {}
func (nobody) Workload(id uint64) *flow.Workload          { return &flow.Workload{CgroupID: id, Name: "x"} }
func (nobody) ByAddr(netip.Addr) *flow.Workload           { return nil }
func (nobody) Names(uint64, netip.Addr) []string          { return nil }
func (nobody) Proxied(uint32) (a netip.AddrPort, ok bool) { return }
func (nobody) Generation() uint64                         { return 0 }
func (nobody) Translated(flow.Protocol, netip.AddrPort, netip.AddrPort) (a netip.AddrPort, ok bool) {
	return
}

// funcSource runs a function as a Source.
type funcSource struct {
	run   func(context.Context, Out) error
	stats flow.SourceStats
}

func (s funcSource) Run(ctx context.Context, out Out) error { return s.run(ctx, out) }
func (s funcSource) Stats() flow.SourceStats                { return s.stats }

// memory is a Sink that keeps what it gets.
type memory struct {
	name    string
	consume func(ctx context.Context, batch []flow.Record) error // before it keeps; nil does nothing
	mu      sync.Mutex
	records []flow.Record
}

func (m *memory) Name() string { return m.name }

func (m *memory) Consume(ctx context.Context, batch []flow.Record) error {
	if m.consume != nil {
		if err := m.consume(ctx, batch); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, batch...)
	return nil
}

func (m *memory) count(k flow.RecordKind) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.records {
		if m.records[i].Kind == k {
			n++
		}
	}
	return n
}

// connection adds the events of the i-th short connection to a foreign server.
func connection(batch []flow.Event, i int) []flow.Event {
	now := time.Now().UnixNano()
	s := flow.Socket{
		Cookie: uint64(i + 1), Cgroup: 5, Protocol: flow.TCP, Role: flow.RoleClient, Start: now,
		Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 16), 1}), uint16(i)),
		Remote: netip.MustParseAddrPort("93.184.216.34:443"),
	}
	batch = append(batch, flow.Event{Kind: flow.KindOpen, Time: now, Socket: s})
	s.End = flow.EndClosed
	return append(batch, flow.Event{Kind: flow.KindClose, Time: now, Socket: s})
}

func newPipeline(cfg Config, src Source, sinks ...Sink) *Collector {
	return New(cfg, src, aggregate.NewTable(aggregate.Config{MaxFlows: 4096}, nobody{}), sinks...)
}

var testLost = func(stage, reason string) flow.Loss { return flow.Loss{Stage: stage, Reason: reason} }

func TestEverySinkGetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		src := funcSource{run: func(ctx context.Context, out Out) error {
			for i := range n {
				if err := out.Send(ctx, connection(out.Batch(), i)); err != nil {
					return err
				}
			}
			return nil
		}}
		a, b := &memory{name: "a"}, &memory{name: "b"}
		c := newPipeline(Config{}, src, a, b)
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*memory{a, b} {
			if s, e := m.count(flow.RecordStart), m.count(flow.RecordEnd); s != n || e != n {
				t.Errorf("sink %s: %d starts, %d ends; want %d", m.name, s, e, n)
			}
		}
		h := c.Health()
		if h.Events != 2*n || h.Records != 2*n || h.Flows != 0 {
			t.Errorf("health %+v", h)
		}
		for l, lost := range h.Lost {
			if lost != 0 {
				t.Errorf("lost %v: %d", l, lost)
			}
		}
	})
}

// A record reaches the sinks without more events, and ticks go on.
func TestLiveRecordsComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := funcSource{run: func(ctx context.Context, out Out) error {
			out.Offer(connection(out.Batch(), 1))
			<-ctx.Done()
			return ctx.Err()
		}}
		m := &memory{name: "m"}
		ctx, cancel := context.WithCancel(t.Context())
		c := newPipeline(Config{}, src, m)
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if m.count(flow.RecordStart) != 1 || m.count(flow.RecordEnd) != 1 {
			t.Errorf("records after half a second: %+v", m.records)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// What the edge has no room for is counted, event by event.
func TestFullEdge(t *testing.T) {
	e := newEdge(2)
	for i := range 5 {
		e.Offer(connection(e.Batch(), i))
	}
	lost := map[flow.Loss]uint64{}
	e.addLost(lost)
	if got := lost[testLost("collector", "queue_full")]; got != 6 {
		t.Errorf("%d events lost, want 6", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Send(ctx, connection(e.Batch(), 9)); !errors.Is(err, context.Canceled) {
		t.Errorf("send to a full edge: %v", err)
	}
	e.addLost(lost)
	if got := lost[testLost("collector", "stopped")]; got != 2 {
		t.Errorf("%d events counted as stopped, want 2", got)
	}
}

// Batches are used again, and only those that the edge made.
func TestBatchesAreReused(t *testing.T) {
	e := newEdge(2)
	b := e.Batch()[:1]
	e.recycle(b)
	if again := e.Batch(); len(again) != 0 || &again[:1][0] != &b[0] {
		t.Error("the batch did not come back empty")
	}
	e.recycle(make([]flow.Event, 0, 1))
	if b := e.Batch(); cap(b) != eventBatch {
		t.Errorf("a foreign batch of %d events was kept", cap(b))
	}
}

// A sink that is stuck or fails harms neither the other sinks nor the source,
// and its losses add up.
func TestBadSinksAreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20_000
		src := funcSource{run: func(ctx context.Context, out Out) error {
			for i := range n {
				if err := out.Send(ctx, connection(out.Batch(), i)); err != nil {
					return err
				}
			}
			return nil
		}}
		var log bytes.Buffer
		stuck := &memory{name: "stuck", consume: func(ctx context.Context, _ []flow.Record) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		failing := &memory{name: "failing", consume: func(context.Context, []flow.Record) error { return errors.New("disk full") }}
		good := &memory{name: "good"}
		c := newPipeline(Config{SinkBatches: 4096, Logger: slog.New(slog.NewTextHandler(&log, nil))}, src, failing, good)
		s := newOutlet(stuck, 2, slog.New(slog.DiscardHandler))
		c.outlets = append(c.outlets, s)
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := good.count(flow.RecordStart) + good.count(flow.RecordEnd); got != 2*n {
			t.Errorf("the good sink got %d records, want %d", got, 2*n)
		}
		h := c.Health()
		if got := h.Lost[testLost("failing", "sink_failed")]; got != h.Records {
			t.Errorf("failing sink: %d records counted, want %d", got, h.Records)
		}
		full, failed, stopped := h.Lost[testLost("stuck", "queue_full")], h.Lost[testLost("stuck", "sink_failed")], h.Lost[testLost("stuck", "stopped")]
		if full == 0 || failed == 0 || stopped == 0 || full+failed+stopped != h.Records {
			t.Errorf("stuck sink: %d + %d + %d records counted, want %d", full, failed, stopped, h.Records)
		}
		if lines := strings.Count(log.String(), "disk full"); lines != 1 {
			t.Errorf("%d lines logged, want 1:\n%s", lines, log.String())
		}
	})
}

// A sink that ignores its context is named, and Run returns all the same.
func TestDeafSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := &memory{name: "deaf", consume: func(context.Context, []flow.Record) error { <-release; return nil }}
		src := funcSource{run: func(ctx context.Context, out Out) error { return out.Send(ctx, connection(out.Batch(), 1)) }}
		begun := time.Now()
		err := newPipeline(Config{Drain: 2 * time.Second}, src, &memory{name: "good"}, deaf).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "sink deaf") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("run took %v", took)
		}
		close(release)
	})
}

func TestSourceError(t *testing.T) {
	broken := errors.New("ring broken")
	m := &memory{name: "m"}
	src := funcSource{
		run: func(ctx context.Context, out Out) error {
			out.Offer(connection(out.Batch(), 1))
			return broken
		},
		stats: flow.SourceStats{Lost: map[flow.Loss]uint64{testLost("kernel", "ring_full"): 9}},
	}
	c := newPipeline(Config{}, src, m)
	if err := c.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if m.count(flow.RecordEnd) != 1 {
		t.Error("what came before the error was not told")
	}
	if got := c.Health().Lost[testLost("kernel", "ring_full")]; got != 9 {
		t.Errorf("the source's loss is %d in the pipeline's account", got)
	}
}

// oldSource lives in another time, as a recording does.
type oldSource struct {
	funcSource
	now atomic.Int64
}

func (s *oldSource) Now() int64 { return s.now.Load() }

// With a recording the table's time is the recording's: a tick at the present
// would end all its flows.
func TestTimeOfTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oldSource{}
		m := &memory{name: "m"}
		src.run = func(ctx context.Context, out Out) error {
			ev := connection(nil, 1)[0]
			ev.Time, ev.Socket.Start = 1e18, 1e18
			if err := out.Send(ctx, append(out.Batch(), ev)); err != nil {
				return err
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if n := m.count(flow.RecordStart); n != 0 {
				t.Errorf("%d starts while the recording's time stood still", n)
			}
			src.now.Store(1e18 + 3e8)
			time.Sleep(time.Second)
			synctest.Wait()
			if n := m.count(flow.RecordStart); n != 1 {
				t.Errorf("%d starts after the recording's time went on", n)
			}
			return nil
		}
		if err := newPipeline(Config{}, src, m).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m.count(flow.RecordEnd) != 0 {
			t.Error("a living flow was ended")
		}
	})
}

// Health may be asked for while the pipeline runs (the race detector looks on).
func TestHealthMeanwhile(t *testing.T) {
	stop := make(chan struct{})
	src := funcSource{run: func(ctx context.Context, out Out) error {
		for i := range 2000 {
			if err := out.Send(ctx, connection(out.Batch(), i)); err != nil {
				return err
			}
		}
		close(stop)
		return nil
	}}
	c := newPipeline(Config{}, src, &memory{name: "m"})
	var asked sync.WaitGroup
	asked.Go(func() {
		for last := uint64(0); ; {
			h := c.Health()
			if h.Events < last {
				t.Errorf("events went from %d to %d", last, h.Events)
			}
			last = h.Events
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked.Wait()
}

// BenchmarkPipeline is a source at full speed through edge, table and one sink.
func BenchmarkPipeline(b *testing.B) {
	src := funcSource{run: func(ctx context.Context, out Out) error {
		batch, now := out.Batch(), time.Now().UnixNano()
		proto := connection(nil, 0)[0]
		proto.Kind = flow.KindUpdate
		for i := range b.N {
			ev := proto
			n := i % 4000
			ev.Time, ev.Socket.Cookie = now+int64(i)*1000, uint64(n+1)
			ev.Socket.Local = netip.AddrPortFrom(ev.Socket.Local.Addr(), uint16(n))
			ev.Socket.Sent.Packets = uint64(i)
			if batch = append(batch, ev); len(batch) == cap(batch) {
				if err := out.Send(ctx, batch); err != nil {
					return err
				}
				batch = out.Batch()
			}
		}
		return out.Send(ctx, batch)
	}}
	b.ReportAllocs()
	drop := &memory{name: "drop", consume: func(context.Context, []flow.Record) error { return errors.New("no") }}
	if err := newPipeline(Config{Logger: slog.New(slog.DiscardHandler)}, src, drop).Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}
