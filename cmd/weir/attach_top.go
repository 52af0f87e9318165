package main

import (
	"context"
	"errors"
	"time"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
)

// attachTop feeds a view from the daemon, and its health from there too.
func (a *app) attachTop(ctx context.Context, client *hubble.Client, view *aggregate.View) (*shown, error) {
	cc, err := a.dial(ctx)
	if err != nil {
		client.Close()
		return nil, err
	}
	health := func() collector.Health {
		// The last table is made when ctx is done.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		var h collector.Health
		if s, err := control.Get(ctx, cc); err == nil {
			h = s.Health()
		}
		if h.Lost == nil {
			h.Lost = map[flow.Loss]uint64{}
		}
		for l, n := range client.Lost() {
			// The daemon's own count of a loss is the better one.
			if h.Lost[l] < n {
				h.Lost[l] = n
			}
		}
		return h
	}
	run := func(ctx context.Context) error {
		defer client.Close()
		err := client.Records(ctx, func(batch []flow.Record) error { return view.Consume(ctx, batch) })
		if ctx.Err() != nil || errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	poll := policyPoll{ask: daemonPolicies(ctx, cc)}
	return &shown{view: view, health: health, policies: poll.get, past: daemonPast(cc), host: hostName(), kernel: kernelRelease(),
		attached: "daemon " + a.cfg.socket, run: run, close: func() { cc.Close() }}, nil
}
