package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/identity"
)

// How long blind waits before it tries to capture again: each time twice as long.
const (
	retryFirst = 2 * time.Second
	retryMost  = 5 * time.Minute
)

// blind stands in capture's place where that cannot start and policies are to be
// held: it lets the resolver know which cgroups there are, and tries again. Once
// capture starts, it is that.
type blind struct {
	lookout lookout
	open    func() (*bpf.Capture, error)
	wait    time.Duration // before the first attempt
	log     *slog.Logger

	mu      sync.Mutex
	why     error        // why nothing is captured; nil where something is
	capture *bpf.Capture // nil until it starts
	closed  bool
}

// openBlind is a feed without capture. why is what is told of it.
func (a *app) openBlind(why error, sinks ...collector.Sink) *feed {
	root, err := a.findCgroupRoot()
	if err != nil {
		a.log.Debug("cgroup v2 is not found", "error", err)
	}
	resolver := identity.New(identity.Config{CgroupRoot: root, Logger: a.log})
	source := &blind{
		lookout: lookout{root: root, tell: resolver.Observe}, wait: retryFirst, why: why, log: a.log,
		open: func() (*bpf.Capture, error) { return a.openPrograms(root) },
	}
	f := a.newFeed(source, resolver, sinks...)
	f.source, f.blind = source, source
	return f
}

// Run gives no events before capture starts, and ends with ctx or with it.
func (b *blind) Run(ctx context.Context, out collector.Out) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for wait, next := b.wait, time.Now().Add(b.wait); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		b.lookout.look()
		if time.Now().Before(next) {
			continue
		}
		if c := b.try(); c != nil {
			return c.Run(ctx, out)
		}
		wait = min(2*wait, retryMost)
		next = time.Now().Add(wait)
	}
}

// try starts capture; nil where it still cannot.
func (b *blind) try() *bpf.Capture {
	c, err := b.open()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && b.closed {
		err = errors.Join(errors.New("weir stops"), c.Close())
	}
	if err != nil {
		if err.Error() != b.why.Error() { // else it was told
			b.log.Error("still nothing is captured; policies are held all the same", "error", err)
		}
		b.why = err
		return nil
	}
	b.log.Info("capturing, now that it works", "programs", c.Attached())
	b.capture, b.why = c, nil
	return c
}

// state is what captures, or why nothing does. It is safe from any goroutine.
func (b *blind) state() (*bpf.Capture, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.capture, b.why
}

// Stats is safe from any goroutine.
func (b *blind) Stats() flow.SourceStats {
	if c, _ := b.state(); c != nil {
		return c.Stats()
	}
	return flow.SourceStats{}
}

// Close ends what captures.
func (b *blind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.capture == nil {
		return nil
	}
	return b.capture.Close()
}
