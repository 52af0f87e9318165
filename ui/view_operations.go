package ui

import (
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// newOperationsPage is the third view: what is asked, and how it is answered.
func newOperationsPage(m *model) *page {
	t := newOperationsTab(m, "Operations", func(s *aggregate.Snapshot) []aggregate.OperationRow { return s.Operations })
	t.empty = "no requests yet: HTTP requests, DNS lookups and TLS handshakes appear here"
	return &page{title: "Operations", tabs: []*tab{t}}
}

func newOperationsTab(m *model, name text, rows func(*aggregate.Snapshot) []aggregate.OperationRow) *tab {
	grid := newTable(operationColumns(), "req/s", operationKey)
	now, past := grid.arrangement, newArrangement(pastOperationColumns(), "requests")
	t := &tab{
		name: name,
		grid: grid,
		on:   ofOperation,
		past: true,
		turn: func(inPast bool) {
			if grid.use(now); inPast {
				grid.use(past)
			}
		},
		fill: func(s *aggregate.Snapshot, f *filter) {
			var match func(*aggregate.OperationRow) bool
			if !f.empty() {
				match = (&matcher{filter: f}).operation
			}
			grid.set(rows(s), match)
		},
	}
	t.open = func() {
		if r := grid.row(grid.Selected()); r != nil {
			m.push(newOperationPage(m, *r))
		}
	}
	return t
}

// operationTabs are what one workload was asked, what it asked, and the slow and
// failed exchanges of both.
func operationTabs(m *model, is func(*flow.Workload) bool) []*tab {
	of := func(mine func(*aggregate.OperationRow) bool) func(*aggregate.Snapshot) []aggregate.OperationRow {
		return func(s *aggregate.Snapshot) (out []aggregate.OperationRow) {
			for i := range s.Operations {
				if mine(&s.Operations[i]) {
					out = append(out, s.Operations[i])
				}
			}
			return out
		}
	}
	served := newOperationsTab(m, "Served", of(func(r *aggregate.OperationRow) bool { return is(r.Server) }))
	served.empty = "nobody asked this workload anything that weir can read"
	asked := newOperationsTab(m, "Asked", of(func(r *aggregate.OperationRow) bool { return is(r.Client) }))
	asked.empty = "this workload asked nobody anything that weir can read"
	examples := newExchangesTab(m, func(r *aggregate.OperationRow) bool { return is(r.Client) || is(r.Server) })
	return []*tab{served, asked, examples}
}

// newExchangesTab lists exchanges that are known in full: the slow and the failed.
func newExchangesTab(m *model, wanted func(*aggregate.OperationRow) bool) *tab {
	grid := newTable(exchangeColumns(func() *time.Location { return m.now.Location() }), "time", (*exchangeRow).key)
	t := &tab{
		name:  "Examples",
		grid:  grid,
		on:    ofOperation,
		empty: "no slow or failed exchange lately: all others are only counted",
		fill: func(s *aggregate.Snapshot, f *filter) {
			var match func(*exchangeRow) bool
			if !f.empty() {
				match = (&matcher{filter: f}).exchange
			}
			grid.set(exchangesOf(s, wanted), match)
		},
	}
	t.open = func() {
		if r := grid.row(grid.Selected()); r != nil {
			m.push(newExchangePage(m, r.of))
		}
	}
	return t
}

// newOperationPage is one operation: how it goes, and its slow and failed
// exchanges.
func newOperationPage(m *model, r aggregate.OperationRow) *page {
	gone := false
	p := &page{title: operationTitle(r.Protocol, r.Method, r.Route), ofPast: true}
	p.tabs = []*tab{newExchangesTab(m, func(o *aggregate.OperationRow) bool { return sameOperation(o, &r) })}
	p.refresh = func(s *aggregate.Snapshot) {
		gone = true
		for i := range s.Operations {
			if sameOperation(&s.Operations[i], &r) {
				r, gone = s.Operations[i], false
				break
			}
		}
	}
	p.summary = func(width int) []line {
		return operationSummary(&r, m.absence(gone, "not asked for any more"), m.window.length > 0, width)
	}
	return p
}

func operationTitle(p flow.L7Protocol, method, route string) text {
	what := clean(method)
	if what == "" {
		what = protocolName(p)
	}
	return join(" ", what.fit(12, false), routeCell(route).Text.fit(36, true))
}

// operationSummary is what is said above an operation's exchanges.
func operationSummary(r *aggregate.OperationRow, absence text, past bool, width int) []line {
	client, _ := endName(r.Client, r.Remote)
	server, _ := endName(r.Server, r.Remote)
	who := []seg{{9, line{{client, strong}, {" → ", dim}, {server, strong}}}}
	if absence != "" {
		who = append(who, seg{8, line{{absence, warn}}})
	}
	route := routeCell(r.Route)
	what := []seg{{9, line{{join(" ", protocolName(r.Protocol), clean(r.Method)), accent}, {" ", plain}, {route.Text.fit(max(10, width-24), true), route.Role}}},
		{5, labelled("", ruleText(r.Rule))}}
	now := []seg{
		{9, labelled("req/s", perSecond(r.Rate).pad(4, false))},
		{8, errorsLine(&r.L7Row)},
		{7, labelled("p50", latency(r.P50).pad(6, false))},
		{8, labelled("p99", latency(r.P99).pad(6, false))},
		{6, labelled("requests", count(r.Requests))},
		{6, labelled("errors", count(r.Errors), bad)},
		{3, labelled("asked", bytes(r.RequestBytes))},
		{3, labelled("answered", bytes(r.ResponseBytes))},
	}
	if past { // it knows neither outcomes nor how much was told in full
		return []line{fitSegs(width, who), fitSegs(width, what), fitSegs(width, now)}
	}
	return []line{fitSegs(width, who), fitSegs(width, what), fitSegs(width, now),
		outcomesLine(r, width), line{{shownText(r), dim}}.fit(width)}
}

// errorsLine is the share of errors in a fixed place.
func errorsLine(r *aggregate.L7Row) line {
	c := errorCell(r)
	return line{{"err ", dim}, {c.Text.pad(4, false), c.Role}}
}

func ruleText(rule string) text {
	if rule == "" {
		return ""
	}
	return "path " + clean(rule)
}

// outcomesLine counts an operation's outcomes, the most frequent first.
func outcomesLine(r *aggregate.OperationRow, width int) line {
	var segs []seg
	for i, s := range r.Statuses {
		how := outcomeRole(r.Protocol, s.Status, false)
		segs = append(segs, seg{-i, line{{statusText(r.Protocol, s.Status), how}, {" " + count(s.Count), dim}}})
	}
	return fitSegs(width, segs)
}
