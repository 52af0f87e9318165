package ui

import (
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
)

// newPoliciesPage is the fifth view: which policies hold in which mode, and what
// they refused or would have, of each and in all.
func newPoliciesPage(m *model) *page {
	verdicts := newVerdictsTab(m, func(*aggregate.VerdictRow) bool { return true })
	verdicts.empty = "no policy refused anything, or would have, since weir looks"
	p := &page{title: "Policies", tabs: []*tab{newPoliciesTab(m), verdicts}}
	p.summary = func(width int) []line { return m.policyNotes(width) }
	return p
}

func newPoliciesTab(m *model) *tab {
	grid := newTable(policyColumns(), "denied", (*policyRow).key)
	grid.dimmed = func(r *policyRow) bool { return r.gone }
	t := &tab{name: "Policies", grid: grid, on: ofPolicy}
	t.fill = func(s *aggregate.Snapshot, f *filter) {
		var match func(*policyRow) bool
		if !f.empty() {
			match = (&matcher{filter: f}).policy
		}
		t.empty = "no policy is at work; `weir policy audit FILE` brings one"
		if m.policies.Note != "" || m.policies.Foreign {
			t.empty = "no policy has spoken since weir looks"
		}
		grid.set(policyRows(&m.policies, s.Verdicts), match)
	}
	t.open = func() {
		if r := grid.row(grid.Selected()); r != nil {
			m.push(newPolicyPage(m, *r))
		}
	}
	return t
}

// policyNotes says what there is to know of all policies together, and what weir
// cannot tell.
func (m *model) policyNotes(width int) (out []line) {
	put := func(r role, t text) { out = append(out, line{{t, r}}.fit(width)) }
	p := &m.policies
	if p.Failure != "" {
		put(bad, "the policies do not hold as they should: "+clean(p.Failure))
	}
	if p.Foreign && p.Note == "" {
		put(warn, "programs of policies are at work that nobody here keeps; `weir policy off` takes them out")
	}
	if p.Note != "" {
		put(warn, clean(p.Note))
	}
	if n := len(p.Uncovered); n > 0 {
		more := text("")
		if n > 1 {
			more = ", and at " + plural(n-1, "more place")
		}
		const what text = "not judged, frames past the IP stack: "
		put(warn, what+clean(p.Uncovered[0]).fit(max(10, width-what.width()-more.width()), false)+more)
	}
	if p.Lost > 0 {
		put(bad, count(p.Lost)+" verdicts are not counted: the kernel's table was full")
	}
	if m.shown == nil || len(p.List) == 0 && len(m.shown.Verdicts) == 0 {
		return out
	}
	var how line
	if m.roots[rootPolicies].at == 0 {
		how = hint("tab", "all verdicts")
	}
	t := &m.shown.Totals
	return append(out, fitSegs(width, []seg{
		{9, labelled("denied", count(t.Denied), bad)},
		{8, labelled("/s", perSecond(t.DeniedRate).pad(4, false), bad)},
		{9, labelled("audited", count(t.Audited), warn)},
		{8, labelled("/s", perSecond(t.AuditedRate).pad(4, false), warn)},
		{3, line{{"since weir looks", dim}}},
		{5, how},
	}))
}

// newPolicyPage is one policy: its verdicts, and all that is known of it.
func newPolicyPage(m *model, r policyRow) *page {
	id, gone := r.key(), false
	p := &page{title: clean(r.Name).fit(40, true)}
	verdicts := newVerdictsTab(m, func(v *aggregate.VerdictRow) bool { return spokeBy(v, id) })
	verdicts.empty = "no verdicts of this policy since weir looks; tab shows those before"
	details := &tab{name: "Policy", lines: func(width int) []line { return policyDetails(&r, m.moment(), width) }}
	p.tabs = []*tab{verdicts, details}
	p.refresh = func(s *aggregate.Snapshot) {
		gone = true
		for _, o := range policyRows(&m.policies, s.Verdicts) {
			if o.key() == id {
				r, gone = o, o.gone
				break
			}
		}
	}
	p.summary = func(width int) []line { return policySummary(&r, gone, m.moment(), width) }
	return p
}

// policySummary is what is said above a policy's verdicts.
func policySummary(r *policyRow, gone bool, now time.Time, width int) []line {
	mode := policyMode(r.Mode)
	who := []seg{{9, line{{clean(r.Name), strong}}}, {5, labelled("", clean(r.Kind))}, {8, line{{mode.Text, mode.Role}}}}
	if gone {
		who = append(who, seg{8, line{{"not at work any more", warn}}})
	}
	if !r.Since.IsZero() {
		who = append(who, seg{4, labelled("for", age(now.Sub(r.Since).Nanoseconds()))})
	}
	if !r.Until.IsZero() {
		who = append(who, seg{7, line{{"back to audit in ", dim}, {age(r.Until.Sub(now).Nanoseconds()), warn}}})
	}
	whom := line{{verbOf(r) + " ", dim}, {selectedCell(r).Text, plain}}
	counts := []seg{
		{9, labelled("denied", count(r.Denied), bad)},
		{8, labelled("/s", perSecond(r.deniedRate).pad(4, false), bad)},
		{9, labelled("audited", count(r.Audited), warn)},
		{8, labelled("/s", perSecond(r.auditedRate).pad(4, false), warn)},
	}
	return []line{fitSegs(width, who), whom.fit(width), fitSegs(width, counts)}
}

// verbOf says what the workloads of a policy are to it: a Guard names those that may
// do what nobody else may.
func verbOf(r *policyRow) text {
	if r.Kind == "Guard" {
		return "allows"
	}
	return "selects"
}

func policyDetails(r *policyRow, now time.Time, width int) []line {
	var s sheet
	s.heading("POLICY")
	s.put("name", clean(r.Name), plain)
	s.put("kind", clean(r.Kind), plain)
	mode := policyMode(r.Mode)
	s.put("mode", mode.Text, mode.Role)
	s.put("since", clock(nanos(r.Since), now), plain)
	s.put("back to audit", clock(nanos(r.Until), now), warn)
	s.put("file", clean(r.File), plain)
	s.put("denied", count(r.Denied), plain)
	s.put("audited", count(r.Audited), plain)
	s.put("spoke last", clock(r.last, now), plain)
	if !r.told {
		s.put("", "only its verdicts tell of it", warn)
	} else if len(r.Selected) == 0 {
		s.put(verbOf(r), "no workload that is there", warn)
	}
	list(&s, verbOf(r), r.Selected, clean)
	if len(r.Said) > 0 {
		s.heading("VERDICTS since it came into its mode, the most frequent")
		for _, said := range r.Said {
			s.lines = append(s.lines, line{{"  ", plain}, {clean(said), plain}})
		}
	}
	for i, l := range s.lines {
		s.lines[i] = l.fit(width)
	}
	return s.lines
}
