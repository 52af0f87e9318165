package ui

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
)

// reading is what one tick brings.
type reading struct {
	snapshot *aggregate.Snapshot
	health   collector.Health
	policies Policies
}

// Run shows the interface until the user quits, ctx is done, or the process is
// told to end (SIGTERM, SIGHUP, SIGINT); then it returns nil with the terminal
// as it was, also when a goroutine of its own panics. An error means that it
// never began (ErrNoTerminal, or a filter, column or view that cannot be) or
// that the terminal broke. While it runs the terminal belongs to it: nothing
// may be written to standard output or error.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	m, err := newModel(cfg)
	if err != nil {
		return err
	}
	screen, err := openScreen(cfg)
	if err != nil {
		return err
	}
	cfg.Guard.arm(screen.Fini)
	defer cfg.Guard.Restore()
	defer cfg.Guard.Recover()

	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	// The loop below owns model and painter. tview's Application is not used: its
	// QueueUpdate blocks for ever when it comes before or after the run.
	events := make(chan tcell.Event, 64)
	go func() {
		defer cfg.Guard.Recover()
		screen.ChannelEvents(events, ctx.Done())
	}()
	readings := make(chan reading)
	go func() {
		defer cfg.Guard.Recover()
		read(ctx, cfg, readings)
	}()
	questions, answers := make(chan time.Duration), make(chan pastReading)
	go func() {
		defer cfg.Guard.Recover()
		readPast(ctx, cfg, questions, answers)
	}()
	in := inputs{events, readings, questions, answers}
	if err := loop(ctx, m, newPainter(m, screen, themeFor(cfg, screen)), in); err != nil {
		return err
	}
	return cfg.Guard.settle()
}

// read polls the snapshot, the health and the policies, at once and then at every tick.
func read(ctx context.Context, cfg Config, out chan<- reading) {
	tick := time.NewTicker(cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case out <- reading{cfg.Snapshot(), cfg.Health(), cfg.Policies()}:
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// inputs are what the loop hears of, and asks by.
type inputs struct {
	events    <-chan tcell.Event
	readings  <-chan reading
	questions chan<- time.Duration
	answers   <-chan pastReading
}

// loop is the only goroutine that touches the model. It draws after keys, and
// after a reading that changed something.
func loop(ctx context.Context, m *model, p *painter, in inputs) error {
	p.paint()
	var asked time.Duration
	events := in.events
	for {
		draw := true
		var questions chan<- time.Duration // nil, which takes nothing, while all was asked
		if asked != m.window.length {
			questions = in.questions
		}
		select {
		case <-ctx.Done():
			return nil
		case questions <- m.window.length:
			asked, draw = m.window.length, false
		case r := <-in.answers:
			draw = m.setPast(r)
		case r := <-in.readings:
			changed := m.setPolicies(r.policies)
			draw = m.update(r.snapshot, r.health, m.cfg.Now()) || changed
		case ev, open := <-events:
			quit, err := handle(m, p, ev, open)
			// Held keys come faster than frames: take what is waiting, draw once.
			for n := len(events); n > 0 && !quit && err == nil; n-- {
				ev, open = <-events
				quit, err = handle(m, p, ev, open)
			}
			if quit || err != nil {
				return err
			}
		}
		if draw {
			p.paint()
		}
	}
}

// handle applies one event of the terminal.
func handle(m *model, p *painter, ev tcell.Event, open bool) (quit bool, err error) {
	if !open {
		return true, nil
	}
	switch ev := ev.(type) {
	case *tcell.EventKey:
		e := m.key(keyName(ev))
		if e.copy != "" {
			p.screen.SetClipboard([]byte(e.copy))
		}
		if e.redraw {
			p.screen.Sync()
		}
		return e.quit, nil
	case *tcell.EventMouse:
		p.mouse(ev)
	case *tcell.EventResize:
		p.screen.Sync()
	case *tcell.EventError:
		return true, fmt.Errorf("terminal: %w", ev)
	}
	return false, nil
}
