package ui

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

func newVerdictsTab(m *model, wanted func(*aggregate.VerdictRow) bool) *tab {
	grid := newTable(verdictColumns(), "count", verdictKey)
	t := &tab{
		name: "Verdicts",
		grid: grid,
		on:   ofVerdict,
		fill: func(s *aggregate.Snapshot, f *filter) {
			var match func(*aggregate.VerdictRow) bool
			if !f.empty() {
				match = (&matcher{filter: f}).verdict
			}
			var rows []aggregate.VerdictRow
			for i := range s.Verdicts {
				if wanted(&s.Verdicts[i]) {
					rows = append(rows, s.Verdicts[i])
				}
			}
			grid.set(rows, match)
		},
	}
	t.open = func() {
		if r := grid.row(grid.Selected()); r != nil {
			m.push(newVerdictPage(m, *r))
		}
	}
	return t
}

// newVerdictPage shows all that is known of one kind of attempts. One that has left
// the snapshot stays as it was last seen.
func newVerdictPage(m *model, r aggregate.VerdictRow) *page {
	id, gone := verdictKey(&r), false
	p := &page{title: join(" ", judgedCell(&r).Short.fit(24, true), verdictPeer(&r).Short.fit(30, true))}
	p.refresh = func(s *aggregate.Snapshot) {
		gone = true
		for i := range s.Verdicts {
			if verdictKey(&s.Verdicts[i]) == id {
				r, gone = s.Verdicts[i], false
				break
			}
		}
	}
	p.tabs = []*tab{{name: "Verdict", lines: func(width int) []line { return verdictDetails(&r, gone, m.moment(), width) }}}
	return p
}

func verdictDetails(r *aggregate.VerdictRow, gone bool, now time.Time, width int) []line {
	var s sheet
	s.heading("VERDICT")
	v := verdictCell(r)
	if !r.Denied {
		v.Text += ": it passed, and would not if all policies were enforced"
	}
	s.put("verdict", v.Text, v.Role)
	if gone {
		s.put("", "nothing more was heard of it; this is what was last seen", warn)
	}
	s.put("rule", verdictRule(r).Text, plain)
	list(&s, "policy", r.By, refText)
	s.put("direction", directionText(r), plain)
	s.put("port", verdictPort(r).Text, plain)
	s.put("count", count(r.Count)+" attempts", plain)
	s.put("now", perSecond(r.Rate)+" per second", plain)
	if r.Ended > 0 {
		s.put("ended", count(r.Ended)+" of them were connections that lived", warn)
	}
	s.put("first", clock(r.First, now), plain)
	s.put("last", clock(r.Last, now), plain)
	if r.Other {
		return s.lines
	}
	var near, far sheet
	near.judged("WORKLOAD", r.Workload, "", r.Local)
	near.put("process", verdictProcess(r).Text, plain)
	far.judged("PEER", r.Peer, r.Remote, r.PeerAddr)
	return s.withEnds(&near, &far, width)
}

// judged lists what is known of one end of an attempt.
func (s *sheet) judged(heading text, w *flow.Workload, remote string, a netip.Addr) {
	s.heading(heading)
	if a.IsValid() {
		s.put("address", address(a), plain)
	}
	if w == nil || w.Runtime == flow.RuntimeWorld {
		s.put("name", endCell(w, remote).Text, plain)
		return
	}
	s.workload(w)
}

// refText is a policy with the place of its rule: "shop/web Guard, enforce, egressDeny[2]".
func refText(p flow.PolicyRef) text {
	rule := clean(p.Section)
	if rule != "" {
		rule += "[" + text(strconv.Itoa(p.Index)) + "]"
	}
	return join(", ", join(" ", clean(p.String()), clean(p.Kind)), clean(p.Mode), rule)
}

func directionText(r *aggregate.VerdictRow) text {
	switch {
	case r.Other:
		return none
	case r.Ingress:
		return "ingress: the workload was asked"
	}
	return "egress: the workload asked"
}
