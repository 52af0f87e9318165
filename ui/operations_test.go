package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// A frame costs what is on the screen, not what is in the table.
func TestOnlyVisibleOperationsAreDrawn(t *testing.T) {
	m, s := testModel(t, testConfig()), simulated(t, 120, 40)
	press(m, "3")
	m.update(manyOperations(10_000, 1), healthy(), noon)
	grid := m.tab().grid.(*table[aggregate.OperationRow, string])
	cells := 0
	for i := range grid.columns {
		of := grid.columns[i].Cell
		grid.columns[i].Cell = func(r *aggregate.OperationRow, e *env) cell { cells++; return of(r, e) }
	}
	p := newPainter(m, s, colourTheme())
	for _, key := range []string{"", "G", "pgup", "s"} {
		if key != "" {
			press(m, key)
		}
		cells = 0
		p.paint()
		if most := 40 * len(grid.columns); cells == 0 || cells > most {
			t.Errorf("after %q: %d cells are made for 40 lines, want at most %d", key, cells, most)
		}
	}
	if grid.Len() != 10_000 {
		t.Errorf("%d operations in the table", grid.Len())
	}
}

// The page of an operation follows it through the snapshots, and says when it is
// there no more.
func TestOperationPageFollows(t *testing.T) {
	m, s := testModel(t, testConfig()), simulated(t, 120, 30)
	p := newPainter(m, s, colourTheme())
	sees := func(want string) {
		t.Helper()
		p.paint()
		if got := contents(s); !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	press(m, "3")
	m.update(newShop().snapshot(), healthy(), noon)
	press(m, "/", "path:customers", "enter", "enter")
	sees("12 told in full, 1,204 more like this only counted")
	next := newShop().snapshot()
	next.Seq++
	o := &next.Operations[1]
	o.Requests, o.Examples = 2_012, o.Examples[:1]
	o.Rule = "learned" // the words of a template may change their rule
	m.update(next, healthy(), noon)
	sees("12 told in full, 2,000 more like this only counted")
	sees("row 1 of 1")
	last := newShop().snapshot()
	last.Seq, last.Operations = 3, last.Operations[2:]
	m.update(last, healthy(), noon)
	sees("not asked for any more")
	sees("no slow or failed exchange lately")
	press(m, "q")
	sees("[3 Operations 5]")
}

// An exchange stays readable after it has left the snapshot.
func TestExchangePageStays(t *testing.T) {
	m, s := testModel(t, testConfig()), simulated(t, 200, 50)
	press(m, "3")
	m.update(newShop().snapshot(), healthy(), noon)
	press(m, "/", "path:customers", "enter", "enter", "enter")
	m.update(&aggregate.Snapshot{Time: noon.UnixNano(), Seq: 9}, healthy(), noon)
	newPainter(m, s, colourTheme()).paint()
	got := contents(s)
	for _, want := range []string{"503", "/api/v1/customers/77/orders/4711/items", "queries are not kept", "nginx pid 2101", "it failed"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// Rows that differ in one thing alone are different operations, in the table and
// for the page that was opened.
func TestSameOperation(t *testing.T) {
	s := newShop()
	base := aggregate.OperationRow{Server: s.web, Remote: "10.0.0.1", Protocol: flow.HTTP, Method: "GET", Route: "/"}
	renamed := base
	renamed.Server = &flow.Workload{CgroupID: s.web.CgroupID, Name: "a better name"}
	if !sameOperation(&base, &renamed) || operationKey(&base) != operationKey(&renamed) {
		t.Error("a better name makes another operation")
	}
	for what, change := range map[string]func(*aggregate.OperationRow){
		"client":   func(r *aggregate.OperationRow) { r.Client = s.orders },
		"server":   func(r *aggregate.OperationRow) { r.Server = s.orders },
		"remote":   func(r *aggregate.OperationRow) { r.Remote = "10.0.0.2" },
		"protocol": func(r *aggregate.OperationRow) { r.Protocol = flow.DNS },
		"method":   func(r *aggregate.OperationRow) { r.Method = "PUT" },
		"route":    func(r *aggregate.OperationRow) { r.Route = "/{id}" },
	} {
		other := base
		change(&other)
		if sameOperation(&base, &other) || operationKey(&base) == operationKey(&other) {
			t.Errorf("another %s is the same operation", what)
		}
	}
}

func TestShownText(t *testing.T) {
	for _, c := range []struct {
		requests, shown uint64
		want            text
	}{
		{0, 0, none},
		{1_204, 0, "all 1,204 only counted"},
		{12, 12, "all 12 told in full"},
		{12, 13, "all 12 told in full"}, // more was told than counted so far
		{1_216, 12, "12 told in full, 1,204 more like this only counted"},
	} {
		r := aggregate.OperationRow{L7Row: aggregate.L7Row{Requests: c.requests}, Shown: c.shown}
		if got := shownText(&r); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.shown, c.requests, got, c.want)
		}
	}
}

func TestErrorShare(t *testing.T) {
	for _, c := range []struct {
		rate, errors float64
		want         text
	}{
		{0, 0, none}, {10, 0, none}, {10, 10, "100%"}, {10, 11, "100%"}, {1000, 0.001, "<1%"}, {3, 1, "33%"}, {3, 2, "67%"}, {360.2, 36, "10%"}, {1000, 999, "99%"}, {0, 5, none},
	} {
		if got := errorShare(&aggregate.L7Row{Rate: c.rate, ErrorRate: c.errors}); got != c.want {
			t.Errorf("%v of %v: %q, want %q", c.errors, c.rate, got, c.want)
		}
	}
}

// Quantiles are of one protocol: of the one that is spoken most now.
func TestBusiest(t *testing.T) {
	var rows byProtocol
	if got := busiest(&rows); *got != (aggregate.L7Row{}) {
		t.Errorf("%+v of nothing", got)
	}
	rows[flow.TLS] = aggregate.L7Row{Requests: 900, P50: 3}
	rows[flow.DNS] = aggregate.L7Row{Requests: 5, P50: 2}
	if busiest(&rows).P50 != 3 {
		t.Error("without rates the number of requests decides")
	}
	rows[flow.DNS].Rate = 0.1
	if busiest(&rows).P50 != 2 {
		t.Error("the rate decides")
	}
}

func TestSpoken(t *testing.T) {
	var r aggregate.WorkloadRow
	r.Served[flow.HTTP].Requests, r.Asked[flow.HTTP].Requests, r.Asked[flow.DNS].Requests = 1, 1, 1
	if got := spoken(&r); got != "http →dns" {
		t.Errorf("%q", got)
	}
}

// A protocol of a newer weir has no words, and breaks nothing.
func TestUnknownProtocol(t *testing.T) {
	o := aggregate.OperationRow{Protocol: 200, Statuses: []aggregate.StatusCount{{Status: 7, Count: 1}}, L7Row: aggregate.L7Row{Requests: 1}}
	x := &flow.L7{Protocol: 200, Exchange: &flow.Exchange{Counted: flow.Counted{Protocol: 200}, Status: 7}}
	o.Examples = []*flow.L7{x}
	m, s := testModel(t, testConfig()), simulated(t, 80, 24)
	p := newPainter(m, s, colourTheme())
	press(m, "3")
	m.update(&aggregate.Snapshot{Time: noon.UnixNano(), Seq: 1, Operations: []aggregate.OperationRow{o}}, healthy(), noon)
	for range 3 {
		p.paint()
		press(m, "enter")
	}
	p.paint()
	if got := contents(s); !strings.Contains(got, "outcome         7") {
		t.Errorf("\n%s", got)
	}
	if got := instant(0, time.UTC); got != none {
		t.Errorf("no time is written %q", got)
	}
}
