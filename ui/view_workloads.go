package ui

import (
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// newWorkloadsPage is the first view: who talks, and how well.
func newWorkloadsPage(m *model) *page {
	grid := newTable(workloadColumns(), "in/s", func(r *aggregate.WorkloadRow) string { return workloadKey(r.Workload) })
	now, past := grid.arrangement, newArrangement(pastWorkloadColumns(), "requests")
	t := &tab{
		name:  "Workloads",
		grid:  grid,
		past:  true,
		empty: "no workloads yet: they appear with their first connection, or when the kernel's tables are read",
		fill: func(s *aggregate.Snapshot, f *filter) {
			var match func(*aggregate.WorkloadRow) bool
			if !f.empty() {
				match = (&matcher{filter: f}).workloads(s)
			}
			grid.set(s.Workloads, match)
		},
		turn: func(inPast bool) {
			if grid.use(now); inPast {
				grid.use(past)
			}
		},
	}
	t.open = func() {
		if r := grid.row(grid.Selected()); r != nil {
			m.push(newWorkloadPage(m, r.Workload))
		}
	}
	return &page{title: "Workloads", tabs: []*tab{t}}
}

// newFlowsPage is the second view: every flow, alive or ended lately.
func newFlowsPage(m *model) *page {
	return &page{title: "Flows", tabs: []*tab{newFlowsTab(m, func(s *aggregate.Snapshot) []aggregate.FlowRow { return s.Flows })}}
}

func newFlowsTab(m *model, rows func(*aggregate.Snapshot) []aggregate.FlowRow) *tab {
	grid := newTable(flowColumns(), "recv/s", func(r *aggregate.FlowRow) uint64 { return r.ID })
	grid.dimmed = func(r *aggregate.FlowRow) bool { return r.Ended != 0 }
	var filtered flowFilter
	t := &tab{
		name:  "Flows",
		grid:  grid,
		on:    ofFlow,
		empty: "no flows yet: what is open now and what opens from now on appears here",
		fill: func(s *aggregate.Snapshot, f *filter) {
			all := rows(s)
			grid.set(all, filtered.match(f, len(all)))
		},
	}
	t.open = func() {
		if r := grid.row(grid.Selected()); r != nil {
			m.push(newFlowPage(m, *r))
		}
	}
	return t
}

// newWorkloadPage is one workload: its summary, its flows, its peers, and what it
// was asked and asked others.
func newWorkloadPage(m *model, w *flow.Workload) *page {
	key := workloadKey(w)
	subject := aggregate.WorkloadRow{Workload: w}
	gone := false
	mine := func(s *aggregate.Snapshot) []aggregate.FlowRow {
		var out []aggregate.FlowRow
		for i := range s.Flows {
			f := &s.Flows[i]
			if sameWorkload(f.Client.Workload, w, key) || sameWorkload(f.Server.Workload, w, key) {
				out = append(out, *f)
			}
		}
		return out
	}
	flows := newFlowsTab(m, mine)
	flows.empty = "no flows of this workload are open, and none ended lately"
	_, title := workloadName(w)
	p := &page{title: title}
	p.tabs = []*tab{flows, newPeersTab(m, p, func(s *aggregate.Snapshot, match func(*aggregate.FlowRow) bool) []peerRow {
		return peersOf(s.Flows, match, w, key)
	})}
	p.tabs = append(p.tabs, operationTabs(m, func(o *flow.Workload) bool { return sameWorkload(o, w, key) })...)
	p.refresh = func(s *aggregate.Snapshot) {
		gone = true
		for i := range s.Workloads {
			if r := &s.Workloads[i]; sameWorkload(r.Workload, w, key) {
				// Its name may have become better since the page was opened.
				subject, w, gone = *r, r.Workload, false
				_, p.title = workloadName(w)
				break
			}
		}
	}
	p.summary = func(width int) []line {
		return workloadSummary(&subject, m.absence(gone, "has no flows any more"), m.window.length > 0, width)
	}
	return p
}

// newPeersTab lists whom a workload talks to; a filter selects the flows of
// which the peers are made. A peer that is a workload opens as one; of another
// the flows are shown.
func newPeersTab(m *model, p *page, rows func(*aggregate.Snapshot, func(*aggregate.FlowRow) bool) []peerRow) *tab {
	grid := newTable(peerColumns(), "in/s", func(r *peerRow) string { return r.Key })
	t := &tab{
		name:  "Peers",
		grid:  grid,
		on:    ofFlow,
		empty: "no peers: this workload has no flows now",
		fill: func(s *aggregate.Snapshot, f *filter) {
			var match func(*aggregate.FlowRow) bool
			if !f.empty() {
				match = (&matcher{filter: f}).flow
			}
			grid.set(rows(s, match), nil)
		},
	}
	t.open = func() {
		r := grid.row(grid.Selected())
		switch {
		case r == nil:
		case !r.remote().IsValid():
			m.push(newWorkloadPage(m, r.End.Workload))
		default:
			if f, err := parseFilter("ip:" + r.remote().WithZone("").String()); err == nil {
				p.at = 0
				m.setFilter(f)
			}
		}
	}
	return t
}

// workloadSummary is what is said above a workload's flows.
func workloadSummary(r *aggregate.WorkloadRow, absence text, past bool, width int) []line {
	full, _ := workloadName(r.Workload)
	who := []seg{{9, line{{full, strong}}}}
	if absence != "" {
		who = append(who, seg{9, line{{absence, warn}}})
	}
	if w := r.Workload; w != nil {
		who = append(who,
			seg{7, labelled("", kindCell(w).Text)},
			seg{4, labelled("owner", clean(w.Owner.Name))},
			seg{6, labelled("image", clean(w.Image))},
			seg{5, labelled("id", clean(w.ShortID()))},
			seg{3, labelled("cgroup", clean(w.Cgroup))},
		)
	}
	now := []seg{
		{9, labelled("live", countCell(uint64(max(r.Live, 0)), plain).Text)},
		{8, labelled("opened", count(r.Opened))},
		{8, labelled("in", rate(r.ReceivedRate.Payload).pad(9, false))},
		{8, labelled("out", rate(r.SentRate.Payload).pad(9, false))},
		{7, labelled("open/s", perSecond(r.OpenRate).pad(4, false))},
		{6, labelled("rtt", latency(r.RTT).pad(6, false))},
		{5, labelled("failed", count(r.Failed), bad)},
		{5, labelled("drops", count(r.Drops), bad)},
		{4, labelled("retransmits", count(r.Retransmits), warn)},
		{3, labelled("total in", bytes(r.Received.Payload))},
		{3, labelled("out", bytes(r.Sent.Payload))},
	}
	out := []line{fitSegs(width, who), fitSegs(width, now)}
	if l := workloadRequests(r, past, width); len(l) > 0 {
		out = append(out, l)
	}
	return out
}

// workloadRequests says what a workload is asked and asks; nothing where it never
// did either.
func workloadRequests(r *aggregate.WorkloadRow, past bool, width int) line {
	var segs []seg
	put := func(verb text, rows *byProtocol, priority int) {
		for p := range flow.L7Protocol(flow.L7Protocols) {
			row := &rows[p]
			if row.Requests == 0 {
				continue
			}
			e := errorCell(row)
			many, per := perSecond(row.Rate).pad(4, true), text("/s")
			if past { // what was asked ten times in a day has no rate that can be read
				many, per = count(row.Requests), ""
			}
			segs = append(segs, seg{priority, line{{verb + " " + protocolName(p) + " ", dim}, {many, plain}, {per + "  p99 ", dim},
				{latency(row.P99).pad(6, true), plain}, {" err ", dim}, {e.Text.pad(3, false), e.Role}}})
			priority--
		}
	}
	put("serves", &r.Served, 20)
	put("asks", &r.Asked, 10)
	return fitSegs(width, segs)
}
