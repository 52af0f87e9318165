package bpf

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/collector/flow"
)

func TestMain(m *testing.M) { lab.Main(m) }

// patience bounds every wait for an event; a good run waits for none of it.
const patience = 10 * time.Second

// quiet is a Config for tests.
func quiet(t testing.TB) Config {
	return Config{
		CgroupRoot: lab.CgroupRoot(t),
		Interval:   100 * time.Millisecond,
		Poll:       10 * time.Millisecond,
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// recorder is an Out that keeps every event.
type recorder struct {
	mu     sync.Mutex
	events []flow.Event
	more   chan struct{}
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{}, 1)} }

func (r *recorder) Batch() []flow.Event { return make([]flow.Event, 0, 256) }

func (r *recorder) Offer(batch []flow.Event) {
	r.mu.Lock()
	r.events = append(r.events, batch...)
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *recorder) Send(_ context.Context, batch []flow.Event) error {
	r.Offer(batch)
	return nil
}

// all returns what has come so far and is like.
func (r *recorder) all(like func(*flow.Event) bool) []flow.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []flow.Event
	for i := range r.events {
		if like(&r.events[i]) {
			found = append(found, r.events[i])
		}
	}
	return found
}

// wait waits until n events like that have come, and returns them.
func (r *recorder) wait(t testing.TB, what string, n int, like func(*flow.Event) bool) []flow.Event {
	t.Helper()
	deadline := time.After(patience)
	for {
		if found := r.all(like); len(found) >= n {
			return found
		}
		select {
		case <-r.more:
		case <-deadline:
			t.Fatalf("%s: %d events after %v, want %d, of %d in all", what, len(r.all(like)), patience, n, len(r.all(func(*flow.Event) bool { return true })))
		}
	}
}

// capture runs a Capture until the test ends.
func capture(t testing.TB, cfg Config) (*Capture, *recorder) {
	t.Helper()
	lab.RequireRoot(t)
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, r) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c, r
}

// of selects events of one kind whose socket is like that.
func of(kind flow.Kind, like func(*flow.Socket) bool) func(*flow.Event) bool {
	return func(ev *flow.Event) bool { return ev.Kind == kind && like(&ev.Socket) }
}
