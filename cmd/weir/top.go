package main

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/ui"
)

// topOptions are what one call of weir top shall do.
type topOptions struct {
	replay  replayOptions
	period  time.Duration
	refresh time.Duration
	filter  string
	sort    string
	view    string
	window  string
	mouse   bool
}

func (a *app) topCommand() *cobra.Command {
	o := topOptions{refresh: time.Second}
	cmd := &cobra.Command{
		Use:     "top",
		GroupID: groupLook,
		Short:   "Watch workloads and flows live",
		Long: `top shows workloads, their flows and how well they go, and what policies refuse,
live. It attaches to the daemon; where none runs it captures by itself, and with
--file it plays a recording. With --window, or the key t, workloads and operations
are of the last minutes, hours or days, out of what the daemon keeps on disk, also of
the time before its last restart. In it, ? shows the keys. Without a terminal that can
place a cursor (TERM=dumb, or a pipe) it prints tables at each --refresh instead.`,
		Example: `  weir top
  weir top --filter shop --sort -rate       # only what matches, fastest first
  weir top --view policy                    # what is denied, or would be
  weir top --window 24h --view operations   # how it went since yesterday
  weir top --file incident.weir.gz          # what was recorded
  weir top --for 10s --refresh 5s | cat     # as text`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	fs.StringVar(&o.filter, "filter", "", "show what matches this `text`, as after / in the screen")
	fs.StringVar(&o.sort, "sort", "", "sort by this `column`, after - in reverse")
	choiceVar(fs, &o.view, "view", "", []string{"workloads", "flows", "operations", "health", "policy"}, "what to show first")
	windowVar(fs, &o.window, "window", "the `time` of workloads and operations: live, or the last 5m, 24h, 7d, … out of the history")
	fs.BoolVar(&o.mouse, "mouse", false, "use the mouse; selecting text then needs the shift key")
	durationVar(fs, &o.refresh, "refresh", 200*time.Millisecond, time.Hour, "how often it is drawn")
	durationVar(fs, &o.period, "for", 0, maxPeriod, "stop after this time")
	o.replay.flags(fs)
	a.cfg.clientFlags(fs)
	a.cfg.captureFlags(fs)
	a.cfg.placeFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error { return a.top(ctx, o) })
	return cmd
}

// maxPeriod bounds --for: longer is for ever.
const maxPeriod = 30 * 24 * time.Hour

// shown is what top draws.
type shown struct {
	view     *aggregate.View
	health   func() collector.Health
	policies func() ui.Policies
	past     func(ctx context.Context, window time.Duration) (*ui.Past, error) // nil: there is none
	host     string
	kernel   string
	attached string
	recorded bool
	run      func(context.Context) error // feeds view until its source or ctx ends
	close    func()                      // when nobody asks the others any more; nil: nothing to do
}

func (a *app) top(ctx context.Context, o topOptions) error {
	if a.plain() && (o.filter != "" || o.sort != "" || o.view != "") {
		return &usageError{err: errors.New("--filter, --sort and --view need a terminal; weir observe filters text"), help: "weir top"}
	}
	if o.replay.file != "" && o.window != "" && o.window != "live" {
		return &usageError{err: errors.New("--window and --file cannot be combined: a recording is shown from its beginning to its end"), help: "weir top"}
	}
	var later deferredLog
	if !a.plain() {
		// Nobody else may write while the screen is on.
		terminal := a.err
		a.err = &later
		a.log = a.newLogger()
		defer func() { a.err = terminal; later.flush(terminal) }()
	}
	ctx, cancel := withPeriod(ctx, o.period)
	defer cancel()
	s, err := a.openTop(ctx, o)
	if err != nil {
		return err
	}
	if s.close != nil {
		defer s.close()
	}
	fed := make(chan error, 1)
	drawing, stop := context.WithCancel(ctx)
	defer stop()
	var guard ui.Guard
	go func() {
		defer guard.Recover()
		err := s.run(ctx)
		// A recording that has ended is still worth a look; a fault ends the screen.
		if err != nil || a.plain() {
			stop()
		}
		fed <- err
	}()
	if a.plain() {
		err = a.printTop(drawing, s, o)
	} else {
		err = ui.Run(drawing, a.screen(s, o, &guard))
	}
	cancel()
	return errors.Join(err, <-fed)
}

func (a *app) screen(s *shown, o topOptions, guard *ui.Guard) ui.Config {
	return ui.Config{
		Snapshot: s.view.Snapshot, Health: s.health, Policies: s.policies, Past: s.past, Host: s.host, Kernel: s.kernel,
		Attached: s.attached, Recorded: s.recorded, Filter: o.filter, Sort: o.sort, View: o.view, Window: o.window,
		Interval: o.refresh, Mouse: o.mouse, NoColor: !a.color(), Guard: guard,
	}
}

// openTop finds where the flows come from.
func (a *app) openTop(ctx context.Context, o topOptions) (*shown, error) {
	if o.replay.file != "" {
		return a.replayTop(o)
	}
	view := aggregate.NewView(aggregate.ViewConfig{MaxFlows: a.cfg.maxFlows})
	client, err := a.attach(ctx)
	if err == nil {
		return a.attachTop(ctx, client, view)
	}
	if !errors.Is(err, errNoDaemon) {
		return nil, err
	}
	f, err := a.openCapture(nil, view)
	if err != nil {
		return nil, err
	}
	attached := "own capture"
	if a.cfg.unredacted {
		attached += ", unredacted"
	}
	poll := policyPoll{ask: a.pinnedPolicies}
	return &shown{view: view, health: withLost(f.Health, view), policies: poll.get, past: a.keptPast, host: hostName(), kernel: kernelRelease(),
		attached: attached, run: f.run}, nil
}

func (a *app) replayTop(o topOptions) (*shown, error) {
	var clock replayClock
	view := aggregate.NewView(aggregate.ViewConfig{MaxFlows: a.cfg.maxFlows, Clock: clock.now})
	src, err := o.replay.open()
	if err != nil {
		return nil, err
	}
	f := a.replayFrom(src, view)
	run := func(ctx context.Context) error {
		defer clock.stop()
		return f.run(ctx)
	}
	return &shown{view: view, health: withLost(f.Health, view), policies: recordedPolicies, host: src.Meta().Host, kernel: src.Meta().Kernel,
		attached: "recording " + o.replay.file, recorded: true, run: run}, nil
}

// withLost adds what the view had no room for.
func withLost(health func() collector.Health, view *aggregate.View) func() collector.Health {
	return func() collector.Health {
		h := health()
		if h.Lost == nil {
			h.Lost = map[flow.Loss]uint64{}
		}
		for l, n := range view.Lost() {
			h.Lost[l] += n
		}
		return h
	}
}

// withPeriod ends after --for, which is no error, and not at all for 0.
func withPeriod(ctx context.Context, period time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if period > 0 {
		t := time.AfterFunc(period, cancel)
		return ctx, func() { t.Stop(); cancel() }
	}
	return ctx, cancel
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// deferredLog keeps the newest of what is written, until it may be shown.
type deferredLog struct {
	mu  sync.Mutex
	buf []byte
}

const keepLog = 64 << 10

func (l *deferredLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if len(l.buf) > keepLog {
		cut := len(l.buf) - keepLog
		if i := bytes.IndexByte(l.buf[cut:], '\n'); i >= 0 {
			cut += i + 1
		}
		l.buf = append(l.buf[:0], l.buf[cut:]...)
	}
	return len(p), nil
}

func (l *deferredLog) flush(w interface{ Write([]byte) (int, error) }) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = w.Write(l.buf) // there is nobody left to tell
	l.buf = nil
}
