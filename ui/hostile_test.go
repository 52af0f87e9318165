package ui

import (
	"testing"
	"unicode"

	"github.com/gdamore/tcell/v2"

	"github.com/seed79351815/weir/collector/flow"
)

// FuzzScreen puts a hostile string wherever a string can come from and looks at
// every page: nothing but printable characters in the theme's styles appears,
// and the columns beside the string stay where they are.
func FuzzScreen(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, evil string) {
		snap := newShop().snapshot()
		w := &flow.Workload{CgroupID: 99, Cgroup: evil, Runtime: flow.Runtime(evil), Container: evil, Name: evil,
			Namespace: evil, Image: evil, Owner: flow.Owner{Kind: evil, Name: evil}}
		for i := range snap.Flows {
			fl := &snap.Flows[i]
			fl.DropReason, fl.Drops = evil, 1
			fl.Client.Workload, fl.Client.Via, fl.Client.Comm = w, evil, flow.MakeComm(evil)
			fl.Server.Workload, fl.Server.Names = nil, []string{evil, evil}
		}
		snap.Workloads[1].Workload = w
		h := lossy()
		h.Lost[flow.Loss{Stage: evil, Reason: evil}] = 5
		h.Source.Tables[0].Name = evil

		cfg := testConfig()
		cfg.Host, cfg.Kernel, cfg.Attached, cfg.Title = evil, evil, evil, evil
		m, s := testModel(t, cfg), simulated(t, 120, 30)
		p := newPainter(m, s, colourTheme())
		m.update(snap, h, noon)
		for _, keys := range [][]string{{"1"}, {"w"}, {"enter"}, {"tab"}, {"2"}, {"right"}, {"enter"}, {"down", "pgdn"}, {"3"}, {":", evil, "enter"}} {
			press(m, keys...)
			p.paint()
			inspect(t, s, p.theme, keys)
		}
	})
}

func inspect(t *testing.T, s tcell.SimulationScreen, th theme, keys []string) {
	t.Helper()
	known := make(map[tcell.Style]bool)
	for _, style := range th {
		known[style] = true
	}
	cells, w, _ := s.GetContents()
	for i, c := range cells {
		for _, r := range c.Runes {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Fatalf("after %q: %U at %d,%d", keys, r, i%w, i/w)
			}
		}
		if !known[c.Style] {
			t.Fatalf("after %q: a style of its own at %d,%d: %v %q", keys, i%w, i/w, c.Style, string(c.Runes))
		}
	}
}

// A hostile name takes its column's width and no more.
func TestHostileNamesKeepColumns(t *testing.T) {
	for _, evil := range hostile {
		m, s := testModel(t, testConfig()), simulated(t, 120, 30)
		snap := newShop().snapshot()
		for i := range snap.Workloads {
			snap.Workloads[i].Workload = &flow.Workload{CgroupID: uint64(i + 1), Name: evil, Namespace: "NS", Runtime: flow.RuntimeDocker}
		}
		m.update(snap, healthy(), noon)
		newPainter(m, s, colourTheme()).paint()
		cells, w, _ := s.GetContents()
		at := columnOf(cells[4*w:5*w], "NAMESPACE")
		for row := range snap.Workloads {
			line := cells[(5+row)*w : (6+row)*w]
			if got := string(line[at].Runes) + string(line[at+1].Runes); got != "NS" {
				t.Errorf("%q: the next column begins with %q", evil, got)
			}
		}
	}
}

func columnOf(cells []tcell.SimCell, title string) int {
	for x := range cells {
		got := ""
		for i := 0; i < len(title) && x+i < len(cells); i++ {
			got += string(cells[x+i].Runes)
		}
		if got == title {
			return x
		}
	}
	return -1
}
