package ui

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is meant, run the test with -update\n--- want\n%s\n--- got\n%s", path, want, got)
	}
}

func testConfig() Config {
	return Config{Host: "testhost", Kernel: "6.18.44", Attached: "daemon unix:///run/weir/weir.sock", Now: fixedClock}.withDefaults()
}

func testModel(t testing.TB, cfg Config) *model {
	t.Helper()
	m, err := newModel(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// simulated is a screen in memory.
func simulated(t testing.TB, w, h int) tcell.SimulationScreen {
	t.Helper()
	s := tcell.NewSimulationScreen("UTF-8")
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Fini)
	s.SetSize(w, h)
	return s
}

// contents is the screen's text, without blanks at the ends of lines.
func contents(s tcell.SimulationScreen) string {
	cells, w, h := s.GetContents()
	var out strings.Builder
	for y := range h {
		var b strings.Builder
		for x := 0; x < w; x++ {
			c := string(cells[y*w+x].Runes)
			b.WriteString(c)
			if uniseg.StringWidth(c) == 2 {
				x++ // the second half of a wide character is blank
			}
		}
		out.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	}
	return out.String()
}

// press sends keys by name; a word that names no key is typed.
func press(m *model, keys ...string) effect {
	var e effect
	for _, k := range keys {
		r := []rune(k)
		if len(r) == 1 {
			e = m.key(k, r[0])
			continue
		}
		if k == "space" {
			e = m.key(k, ' ')
			continue
		}
		if named(k) {
			e = m.key(k, 0)
			continue
		}
		for _, c := range r {
			name := string(c)
			if c == ' ' {
				name = "space"
			}
			e = m.key(name, c)
		}
	}
	return e
}

func named(k string) bool {
	switch k {
	case "backspace", "delete":
		return true
	}
	for _, p := range promptKeys {
		for _, n := range p.keys {
			if n == k {
				return true
			}
		}
	}
	return lookup(k, everywhere) != actNone || strings.HasPrefix(k, "ctrl-")
}

func TestGoldenScreens(t *testing.T) {
	later := func(m *model) {
		h := lossy()
		h.Events += 1_204
		h.Lost = map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: 1_404}
		m.update(newShop().snapshot(), h, noon.Add(2*time.Second))
	}
	scenes := []struct {
		name   string
		health collector.Health
		empty  bool
		tall   bool // at 120x40 too
		policy bool // policies are at work
		keys   []string
		then   func(*model)
	}{
		{name: "workloads", tall: true, health: healthy()},
		{name: "flows", health: healthy(), keys: []string{"2", "j"}},
		{name: "flows_wide", health: healthy(), keys: []string{"2", "w", "right", "right"}},
		{name: "health", tall: true, health: lossy(), keys: []string{"4"}},
		{name: "operations", tall: true, health: healthy(), keys: []string{"3", "j"}},
		{name: "operations_wide", health: healthy(), keys: []string{"3", "w", "right", "right", "right"}},
		{name: "operation", tall: true, health: healthy(), keys: []string{"3", "/", "path:customers", "enter", "enter"}},
		{name: "exchange", tall: true, health: healthy(), keys: []string{"3", "/", "path:customers", "enter", "enter", "j", "enter"}},
		{name: "lookup", health: healthy(), keys: []string{"3", "/", "protocol:dns", "enter", "enter", "enter"}},
		{name: "handshake", health: healthy(), keys: []string{"3", "/", "protocol:tls", "enter", "enter", "enter"}},
		{name: "served", tall: true, health: healthy(), keys: []string{"enter", "tab", "tab"}},
		{name: "asked", health: healthy(), keys: []string{"enter", "tab", "tab", "tab"}},
		{name: "examples", tall: true, health: healthy(), keys: []string{"enter", "shift-tab"}},
		{name: "operation_counted", health: healthy(), keys: []string{"3", "/", "users", "enter", "enter"}},
		{name: "filter_other", health: healthy(), keys: []string{"2", "/", "path:/users", "enter"}},
		{name: "workload", health: healthy(), keys: []string{"j", "enter"}},
		{name: "peers", health: healthy(), keys: []string{"enter", "tab"}},
		{name: "flow", health: healthy(), keys: []string{"2", "/", "refused", "enter", "enter"}},
		{name: "help", health: healthy(), keys: []string{"?"}},
		{name: "filter_error", health: healthy(), keys: []string{"2", "/", "port:3306 /[/"}},
		{name: "filter_nothing", health: healthy(), keys: []string{"2", "/", "port:1", "enter"}},
		{name: "command", health: healthy(), keys: []string{":"}},
		{name: "empty", health: collector.Health{Since: ago(time.Second)}, empty: true, keys: []string{"2"}},
		{name: "policies", tall: true, policy: true, health: healthy(), keys: []string{"5"}},
		{name: "policies_none", health: healthy(), keys: []string{"5"}},
		{name: "policy", policy: true, health: healthy(), keys: []string{"5", "enter"}},
		{name: "policy_details", policy: true, health: healthy(), keys: []string{"5", "j", "enter", "tab"}},
		{name: "verdicts", tall: true, policy: true, health: healthy(), keys: []string{"5", "tab"}},
		{name: "verdict", policy: true, health: healthy(), keys: []string{"5", "tab", "enter"}},
		{name: "paused_losing", health: lossy(), keys: []string{"space"}, then: later},
	}
	sizes := []struct {
		name string
		w, h int
	}{{"80x24", 80, 24}, {"120x30", 120, 30}, {"120x40", 120, 40}, {"200x50", 200, 50}}
	for _, scene := range scenes {
		for _, size := range sizes {
			if size.h == 40 && !scene.tall {
				continue
			}
			t.Run(scene.name+"_"+size.name, func(t *testing.T) {
				m, s := testModel(t, testConfig()), simulated(t, size.w, size.h)
				p := newPainter(m, s, colourTheme())
				snap := newShop().snapshot()
				if scene.empty {
					snap = &aggregate.Snapshot{Time: noon.UnixNano(), Seq: 1}
				}
				mode := "observe"
				if scene.policy {
					snap.Verdicts = newShop().verdicts()
					snap.Totals.Denied, snap.Totals.DeniedRate, snap.Totals.Audited = 1_325, 2.5, 40
					m.setPolicies(newShop().policies())
					mode = "enforcing 2, auditing 1"
				} else {
					m.setPolicies(Policies{})
				}
				m.update(snap, scene.health, noon)
				p.paint()
				press(m, scene.keys...)
				if scene.then != nil {
					scene.then(m)
				}
				p.paint()
				got := contents(s)
				golden(t, filepath.Join("testdata", scene.name+"_"+size.name+".golden"), got)
				if !strings.Contains(got, "LOST ") || !strings.Contains(got, "lag ") || !strings.Contains(got, mode) {
					t.Error("losses, lag and mode must be on every screen")
				}
			})
		}
	}
}

func TestSmallScreens(t *testing.T) {
	for _, c := range []struct {
		w, h      int
		want, not string
	}{
		{59, 24, "terminal too small\n59x24, needs 60x15", "WORKLOAD"},
		{80, 14, "terminal too small\n80x14, needs 60x15", "WORKLOAD"},
		{5, 2, "term…", "WORKLOAD"},
		{60, 15, " weir observe  LOST 0  lag 0s", "too small"},
		{79, 24, " weir observe  LOST 0  lag 0s", "kernel"},
		{80, 24, " weir observe  testhost  kernel 6.18.44", "too small"},
	} {
		m, s := testModel(t, testConfig()), simulated(t, c.w, c.h)
		m.update(newShop().snapshot(), healthy(), noon)
		newPainter(m, s, colourTheme()).paint()
		got := contents(s)
		if !strings.HasPrefix(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("%dx%d:\n%s", c.w, c.h, got)
		}
	}
}

// On the smallest screen all views have their place, however many rows they have.
func TestTabBarOnSmallScreens(t *testing.T) {
	m := testModel(t, testConfig())
	snap := manyOperations(10_000, 1)
	m.update(snap, lossy(), noon)
	for w := minWidth - 2; w < 100; w++ {
		for root, key := range []string{"1", "2", "3", "4", "5"} {
			press(m, key)
			got := m.tabBar(w).String()
			for i, p := range m.roots {
				if !strings.Contains(got, string(p.title)) || strings.Contains(got, "["+strconv.Itoa(i+1)) != (i == root) {
					t.Fatalf("%d: %q", w, got)
				}
			}
		}
	}
}

// The picture must not move when values change: widths come from the screen.
func TestNoJitter(t *testing.T) {
	for _, view := range []string{"1", "2", "3"} {
		m, s := testModel(t, testConfig()), simulated(t, 120, 30)
		p := newPainter(m, s, colourTheme())
		press(m, view)
		snap := newShop().snapshot()
		m.update(snap, healthy(), noon)
		p.paint()
		before := strings.Split(contents(s), "\n")[4]
		next := newShop().snapshot()
		next.Seq++
		next.Flows, next.Workloads, next.Operations = next.Flows[4:5], next.Workloads[4:5], next.Operations[5:6]
		next.Workloads[0].ReceivedRate.Payload = 1e15
		next.Operations[0].Rate, next.Operations[0].P99 = 1e15, 1<<60
		m.update(next, healthy(), noon)
		p.paint()
		if after := strings.Split(contents(s), "\n")[4]; before != after {
			t.Errorf("view %s: the header moved\n%s\n%s", view, before, after)
		}
	}
}

// The selected row is in view however the number of rows changes.
func TestSelectionStaysInView(t *testing.T) {
	m, s := testModel(t, testConfig()), simulated(t, 80, 24)
	p := newPainter(m, s, colourTheme())
	press(m, "2")
	for seq, n := range []int{3, 500, 10, 80, 2, 500} {
		m.update(manyFlows(n, uint64(seq+1)), healthy(), noon)
		p.paint()
		tab := m.tab()
		if at := tab.grid.Selected(); at < tab.scroll || at >= tab.scroll+m.pageSize {
			t.Errorf("%d rows: row %d selected, %d to %d in view", n, at, tab.scroll, tab.scroll+m.pageSize-1)
		}
		if seq < 2 && tab.scroll != 0 {
			t.Errorf("%d rows: the top left the screen before the user moved", n)
		}
		if seq == 1 {
			press(m, "G")
		}
	}
}
