package main

import (
	"context"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/identity"
)

// blind stands in capture's place where that cannot start and policies are to be
// held: it gives no events, and lets the resolver know which cgroups there are.
type blind struct{ lookout lookout }

// openBlind is a feed without capture. why is what is told of it.
func (a *app) openBlind(why error, sinks ...collector.Sink) *feed {
	root, err := a.findCgroupRoot()
	if err != nil {
		a.log.Debug("cgroup v2 is not found", "error", err)
	}
	resolver := identity.New(identity.Config{CgroupRoot: root, Logger: a.log})
	source := &blind{lookout{root: root, tell: resolver.Observe}}
	f := a.newFeed(source, resolver, sinks...)
	f.source, f.blind = source, why
	return f
}

// Run ends with ctx.
func (b *blind) Run(ctx context.Context, _ collector.Out) error {
	every(ctx, lookEvery, b.lookout.look)
	return nil
}

func (b *blind) Stats() flow.SourceStats { return flow.SourceStats{} }

func (b *blind) Close() error { return nil }
