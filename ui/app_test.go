package ui

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gdamore/tcell/v2"
	"go.uber.org/goleak"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
)

// watched counts frames and tells when the screen was given back.
type watched struct {
	tcell.SimulationScreen
	frames  atomic.Int64
	ended   atomic.Bool
	once    sync.Once
	started chan struct{}
}

func newWatched() *watched {
	return &watched{SimulationScreen: tcell.NewSimulationScreen("UTF-8"), started: make(chan struct{})}
}

func (w *watched) Show() {
	w.SimulationScreen.Show()
	w.frames.Add(1)
	w.once.Do(func() { close(w.started) })
}

func (w *watched) Fini() { w.ended.Store(true); w.SimulationScreen.Fini() }

// runUI starts Run on a screen in memory; the channel gives its error.
func runUI(ctx context.Context, cfg Config) (*watched, <-chan error) {
	w := newWatched()
	cfg.Screen, cfg.Interval = w, 200*time.Millisecond
	if cfg.Snapshot == nil {
		snap := newShop().snapshot()
		cfg.Snapshot = func() *aggregate.Snapshot { return snap }
	}
	if cfg.Health == nil {
		cfg.Health = healthy
	}
	if cfg.Now == nil {
		cfg.Now = fixedClock
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- errors.New("panic: " + p.(string))
			}
		}()
		done <- Run(ctx, cfg)
	}()
	return w, done
}

func wait(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the interface does not end")
		return nil
	}
}

func TestRunEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	for name, end := range map[string]func(*watched, context.CancelFunc){
		"q":       func(w *watched, _ context.CancelFunc) { w.InjectKey(tcell.KeyRune, 'q', 0) },
		"ctrl-c":  func(w *watched, _ context.CancelFunc) { w.InjectKey(tcell.KeyCtrlC, 0, tcell.ModCtrl) },
		"context": func(_ *watched, cancel context.CancelFunc) { cancel() },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		w, done := runUI(ctx, Config{})
		<-w.started
		end(w, cancel)
		if err := wait(t, done); err != nil || !w.ended.Load() {
			t.Errorf("%s: error %v, screen given back: %v", name, err, w.ended.Load())
		}
		cancel()
	}
}

// A slow source must not hold up the keys.
func TestKeysWorkWhileTheSourceHangs(t *testing.T) {
	release := make(chan struct{})
	w, done := runUI(context.Background(), Config{Snapshot: func() *aggregate.Snapshot { <-release; return nil }})
	defer close(release)
	<-w.started
	w.InjectKey(tcell.KeyRune, 'q', 0)
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
}

func TestRunDrawsOnlyWhatChanged(t *testing.T) {
	var readings atomic.Int64
	enough := make(chan struct{})
	snap := newShop().snapshot()
	w, done := runUI(context.Background(), Config{Snapshot: func() *aggregate.Snapshot {
		if readings.Add(1) == 6 {
			close(enough)
		}
		return snap
	}})
	<-enough
	// The first frame is empty, the second has the first reading.
	if n := w.frames.Load(); n > 3 {
		t.Errorf("%d frames for readings that were all the same", n)
	}
	w.InjectKey(tcell.KeyRune, 'q', 0)
	wait(t, done)
}

func TestPanicGivesTheScreenBack(t *testing.T) {
	w, done := runUI(context.Background(), Config{Now: func() func() time.Time {
		calls := 0
		return func() time.Time {
			if calls++; calls > 1 { // newModel asks first, the loop next
				panic("clock broke")
			}
			return noon
		}
	}()})
	err := wait(t, done)
	if err == nil || !strings.Contains(err.Error(), "clock broke") || !w.ended.Load() {
		t.Errorf("%v, screen given back: %v", err, w.ended.Load())
	}
}

func TestGuard(t *testing.T) {
	restored := 0
	g := new(Guard)
	g.Restore() // before it is armed
	g.arm(func() { restored++ })
	func() { defer g.Recover() }()
	if restored != 0 {
		t.Fatal("restored without a panic")
	}
	func() {
		defer func() {
			if recover() != "x" {
				t.Error("the panic was swallowed")
			}
		}()
		defer g.Recover()
		panic("x")
	}()
	g.Restore()
	if restored != 1 {
		t.Errorf("restored %d times", restored)
	}
}

func TestNoTerminal(t *testing.T) {
	// The test's own standard output may be a terminal or not: make it a pipe.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	old := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = old }()
	cfg := Config{Snapshot: func() *aggregate.Snapshot { return nil }, Health: func() collector.Health { return collector.Health{} }}
	if err := Run(context.Background(), cfg); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("a pipe gives %v", err)
	}
	cfg.Filter = "port:x"
	if err := Run(context.Background(), cfg); err == nil || errors.Is(err, ErrNoTerminal) {
		t.Errorf("a bad filter gives %v", err)
	}
}

// A main that exits when Run returns must not outrun the panic elsewhere.
func TestPanicElsewhereIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(Guard)
		if err := g.settle(); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() { recover() }()
			defer g.Recover()
			panic("x")
		}()
		before := time.Now()
		if err := g.settle(); err == nil || time.Since(before) < time.Second {
			t.Errorf("%v after %v", err, time.Since(before))
		}
	})
}

func TestUnpadded(t *testing.T) {
	info, err := tcell.LookupTerminfo("vt100")
	if err != nil {
		t.Fatal(err)
	}
	before := info.SetCursor
	got := unpadded(info)
	if got.SetCursor != "\x1b[%i%p1%d;%p2%dH" || got.Clear != "\x1b[H\x1b[J" || got.Name != "vt100" || info.SetCursor != before {
		t.Errorf("%q %q %q", got.SetCursor, got.Clear, got.Name)
	}
}

func TestThemes(t *testing.T) {
	w := newWatched()
	t.Setenv("NO_COLOR", "")
	if themeFor(Config{}, w) != colourTheme() || themeFor(Config{NoColor: true}, w) != monoTheme() {
		t.Error("the configuration is not followed")
	}
	t.Setenv("NO_COLOR", "1")
	if themeFor(Config{}, w) != monoTheme() {
		t.Error("NO_COLOR is not followed")
	}
	for r, style := range monoTheme() {
		fg, bg, _ := style.Decompose()
		if fg != tcell.ColorDefault || bg != tcell.ColorDefault {
			t.Errorf("role %d has a colour without colours", r)
		}
	}
	for r, style := range colourTheme() {
		fg, bg, _ := style.Decompose()
		if bg != tcell.ColorDefault || fg != tcell.ColorDefault && (fg < tcell.ColorBlack || fg > tcell.ColorWhite) {
			t.Errorf("role %d is not made of the 16 colours on the terminal's background", r)
		}
	}
}

func TestMouse(t *testing.T) {
	m, s := testModel(t, testConfig()), simulated(t, 80, 24)
	m.update(newShop().snapshot(), healthy(), noon)
	p := newPainter(m, s, colourTheme())
	press(m, "2")
	p.paint()
	click := func(x, y int, b tcell.ButtonMask) {
		p.mouse(tcell.NewEventMouse(x, y, b, 0))
		p.mouse(tcell.NewEventMouse(x, y, tcell.ButtonNone, 0))
		p.paint()
	}
	click(5, 8, tcell.ButtonPrimary)
	if got := m.tab().grid.Selected(); got != 3 {
		t.Errorf("row %d is selected", got)
	}
	click(5, 4, tcell.ButtonPrimary)
	if by, desc := m.tab().grid.Sorting(); by != "CLIENT" || desc {
		t.Errorf("sorted by %s", by)
	}
	click(5, 4, tcell.ButtonPrimary)
	if _, desc := m.tab().grid.Sorting(); !desc {
		t.Error("a second click does not reverse")
	}
	press(m, "g")
	click(5, 8, tcell.WheelDown)
	click(5, 20, tcell.ButtonPrimary) // below the last row
	if got := m.tab().grid.Selected(); got != 3 {
		t.Errorf("row %d after the wheel", got)
	}
}
