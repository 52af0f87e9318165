package ui

import (
	"strings"
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
		for i := range snap.Operations {
			o := &snap.Operations[i]
			o.Server, o.Client, o.Remote, o.Method, o.Route, o.Rule = w, nil, evil, evil, evil, evil
			for _, x := range o.Examples {
				x.Method, x.Route, x.Rule, x.TraceID = evil, evil, evil, evil
				x.Client.Workload, x.Client.Names, x.Server.Workload, x.Exchange.Comm = nil, []string{evil}, w, flow.MakeComm(evil)
				if h := x.Exchange.HTTP; h != nil {
					h.Method, h.Path, h.Upgrade, h.Traceparent = evil, evil, evil, evil
				}
				if d := x.Exchange.DNS; d != nil {
					d.Name = evil
				}
				if t := x.Exchange.TLS; t != nil {
					t.ServerName, t.Chosen, t.JA4, t.ALPN = evil, evil, evil, []string{evil, evil}
				}
			}
		}
		snap.Verdicts = newShop().verdicts()
		for i := range snap.Verdicts {
			v := &snap.Verdicts[i]
			v.Workload, v.Peer, v.Remote, v.Rule, v.Comm = w, nil, evil, evil, flow.MakeComm(evil)
			v.By = []flow.PolicyRef{{Name: evil, Namespace: evil, Kind: evil, Mode: evil, Section: evil}, {Name: evil}}
		}
		now := Policies{Note: evil, Failure: evil, Uncovered: []string{evil, evil}, Lost: 1,
			List: []Policy{{Name: evil, Kind: evil, Mode: evil, File: evil, Selected: []string{evil, evil}, Said: []string{evil}}, {}}}
		h := lossy()
		h.Source.Unseen[0].Reason = evil
		h.Lost[flow.Loss{Stage: evil, Reason: evil}] = 5
		h.Source.Tables[0].Name = evil

		cfg := testConfig()
		cfg.Host, cfg.Kernel, cfg.Attached, cfg.Title = evil, evil, evil, evil
		m, s := testModel(t, cfg), simulated(t, 120, 30)
		p := newPainter(m, s, colourTheme())
		m.setPolicies(now)
		m.update(snap, h, noon)
		for _, keys := range [][]string{{"5"}, {"w"}, {"right"}, {"enter"}, {"w"}, {"enter"}, {"pgdn"}, {"q", "tab"}, {"G", "end"}, {"5", "tab"}, {"1"}, {"w"}, {"enter"}, {"tab"}, {"2"}, {"right"}, {"enter"}, {"down", "pgdn"}, {"4"},
			{"3"}, {"w"}, {"right"}, {"G", "enter"}, {"q", "g", "enter"}, {"q", "/", "protocol:tls", "enter"}, {"enter"}, {"enter"}, {"pgdn"},
			{"3", "/", "ctrl-u", "protocol:dns", "enter"}, {"enter"}, {"enter"}, {"3", "/", "ctrl-u", "status:503", "enter"}, {"enter"}, {"enter"},
			{"1", "j", "enter", "shift-tab"}, {"shift-tab"}, {":", evil, "enter"}} {
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

// A hostile path takes its column's width and no more, however the columns are laid out.
func TestHostilePathsKeepColumns(t *testing.T) {
	for _, evil := range append(hostile, "/"+strings.Repeat("日", 300), strings.Repeat("/a\u0301\u0301\u0301\u0301", 90), "/\u200d\u200b\u2060\ufeff", "") {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
			m, s := testModel(t, testConfig()), simulated(t, size[0], size[1])
			snap := newShop().snapshot()
			for i := range snap.Operations {
				o := &snap.Operations[i]
				o.Route, o.Method, o.Rate = evil, evil, 77
			}
			press(m, "3")
			m.update(snap, healthy(), noon)
			newPainter(m, s, colourTheme()).paint()
			cells, w, _ := s.GetContents()
			end := columnOf(cells[4*w:5*w], "REQ/S") + len("REQ/S") // and the mark
			for row := range snap.Operations {
				line := cells[(5+row)*w : (6+row)*w]
				if got := string(line[end-1].Runes) + string(line[end].Runes); got != "77" {
					t.Errorf("%q at %dx%d: the next column ends with %q", evil, size[0], size[1], got)
				}
			}
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
