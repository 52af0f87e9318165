package bpf

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/collector/flow"
)

// flood makes n events on every processor at once, as fast as the kernel can.
func flood(t testing.TB, c *Capture, n uint32) {
	t.Helper()
	spec, err := loadFlood()
	if err != nil {
		t.Fatal(err)
	}
	c.cfg.size(spec)
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: sharedBy(spec, c.maps)})
	if err != nil {
		t.Fatalf("load flood: %v", err)
	}
	defer coll.Close()
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			args := floodFloodArgs{Events: n}
			if _, err := coll.Programs["flood"].Run(&ebpf.RunOptions{Context: args, ContextOut: &args}); err != nil {
				t.Errorf("run flood: %v", err)
			} else if args.Made != n {
				t.Errorf("flood made %d events, want %d", args.Made, n)
			}
		})
	}
	wg.Wait()
}

// Two million events meet a ring of 64 KiB. What is lost is known to the last
// one, and nothing grows.
func TestFloodIsCountedExactly(t *testing.T) {
	lab.RequireRoot(t)
	cfg := quiet(t)
	cfg.RingSize = 64 << 10
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := &discard{batch: make([]flow.Event, 0, 256)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, r) }()

	const million = 1_000_000
	rounds := 2 * million / (runtime.NumCPU() * 100_000)
	before := residentKiB(t)
	for range rounds {
		flood(t, c, 100_000)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s := c.Stats()
	total := s.Total()
	if total.Produced < 2*million {
		t.Errorf("produced %d events, want two million", total.Produced)
	}
	if total.Lost == 0 {
		t.Error("nothing was lost: the flood was no flood")
	}
	for cpu, n := range s.PerCPU {
		if n.Produced != n.Delivered+n.Lost {
			t.Errorf("processor %d: produced %d, delivered %d, lost %d", cpu, n.Produced, n.Delivered, n.Lost)
		}
	}
	if lost := s.Lost[flow.Loss{Stage: "kernel", Reason: "ring_full"}]; lost != total.Lost {
		t.Errorf("lost by reason %d, by processor %d", lost, total.Lost)
	}
	t.Logf("produced %d, delivered %d, lost %d", total.Produced, total.Delivered, total.Lost)
	if grown := residentKiB(t) - before; grown > 64<<10 {
		t.Errorf("resident memory grew by %d KiB", grown)
	}
}

// discard is an Out that forgets.
type discard struct{ batch []flow.Event }

func (d *discard) Batch() []flow.Event                      { return d.batch[:0] }
func (d *discard) Offer([]flow.Event)                       {}
func (d *discard) Send(context.Context, []flow.Event) error { return nil }

func residentKiB(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmRSS in /proc/self/status")
	return 0
}

// BenchmarkRingRead is what one event costs from the ring to a decoded
// flow.Event in a batch, the reader's sleep not counted.
func BenchmarkRingRead(b *testing.B) {
	lab.RequireRoot(b)
	cfg := quiet(b)
	cfg.RingSize, cfg.Poll = 8<<20, time.Microsecond
	c, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	out := &batcher{out: &discard{batch: make([]flow.Event, 0, 256)}}
	const events = 10_000 // on each processor: they fit into the ring together
	read := func() (before, after uint64) {
		before = c.Stats().Total().Delivered
		if err := c.drain(out); err != nil {
			b.Fatal(err)
		}
		out.flush()
		return before, c.Stats().Total().Delivered
	}
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		flood(b, c, events)
		b.StartTimer()
		before, after := read()
		n += after - before
	}
	if lost := c.Stats().Total().Lost; lost > 0 {
		b.Fatalf("%d events were lost: the ring is too small for this", lost)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
