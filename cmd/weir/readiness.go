package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// readiness is what weir status and /readyz tell: nil where all that is asked of
// weir works.
func (d *daemon) readiness() error {
	if !d.ready.Load() {
		return errors.New("it is starting or stopping")
	}
	if err := d.manager.Unheld(); err != nil {
		return fmt.Errorf("policies do not hold: %w", err)
	}
	_, err := d.feed.captured()
	return err
}

// announce tells systemd that weir is ready, as soon as policies hold: until then
// services that must not run without them wait. It returns then, or when ctx ends.
func (d *daemon) announce(ctx context.Context, n notifier) {
	const pause = time.Second
	for told := false; ; told = true {
		err := d.manager.Unheld()
		if err == nil {
			break
		}
		if !told {
			d.app.log.Error("weir is not ready: policies do not hold", "error", err)
		}
		n.starting("policies do not hold: "+err.Error(), 10*pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
	l := d.addresses()
	addresses := []any{"socket", l.Socket, "hubble", l.Hubble, "metrics", l.Metrics}
	c, err := d.feed.captured()
	if err != nil {
		n.ready("policies hold; " + err.Error())
		d.app.log.Warn("policies hold, and nothing is captured", addresses...)
		return
	}
	n.ready("capturing")
	d.app.log.Info("ready", append([]any{"programs", c.Attached()}, addresses...)...)
}
