package ui

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// newHealthPage is the fourth view: whether what is shown is all there was. It
// shows the present even while the picture is paused.
func newHealthPage(m *model) *page {
	return &page{title: "Health", tabs: []*tab{{name: "Health", lines: func(width int) []line {
		out := healthLines(m, m.health)
		for i, l := range out {
			out[i] = l.fit(width)
		}
		return out
	}}}}
}

func healthLines(m *model, h collector.Health) []line {
	var s sheet
	s.heading("CAPTURE")
	s.put("attached to", clean(m.cfg.Attached), plain)
	s.put("since", clock(h.Since, m.now), plain)
	s.put("events", count(h.Events)+" reached the aggregator", plain)
	s.put("records", count(h.Records)+" made of them", plain)
	s.put("flow table", count(uint64(max(h.Flows, 0)))+" flows", plain)
	if h.Evicted > 0 {
		s.put("evicted", count(h.Evicted)+" flows had to leave the table before their time", warn)
	}
	if m.newest != nil && m.newest.Totals.Unshown > 0 {
		s.put("not shown", count(m.newest.Totals.Unshown)+" records of flows for which the view has no room; the totals count them", warn)
	}
	s.losses(m, h)
	s.unseen(h.Source.Unseen)
	s.ring(h.Source)
	s.processors(h.Source)
	s.tables(h.Source.Tables)
	return s.lines
}

// losses lists every place where something was lost, the worst first.
func (s *sheet) losses(m *model, h collector.Health) {
	s.heading("LOSSES")
	total := lostTotal(h)
	if total == 0 {
		s.put("none", "every event was delivered", good)
		return
	}
	type entry struct {
		flow.Loss
		n uint64
	}
	var entries []entry
	for l, n := range h.Lost {
		if n > 0 {
			entries = append(entries, entry{l, n})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
	s.row(dim, 12, "STAGE", "REASON", "LOST")
	for _, e := range entries {
		s.row(bad, 12, clean(e.Stage), clean(e.Reason), count(e.n))
	}
	s.row(strong, 12, "all", "", count(total))
	if m.lossRate > 0 {
		s.put("now", perSecond(m.lossRate)+" lost per second", bad)
	}
}

// row adds a row of two words and one number, or of a word and numbers.
func (s *sheet) row(r role, firstWidth int, cells ...text) {
	l := line{{"  ", plain}, {cells[0].pad(firstWidth, false), r}}
	for i, c := range cells[1:] {
		if i == 0 && len(cells) == 3 {
			l = append(l, span{c.pad(20, false), r})
			continue
		}
		l = append(l, span{c.pad(14, true), r})
	}
	s.lines = append(s.lines, l)
}

// unseen tells of connections whose protocol is read what was not, the most bytes
// first. It is no loss of events: their flows are counted all the same.
func (s *sheet) unseen(all []flow.Unseen) {
	if len(all) == 0 {
		return
	}
	s.heading("UNSEEN of connections whose requests are read")
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b flow.Unseen) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Stretches, a.Stretches), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Reason, b.Reason))
	})
	row := func(r role, protocol, reason, stretches, bytes text) {
		s.lines = append(s.lines, line{{"  ", plain}, {protocol.pad(12, false), r}, {reason.pad(20, false), r},
			{stretches.pad(14, true), r}, {bytes.pad(14, true), r}})
	}
	row(dim, "PROTOCOL", "REASON", "STRETCHES", "BYTES")
	var sum flow.Unseen
	for _, u := range all {
		row(warn, optional(protocolName(u.Protocol)).Text, clean(u.Reason), count(u.Stretches), bytes(u.Bytes))
		sum.Stretches += u.Stretches
		sum.Bytes += u.Bytes
	}
	row(strong, "all", "", count(sum.Stretches), bytes(sum.Bytes))
}

func (s *sheet) ring(st flow.SourceStats) {
	if st.Ring == 0 {
		return
	}
	s.heading("RING BUFFER")
	s.put("waiting", gauge(st.Unread, st.Ring, 22)+" "+percent(st.Unread, st.Ring)+
		", "+bytes(st.Unread)+" of "+bytes(st.Ring), fillRole(st.Unread, st.Ring))
}

// processors shows the reconciliation: what programs produced was delivered,
// lost, or is in the ring still.
func (s *sheet) processors(st flow.SourceStats) {
	s.heading("PROCESSORS")
	if len(st.PerCPU) == 0 {
		s.put("", "this source does not count by processor", dim)
		return
	}
	s.row(dim, 6, "CPU", "PRODUCED", "DELIVERED", "LOST", "IN THE RING")
	for i, c := range st.PerCPU {
		if c != (flow.CPUCounts{}) {
			s.processor(text(strconv.Itoa(i)), c, plain)
		}
	}
	t := st.Total()
	s.processor("all", t, strong)
	if t.Produced < t.Delivered+t.Lost {
		s.put("", "the sum does not add up: more was delivered and lost than produced", bad)
	}
}

func (s *sheet) processor(name text, c flow.CPUCounts, r role) {
	waiting := text("?")
	if c.Produced >= c.Delivered+c.Lost {
		waiting = count(c.Produced - c.Delivered - c.Lost)
	}
	if c.Lost > 0 {
		r = bad
	}
	s.row(r, 6, name, count(c.Produced), count(c.Delivered), count(c.Lost), waiting)
}

func (s *sheet) tables(tables []flow.TableFill) {
	if len(tables) == 0 {
		return
	}
	s.heading("KERNEL TABLES")
	for _, t := range tables {
		s.put(clean(t.Name), gauge(t.Entries, t.Max, 22)+" "+percent(t.Entries, t.Max).pad(4, true)+
			", "+count(t.Entries)+" of "+count(t.Max), fillRole(t.Entries, t.Max))
	}
}

// fillRole warns before something is full.
func fillRole(part, of uint64) role {
	switch p := float64(part) / float64(max(of, 1)); {
	case p >= 0.95:
		return bad
	case p >= 0.75:
		return warn
	}
	return plain
}
