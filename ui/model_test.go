package ui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// started is a model that has seen the shop.
func started(t *testing.T) *model {
	m := testModel(t, testConfig())
	m.update(newShop().snapshot(), healthy(), noon)
	return m
}

func path(m *model) string { return m.tabBar(200).String() }

func TestDrillAndBack(t *testing.T) {
	m := started(t)
	press(m, "enter")
	if !strings.Contains(path(m), "Workloads › shop-orders-1  [Flows]") {
		t.Fatal(path(m))
	}
	press(m, "tab")
	if !strings.Contains(path(m), "[Peers]") {
		t.Fatal(path(m))
	}
	press(m, "enter") // redis is the busiest peer
	if !strings.Contains(path(m), "shop-orders-1 › shop-redis-1") {
		t.Fatal(path(m))
	}
	press(m, "enter")
	if !strings.Contains(path(m), "› shop-orders-1 → shop-redis-1:6379") {
		t.Fatal(path(m))
	}
	press(m, "esc", "q", "esc")
	if !strings.Contains(path(m), "[1 Workloads") {
		t.Fatal(path(m))
	}
	if e := press(m, "esc"); e.quit {
		t.Error("esc at the first level quits")
	}
	if e := press(m, "q"); !e.quit {
		t.Error("q at the first level does not quit")
	}
}

func TestPeerWithoutWorkloadShowsItsFlows(t *testing.T) {
	m := started(t)
	press(m, "enter", "tab", "/", "dns", "enter", "enter")
	if got := m.tab().filter.String(); got != "ip:10.0.0.53" || m.tab().grid.Len() != 1 || m.page().at != 0 {
		t.Errorf("filter %q, %d rows, tab %d", got, m.tab().grid.Len(), m.page().at)
	}
}

func TestQuitKeys(t *testing.T) {
	for _, keys := range [][]string{{"ctrl-c"}, {"enter", "ctrl-c"}, {"/", "ctrl-c"}, {"?", "ctrl-c"},
		{":", "q", "enter"}, {":", "quit", "enter"}, {"enter", "q", "q"}} {
		if e := press(started(t), keys...); !e.quit {
			t.Errorf("%v does not quit", keys)
		}
	}
	if e := press(started(t), "/", "q"); e.quit {
		t.Error("q quits while a filter is typed")
	}
}

func TestLiveFilter(t *testing.T) {
	m := started(t)
	press(m, "2", "/", "redis")
	if m.tab().grid.Len() != 1 {
		t.Fatalf("%d rows while typing", m.tab().grid.Len())
	}
	press(m, " ", "!ns:")
	if m.prompt.err == nil || m.tab().filter.String() != "redis !ns" {
		t.Fatal("a bad filter must say so and leave the last good one in force")
	}
	if press(m, "enter"); m.prompt == nil {
		t.Fatal("enter takes a bad filter")
	}
	press(m, "x", "enter")
	if m.prompt != nil || m.tab().filter.String() != "redis !ns:x" || m.tab().grid.Len() != 1 {
		t.Fatalf("filter %q, %d rows", m.tab().filter, m.tab().grid.Len())
	}
}

func TestFilterEscape(t *testing.T) {
	m := started(t)
	press(m, "2", "/", "redis", "enter", "/", "x", "esc")
	if got := m.tab().filter.String(); got != "redis" {
		t.Fatalf("leaving the prompt gives filter %q", got)
	}
	press(m, "enter", "esc") // into the flow and back
	if m.tab().filter.empty() {
		t.Fatal("going back lost the filter")
	}
	press(m, "esc")
	if !m.tab().filter.empty() || m.tab().grid.Len() != 10 {
		t.Fatal("esc does not clear the filter")
	}
	press(m, "/", "up")
	if got := m.prompt.value(); got != "redis" {
		t.Errorf("history gives %q", got)
	}
}

func TestPause(t *testing.T) {
	m := started(t)
	press(m, "space")
	next := newShop().snapshot()
	next.Seq, next.Flows, next.Totals.Live = 2, nil, 99
	h := healthy()
	h.Events += 1204
	m.update(next, h, noon.Add(time.Second))
	header := func() string { return m.header(120, 3)[1].String() + m.header(120, 3)[2].String() }
	if got := header(); !strings.Contains(got, "PAUSED, 1,204 newer") || !strings.Contains(got, "flows 7 ") {
		t.Fatal(got)
	}
	press(m, "2")
	if m.tab().grid.Len() != 10 {
		t.Error("another view shows something newer than the pause")
	}
	press(m, "space")
	if got := header(); strings.Contains(got, "PAUSED") || !strings.Contains(got, "flows 99") {
		t.Error(got)
	}
}

func TestCommands(t *testing.T) {
	for in, want := range map[string]string{
		"flows":                 "",
		"health":                "",
		"  workloads ":          "",
		"sort rtt":              "",
		"sort -rtt":             "",
		"sort nothing":          `sort "nothing": no such column`,
		"filter port:80 !redis": "",
		"filter /[/":            "missing closing ]",
		"flow":                  "did you mean flows?",
		"frobnicate":            "there are workloads, flows, operations, health",
		"":                      "",
	} {
		err := started(t).command(in)
		if got := errText(err); got != want && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	m := started(t)
	press(m, ":", "health", "enter", ":", "sort rtt", "enter")
	if m.prompt == nil || !strings.Contains(errText(m.prompt.err), "no rows") {
		t.Error("sorting a page of text is no error")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestStartConfiguration(t *testing.T) {
	cfg := testConfig()
	cfg.View, cfg.Filter, cfg.Sort = "flows", "proto:tcp", "-age"
	m := testModel(t, cfg)
	m.update(newShop().snapshot(), healthy(), noon)
	if by, desc := m.tab().grid.Sorting(); by != "AGE" || desc || m.tab().grid.Len() != 8 {
		t.Errorf("sorted by %s (descending %v), %d rows", by, desc, m.tab().grid.Len())
	}
	for _, bad := range []Config{{View: "nothing"}, {Filter: "port:x"}, {Sort: "nothing"}, {View: "health", Sort: "rtt"}} {
		bad.Now = fixedClock
		if _, err := newModel(bad.withDefaults()); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestLossesAndLag(t *testing.T) {
	m := started(t)
	h := lossy()
	h.Records++ // which the snapshot lacks
	m.update(m.newest, h, noon.Add(2*time.Second))
	m.update(m.newest, h, noon.Add(4*time.Second))
	got := m.header(120, 3)[2]
	if !strings.Contains(got.String(), "LOST 1,204 since 09:57:00") || !strings.Contains(got.String(), "lag 2s") {
		t.Error(got.String())
	}
	if got[0].role != bad {
		t.Error("losses are not marked")
	}
	m.cfg.Recorded = true
	if m.update(m.newest, h, noon.Add(4*time.Second)); m.lag() != 0 {
		t.Error("a recording lags")
	}
	m.cfg.Recorded = false
	caughtUp := *m.newest
	m.update(&caughtUp, h, noon.Add(5*time.Second))
	m.update(&caughtUp, h, noon.Add(500*time.Second))
	if m.lag() != 0 {
		t.Error("a host on which nothing happens lags")
	}
	if got := m.moment(); got != noon.Add(495*time.Second) {
		t.Errorf("ages count from %v", got)
	}
}

// A frame is drawn for what changed and for nothing else.
func TestUpdateTellsWhatChanged(t *testing.T) {
	m := started(t)
	s, h := m.newest, m.health
	if m.update(s, h, noon) {
		t.Error("the same again is a change")
	}
	for i := range 4 {
		if m.update(s, h, noon.Add(time.Duration(i)*time.Second)) {
			t.Error("an idle second is a change")
		}
	}
	h.Records++
	m.update(s, h, noon.Add(4*time.Second))
	if !m.update(s, h, noon.Add(9*time.Second)) {
		t.Error("a lag is none")
	}
	next := *s
	next.Seq++
	if !m.update(&next, h, noon.Add(9*time.Second)) {
		t.Error("a new snapshot is none")
	}
	h.Lost = map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: 1}
	if !m.update(&next, h, noon.Add(9*time.Second)) {
		t.Error("a loss is none")
	}
}

func TestWorkloadThatLeaves(t *testing.T) {
	m := started(t)
	press(m, "enter")
	next := newShop().snapshot()
	next.Seq, next.Workloads, next.Flows = 2, slices.Delete(next.Workloads, 1, 2), nil
	m.update(next, healthy(), noon)
	if got := m.page().summary(100)[0].String(); !strings.Contains(got, "shop-orders-1") || !strings.Contains(got, "no flows any more") {
		t.Error(got)
	}
	m = started(t)
	press(m, "2", "enter")
	m.update(next, healthy(), noon)
	var all strings.Builder
	for _, l := range m.tab().lines(100) {
		all.WriteString(l.String() + "\n")
	}
	if !strings.Contains(all.String(), "left the table") || !strings.Contains(all.String(), "172.18.0.4:6379") {
		t.Error(all.String())
	}
}

func TestCopyRow(t *testing.T) {
	m := started(t)
	e := press(m, "2", "c")
	if !strings.Contains(string(e.copy), "CLIENT=shop/shop-orders-1:53122  SERVER=shop/shop-redis-1:6379  PROTO=tcp") {
		t.Error(e.copy)
	}
	if got := m.status(80, 0).String(); got != "row copied" {
		t.Error(got)
	}
	press(m, "/", "nothing-like-this", "enter")
	if e := press(m, "c"); e.copy != "" {
		t.Error("something is copied from an empty table")
	}
}
