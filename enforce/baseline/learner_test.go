package baseline

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
)

// clock is a time that a test sets.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func opened(t *testing.T, path string, c *clock) *Learner {
	t.Helper()
	l, err := Open(Config{Path: path, Now: c.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func consume(t *testing.T, l *Learner, records []flow.Record) {
	t.Helper()
	if err := l.Consume(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func lost(n uint64, since int64) collector.Health {
	return collector.Health{
		Since: since,
		Lost: map[flow.Loss]uint64{
			{Stage: "kernel", Reason: "ring_full"}: n, {Stage: "prom", Reason: "queue_full"}: 99, {Stage: "record", Reason: "queue_full"}: 99,
		},
		Source: flow.SourceStats{Unseen: []flow.Unseen{{Protocol: flow.HTTP, Reason: "gap", Stretches: n, Bytes: 10 * n}}},
	}
}

func someFlow() []flow.Record {
	return flowtest.Flow(1, flow.TCP, flowtest.Local(flowtest.Service(11, "shop", "web", 1), 40000), flowtest.Remote("198.51.100.7", 443))
}

func TestLearnsWithinWindowsAlone(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	l := opened(t, "", c)
	consume(t, l, someFlow())
	if err := l.Stop(); !errors.Is(err, ErrNotLearning) {
		t.Errorf("stop before start: %v", err)
	}
	if s := l.Status(); s.Learning || s.Workloads != 0 {
		t.Errorf("status %+v: nothing was to be learned", s)
	}
	if err := l.Start(time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(0); !errors.Is(err, ErrLearning) {
		t.Errorf("a second start: %v", err)
	}
	consume(t, l, someFlow())
	c.now = c.now.Add(30 * time.Minute)
	if s := l.Status(); !s.Learning || s.Left != 30*time.Minute || s.Workloads != 1 {
		t.Errorf("status %+v: want half an hour left and a workload", s)
	}
	c.now = c.now.Add(31 * time.Minute)
	consume(t, l, flowtest.Flow(2, flow.TCP, flowtest.Local(flowtest.Container(21, "cache"), 1), flowtest.Remote("198.51.100.7", 443)))
	s := l.Status()
	if s.Learning || s.Workloads != 1 || s.Completeness.Learned != time.Hour {
		t.Errorf("status %+v: the window was over after an hour", s)
	}
	if err := l.Start(0); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(-time.Hour) // the clock is set back
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Baseline(); err != nil {
		t.Error(err)
	}
	l.Forget()
	if s := l.Status(); s.Workloads != 0 || s.Completeness.Windows != 0 {
		t.Errorf("status %+v: all was to be forgotten", s)
	}
}

func TestLossesOfTheWindow(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	began := c.now.UnixNano()
	l := opened(t, "", c)
	c.now = c.now.Add(time.Minute)
	l.Observe(lost(5, began))
	if err := l.Start(0); err != nil {
		t.Fatal(err)
	}
	l.Observe(lost(5, began))
	if got := l.Status().Completeness; !got.Complete() {
		t.Errorf("gaps %q: what was lost before is not the window's", got.Gaps())
	}
	l.Observe(lost(12, began))
	got := l.Status().Completeness
	if got.Lost["kernel/ring_full"] != 7 || len(got.Lost) != 1 || got.Unseen["http/gap"] != (Stretch{7, 70}) {
		t.Errorf("lost %v, unseen %v: want 7 of the ring's alone, and 7 stretches", got.Lost, got.Unseen)
	}
	want := []string{"7 events lost: kernel/ring_full 7", "layer 7 not read in 7 stretches, 70 bytes: http/gap"}
	if g := got.Gaps(); got.Complete() || strings.Join(g, "|") != strings.Join(want, "|") {
		t.Errorf("gaps %q, want %q", g, want)
	}
	l.Observe(lost(3, began)) // a new pipeline
	if got := l.Status().Completeness.Lost["kernel/ring_full"]; got != 10 {
		t.Errorf("%d lost, want 10: a new pipeline counts from 0", got)
	}
}

// A first account in the middle of a run tells nothing of the window.
func TestLossesBeforeTheFirstAccount(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	began := c.now.UnixNano()
	c.now = c.now.Add(time.Minute)
	l := opened(t, "", c)
	if err := l.Start(0); err != nil {
		t.Fatal(err)
	}
	l.Observe(lost(5, began))
	if got := l.Status().Completeness.Lost; len(got) != 0 {
		t.Errorf("lost %v: nobody knows whether within the window", got)
	}
}

func TestSurvivesRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "baseline.json")
	c := &clock{time.Unix(1_800_000_000, 0)}
	l := opened(t, path, c)
	if err := l.Start(2 * time.Hour); err != nil {
		t.Fatal(err)
	}
	consume(t, l, someFlow())
	c.now = c.now.Add(10 * time.Minute)
	l.Observe(lost(0, c.now.UnixNano()))
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	before := encoded(t, l.taker.Baseline)
	if on, err := os.ReadFile(path); err != nil || !bytes.Equal(on, before) {
		t.Fatalf("on disk %s (%v), want %s", on, err, before)
	}
	if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: only root may read what was learned", i.Mode())
	}
	c.now = c.now.Add(20 * time.Minute)

	l = opened(t, path, c)
	s := l.Status()
	if !s.Learning || s.Workloads != 1 || s.Left != 90*time.Minute {
		t.Fatalf("status %+v: the window goes on", s)
	}
	if got := s.Completeness; got.Blind != 20*time.Minute || got.Learned != 10*time.Minute || got.Interruptions != 1 || got.Complete() {
		t.Errorf("completeness %+v: 20 minutes were not seen", got)
	}
	l.Observe(lost(4, c.now.UnixNano()))
	if got := l.Status().Completeness.Lost["kernel/ring_full"]; got != 4 {
		t.Errorf("%d lost, want the 4 that the new run lost", got)
	}
	c.now = c.now.Add(24 * time.Hour)
	if s := opened(t, path, c).Status(); s.Learning || s.Completeness.Learned != 10*time.Minute {
		t.Errorf("status %+v: the window ended while weir did not run", s)
	}
}

func TestRunSavesAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "baseline.json")
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Config{Path: path, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Start(0); err != nil {
			t.Fatal(err)
		}
		consume(t, l, someFlow())
		ctx, cancel := context.WithCancel(t.Context())
		health := func() collector.Health { return lost(1, time.Now().UnixNano()) }
		done := make(chan struct{})
		go func() {
			l.Run(ctx, time.Minute, health)
			close(done)
		}()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if !l.Status().Saved {
			t.Error("not saved after a minute")
		}
		consume(t, l, someFlow())
		cancel()
		<-done
		if s := l.Status(); !s.Saved || s.Completeness.Lost["kernel/ring_full"] != 1 {
			t.Errorf("status %+v: not saved at the end", s)
		}
	})
}

func TestOldWindowsArePutTogether(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	l := opened(t, "", c)
	for range maxWindows + 10 {
		if err := l.Start(0); err != nil {
			t.Fatal(err)
		}
		c.now = c.now.Add(time.Minute)
		if err := l.Stop(); err != nil {
			t.Fatal(err)
		}
		c.now = c.now.Add(time.Hour)
	}
	b, err := l.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	got := b.Completeness()
	if len(b.Windows) != maxWindows || got.Windows != maxWindows+10 || got.Learned != (maxWindows+10)*time.Minute {
		t.Errorf("%d windows kept, %+v", len(b.Windows), got)
	}
}

func TestRecordingsBringTheirTime(t *testing.T) {
	l, err := Open(Config{Recorded: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(time.Hour); err != nil {
		t.Fatal(err)
	}
	w := flowtest.Local(flowtest.Service(11, "shop", "web", 1), 40000)
	for _, minute := range []uint64{0, 30, 59, 61} {
		consume(t, l, flowtest.Flow(60*minute, flow.TCP, w, flowtest.Remote("198.51.100.7", uint16(1000+minute))))
	}
	b, err := l.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	c := b.Completeness()
	if c.First != flowtest.Epoch || c.Learned != time.Hour || c.Open {
		t.Errorf("%+v: want an hour from the first record on", c)
	}
	if got := len(b.Profiles[web].Egress[Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("198.51.100.7")}].Services); got != 3 {
		t.Errorf("%d services, want the 3 within the hour", got)
	}
}

func TestTheHostIsKnown(t *testing.T) {
	l := opened(t, "", &clock{time.Unix(1_800_000_000, 0)})
	l.Meet(flowtest.Host())
	l.Meet(flowtest.Container(21, "cache"))
	l.Forget()
	b, err := l.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	if want := flowtest.Host().Addrs; !slices.Equal(b.Host, want) {
		t.Errorf("the host has %v, want %v", b.Host, want)
	}
}
