package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/otel"
	"github.com/seed79351815/weir/exporters/prom"
)

// daemon is weir run at work.
type daemon struct {
	app      *app
	started  time.Time
	listen   *listeners
	feed     *feed
	meter    *meter
	prom     *prom.Exporter
	observer *hubble.Observer
	kept     *kept
	learner  *baseline.Learner
	manager  *enforce.Manager
	unwatch  func()         // ends what the manager watches
	otlp     *otel.Exporter // nil where nothing is sent
	ready    atomic.Bool
}

// learnedEvery is how often what was learned is written to the disk.
const learnedEvery = 10 * time.Second

// newDaemon opens the listeners, then the kernel: who waits for the socket is
// answered as soon as there is something to tell.
func (a *app) newDaemon() (*daemon, error) {
	listen, err := a.cfg.listen(a.log)
	if err != nil {
		return nil, err
	}
	d := &daemon{app: a, started: time.Now(), listen: listen, meter: newMeter(time.Now)}
	if d.kept, err = a.openKept(d.account); err != nil {
		listen.close()
		return nil, err
	}
	b := thisBuild()
	labels, err := prom.ParseLabels(a.cfg.metricsLabels, a.cfg.metricsOmit)
	if err != nil {
		listen.close()
		return nil, fmt.Errorf("metrics: %w", err)
	}
	d.prom = prom.New(prom.Config{
		Labels: labels, Health: d.health, Budget: a.cfg.metricsBudget, Build: prom.Build{Version: b.Version, Revision: b.Revision, Go: b.Go},
	})
	peers, err := hubble.ParsePeers(a.cfg.hubblePeers)
	if err != nil {
		listen.close()
		return nil, fmt.Errorf("peers: %w", err)
	}
	d.observer = hubble.NewObserver(hubble.Config{
		Ring: a.cfg.ring, NodeName: hostName(), Version: "weir " + b.Version, Address: a.cfg.hubbleAddress(listen), ServerName: listen.serverName,
		Peers: peers, Health: d.health, Live: d.living, Past: d.kept.past(),
	})
	if d.learner, err = a.openLearner(); err != nil {
		listen.close()
		return nil, errors.Join(err, d.kept.close())
	}
	sinks := append(d.kept.sinks(), d.prom, d.observer, d.meter, d.learner)
	if d.otlp, err = a.openOTLP(d.health); err != nil {
		listen.close()
		return nil, fmt.Errorf("OTLP: %w", err)
	}
	if d.otlp != nil {
		sinks = append(sinks, d.otlp)
	}
	// What the sinks ask for is there before the first of them is fed.
	d.feed, err = a.openCapture(nil, sinks...)
	if err != nil {
		d.feed = a.openBlind(err, sinks...)
	}
	if d.manager, d.unwatch, err = a.openManager(d.feed); err != nil {
		listen.close()
		_, why := d.feed.captured()
		return nil, errors.Join(why, err, d.feed.close(), d.kept.close())
	}
	if _, err := d.feed.captured(); err != nil {
		// Policies hold whatever becomes of capture; without them there is nothing to go on for.
		if !d.manager.Charged() {
			d.unwatch()
			listen.close()
			return nil, errors.Join(err, d.feed.close(), d.kept.close())
		}
		a.log.Error("nothing is captured; policies are held all the same", "error", err)
	}
	return d, nil
}

// serve works until ctx ends or something breaks.
func (d *daemon) serve(ctx context.Context) error {
	handler, err := d.prom.Handler(d.readiness)
	if err != nil {
		d.listen.close()
		return errors.Join(err, d.feed.close(), d.kept.close())
	}
	defer d.startOTLP(ctx)()
	n := notifier{d.app.log}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := d.feed.run(gctx)
		if err == nil && gctx.Err() == nil {
			err = errors.New("capture ended by itself")
		}
		return err
	})
	defer d.unwatch()
	g.Go(func() error { return d.manager.Run(gctx) })
	// Nobody is told that weir is ready before what was kept holds.
	select {
	case <-d.manager.Started():
	case <-gctx.Done():
	}
	g.Go(func() error { return d.kept.run(gctx) })
	g.Go(func() error {
		d.learner.Run(gctx, learnedEvery, d.health)
		return nil
	})
	g.Go(func() error { return d.serveControl(gctx) })
	if len(d.listen.hubble) > 0 {
		g.Go(func() error { return d.observer.Serve(gctx, d.listen.hubble...) })
	}
	g.Go(func() error {
		d.tellEvents(gctx)
		return nil
	})
	if d.listen.metrics != nil {
		g.Go(func() error {
			return prom.Serve(gctx, d.listen.metrics, handler, d.app.cfg.metricsWebConfig, d.app.log)
		})
	}
	g.Go(func() error {
		n.watch(gctx, d.alive, d.summary)
		return nil
	})
	d.app.giveBack()
	if err := slackenTimers(); err != nil {
		d.app.log.Debug("timers stay exact, which costs some switches", "error", err)
	}
	d.ready.Store(true)
	d.announce(gctx, n)
	<-gctx.Done()
	d.ready.Store(false)
	n.stopping()
	return errors.Join(g.Wait(), d.kept.close())
}

// health is the pipeline's account with those of the observer's clients and of what
// is sent.
func (d *daemon) health() collector.Health {
	h := d.feed.Health()
	for l, n := range d.observer.Lost() {
		h.Lost[l] += n
	}
	if d.otlp != nil {
		for l, n := range d.otlp.Lost() {
			h.Lost[l] += n
		}
	}
	h.Source.Tables = append(slices.Clip(h.Source.Tables), d.manager.Tables()...)
	d.kept.addLost(h.Lost)
	for _, lost := range []map[flow.Loss]uint64{d.learner.Lost(), d.manager.Lost()} {
		for l, n := range lost {
			h.Lost[l] += n
		}
	}
	return h
}

// account is what the history tells of the minutes in which it was written.
func (d *daemon) account() (lost uint64, watching bool) {
	for _, n := range d.health().Lost {
		lost += n
	}
	return lost, d.feed.blind == nil
}

func (d *daemon) living(yield func(*flow.Record) bool) { d.feed.pipeline.Living(yield) }

func (d *daemon) up() time.Duration { return time.Since(d.started) }

// alive tells whether the pipeline still answers: then systemd need not restart it.
func (d *daemon) alive() bool {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		d.living(func(*flow.Record) bool { return false })
	}()
	select {
	case <-answered:
		return true
	case <-time.After(5 * time.Second):
		d.app.log.Error("the pipeline does not answer")
		return false
	}
}

// summary is a line for systemctl status.
func (d *daemon) summary() string {
	live, opened, bytes := d.meter.rates()
	if err := d.readiness(); err != nil {
		return "not ready: " + err.Error()
	}
	return fmt.Sprintf("%s flows, %.1f new/s, %s/s, lost: %s", grouped(live), opened, size(bytes),
		lostLine(control.Losses(d.health().Lost)))
}
