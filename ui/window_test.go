package ui

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

func noPast(context.Context, time.Duration) (*Past, error) {
	return nil, errors.New("not asked in this test")
}

// looking is a model that looks at the shop through a window.
func looking(t *testing.T, length string, keys ...string) *model {
	t.Helper()
	cfg := testConfig()
	cfg.Past, cfg.Window = noPast, length
	m := testModel(t, cfg)
	m.update(newShop().snapshot(), healthy(), noon)
	press(m, keys...)
	return m
}

func screenOf(t *testing.T, m *model, w, h int) string {
	t.Helper()
	s := simulated(t, w, h)
	newPainter(m, s, colourTheme()).paint()
	return contents(s)
}

func TestWindowScreens(t *testing.T) {
	whole := func(m *model) { m.setPast(pastReading{time.Hour, newShop().past(time.Hour), nil}) }
	for _, scene := range []struct {
		name string
		keys []string
		then func(*model)
	}{
		{"workloads", nil, whole},
		{"operations", []string{"3"}, whole},
		{"workload", []string{"j", "enter"}, whole},
		{"flows", []string{"2"}, whole},
		{"reading", nil, func(*model) {}},
		{"off", nil, func(m *model) {
			m.setPast(pastReading{time.Hour, nil, errors.New("history is off: the daemon runs with --history 0")})
		}},
		{"holes", nil, func(m *model) {
			p := newShop().past(time.Hour)
			p.First, p.Gaps, p.Gap, p.Watched, p.Lost = noon.Add(-40*time.Minute), 2, 14*time.Minute, 26*time.Minute, 1_204
			m.setPast(pastReading{time.Hour, p, nil})
			m.setPast(pastReading{time.Hour, nil, errors.New("daemon: gone\x1b[2J")})
		}},
	} {
		for _, size := range []struct {
			name string
			w, h int
		}{{"60x15", 60, 15}, {"80x24", 80, 24}, {"120x30", 120, 30}} {
			t.Run(scene.name+"_"+size.name, func(t *testing.T) {
				m := looking(t, "1h")
				screenOf(t, m, size.w, size.h)
				scene.then(m)
				press(m, scene.keys...)
				got := screenOf(t, m, size.w, size.h)
				golden(t, filepath.Join("testdata", "window_"+scene.name+"_"+size.name+".golden"), got)
				if !strings.Contains(got, "window 1h") || !strings.Contains(got, "LOST ") || strings.ContainsRune(got, '\x1b') {
					t.Error("the window, the losses and no control characters must be on every screen")
				}
			})
		}
	}
}

// The keys go through the windows and round, and a window that was left is forgotten.
func TestWindowKeys(t *testing.T) {
	m := looking(t, "")
	for _, want := range []time.Duration{windows[1], windows[2], windows[3], windows[4], windows[5], windows[6], 0} {
		if press(m, "t"); m.window.length != want {
			t.Fatalf("t leads to %v, want %v", m.window.length, want)
		}
	}
	for i := len(windows) - 1; i >= 0; i-- {
		if press(m, "T"); m.window.length != windows[i] {
			t.Fatalf("T leads to %v, want %v", m.window.length, windows[i])
		}
	}
	press(m, ":", "window 90m", "enter")
	if m.window.length != 90*time.Minute {
		t.Errorf("the command gives %v", m.window.length)
	}
	if press(m, "t"); m.window.length != 6*time.Hour {
		t.Errorf("after 90m comes %v", m.window.length)
	}
	if m.setPast(pastReading{90 * time.Minute, newShop().past(time.Hour), nil}) || m.window.past != nil {
		t.Error("the answer for a window that was left is taken")
	}
	press(m, ":", "window soon", "enter")
	if m.prompt == nil || m.prompt.err == nil {
		t.Error("a window that cannot be is taken")
	}
}

func TestNoWindows(t *testing.T) {
	m := testModel(t, testConfig())
	m.update(newShop().snapshot(), healthy(), noon)
	if press(m, "t"); m.window.length != 0 || !strings.Contains(string(m.message), "history") {
		t.Errorf("window %v, %q is said", m.window.length, m.message)
	}
	cfg := testConfig()
	cfg.Window = "1h"
	if _, err := newModel(cfg); err == nil {
		t.Error("it begins with a window that there is not")
	}
	cfg.Past, cfg.Window = noPast, "1x"
	if _, err := newModel(cfg); err == nil {
		t.Error("it begins with a window that cannot be")
	}
}

// Order, filter and selection work on a window, and the present keeps its own.
func TestWindowTable(t *testing.T) {
	m := looking(t, "1h")
	m.setPast(pastReading{time.Hour, newShop().past(time.Hour), nil})
	g := m.tab().grid
	if by, _ := g.Sorting(); by != "REQUESTS" || g.Len() != 4 {
		t.Errorf("%d rows, sorted by %s", g.Len(), by)
	}
	press(m, ":", "sort opened", "enter", "/", "shop", "enter")
	if by, _ := g.Sorting(); by != "OPENED" || g.Len() != 3 {
		t.Errorf("%d rows, sorted by %s", g.Len(), by)
	}
	press(m, "esc", ":", "window live", "enter")
	if by, _ := g.Sorting(); by != "IN/S" || g.Len() != len(newShop().workloads()) {
		t.Errorf("live: %d rows, sorted by %s", g.Len(), by)
	}
	if by, _ := g.Sorting(); by != "IN/S" {
		t.Errorf("live: sorted by %s", by)
	}
}

// While the picture is held no answer changes it.
func TestWindowPaused(t *testing.T) {
	m := looking(t, "1h")
	first, second := newShop().past(time.Hour), newShop().past(time.Hour)
	second.Workloads = second.Workloads[:1]
	m.setPast(pastReading{time.Hour, first, nil})
	press(m, "space")
	m.setPast(pastReading{time.Hour, second, nil})
	m.update(newShop().snapshot(), healthy(), noon)
	if n := m.tab().grid.Len(); n != 4 {
		t.Errorf("%d rows while held", n)
	}
	if press(m, "space"); m.tab().grid.Len() != 1 {
		t.Errorf("%d rows afterwards", m.tab().grid.Len())
	}
}

// A window's workloads are those that live, where they have the same name; rates are
// over what was watched.
func TestPastOn(t *testing.T) {
	live := newShop().snapshot()
	before := len(live.Workloads)
	p := newShop().past(time.Hour)
	p.Watched = 30 * time.Minute
	s := p.On(live)
	if len(live.Workloads) != before || len(s.Flows) != len(live.Flows) {
		t.Error("what lives was changed")
	}
	if s.Workloads[0].Workload != live.Workloads[0].Workload || s.Workloads[3].Workload != nil || s.Workloads[2].Workload == nil {
		t.Error("workloads are not found again")
	}
	if r := s.Workloads[0]; r.OpenRate != 600_000.0/1800 || r.Live != 0 || r.Served[flow.HTTP].Requests != 1_204_331 || r.Served[flow.HTTP].P99 != int64(120*time.Millisecond) {
		t.Errorf("%+v", r)
	}
	if o := s.Operations[2]; o.Client != s.Workloads[2].Workload || o.Server != nil || o.Remote != "api.example.com" {
		t.Errorf("%+v", o)
	}
	if got := (&Past{Until: noon}).On(nil); len(got.Workloads) != 0 {
		t.Errorf("%+v", got)
	}
	// What cannot be is no reason to fall.
	(&Past{Workloads: []PastWorkload{{Served: []PastExchanges{{Protocol: 200}}}}, Operations: []PastOperation{{PastExchanges: PastExchanges{Protocol: 200}}}}).On(live)
}

// One question is at work at a time; another window ends it, and the answer is asked
// for again after a while.
func TestReadPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		working, asked := 0, []time.Duration{}
		cfg := Config{Guard: new(Guard), Past: func(ctx context.Context, length time.Duration) (*Past, error) {
			if working++; working > 1 {
				t.Error("two questions at once")
			}
			defer func() { working-- }()
			asked = append(asked, length)
			if length == time.Hour {
				<-ctx.Done() // for ever
				return nil, ctx.Err()
			}
			time.Sleep(time.Second)
			return &Past{}, nil
		}}
		questions, out := make(chan time.Duration), make(chan pastReading)
		go readPast(ctx, cfg, questions, out)
		questions <- time.Hour
		synctest.Wait()
		questions <- 5 * time.Minute
		questions <- 0
		questions <- 15 * time.Minute
		if r := <-out; r.length != 15*time.Minute || r.err != nil {
			t.Errorf("%+v", r)
		}
		begun := time.Now()
		if r := <-out; r.length != 15*time.Minute || time.Since(begun) != 20*time.Second+time.Second {
			t.Errorf("%v after %v", r.length, time.Since(begun))
		}
		questions <- time.Hour
		if r := <-out; r.length != time.Hour || r.err == nil || !strings.Contains(r.err.Error(), pastPatience.String()) {
			t.Errorf("%+v", r)
		}
		questions <- 0
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(asked); n != 4 {
			t.Errorf("asked %v", asked)
		}
		cancel()
		synctest.Wait()
	})
}

// The window of the configuration is asked for, and keys ask for others.
func TestRunAsksForWindows(t *testing.T) {
	asked := make(chan time.Duration, 8)
	snap := newShop().snapshot()
	w, done := runUI(t.Context(), Config{Window: "1h", Snapshot: func() *aggregate.Snapshot { return snap }, Past: func(_ context.Context, d time.Duration) (*Past, error) {
		asked <- d
		return newShop().past(d), nil
	}})
	<-w.started
	for _, want := range []time.Duration{time.Hour, 6 * time.Hour} {
		if got := <-asked; got != want {
			t.Errorf("asked for %v, want %v", got, want)
		}
		w.InjectKey(tcell.KeyRune, 't', 0)
	}
	w.InjectKey(tcell.KeyRune, 'q', 0)
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
}
