package ui

import "strconv"

// header is the bar at the top: where this is, what flows, and whether anything
// was lost. rows is 3, or 1 on a narrow screen; the losses, the lag and the mode
// are there in both.
func (m *model) header(width, rows int) []line {
	if rows == 1 {
		segs := append(append([]seg{
			{10, m.modeLine()}, {10, m.windowLabel()}}, m.lossSegs(true)...),
			seg{6, m.refusedLine()},
			seg{5, labelled("flows", count(uint64(m.live())))},
			seg{4, line{{perSecond(m.eventRate()), plain}, {" ev/s", dim}}},
			seg{0, line{{clean(m.cfg.Host), plain}}},
		)
		switch {
		case m.page().past() && m.window.of != nil:
			segs = append(segs, m.missing(m.window.of)...)
		case m.shown != nil:
			segs = append(segs, requestSegs(&m.shown.Totals.L7, 3)...)
		}
		return []line{fitSegs(width, segs)}
	}
	if m.window.length > 0 && m.page().past() {
		return []line{m.placeLine(width), m.windowLine(width), m.lossLine(width)}
	}
	return []line{m.placeLine(width), m.trafficLine(width), m.lossLine(width)}
}

func (m *model) modeLine() line {
	mode := m.policies.mode()
	if mode == "" {
		mode = clean(m.cfg.Mode)
	}
	l := line{{"weir ", strong}, {mode, accent}}
	if m.policies.Failure != "" {
		l = append(l, span{" failing", bad})
	}
	return l
}

func (m *model) placeLine(width int) line {
	return fitSegs(width, []seg{
		{10, m.modeLine()},
		{9, line{{clean(m.cfg.Host), strong}}},
		{7, labelled("", clean(m.cfg.Title))},
		{5, labelled("kernel", clean(m.cfg.Kernel))},
		{8, labelled("from", clean(m.cfg.Attached))},
	})
}

func (m *model) live() int {
	if m.shown == nil {
		return 0
	}
	return max(0, m.shown.Totals.Live)
}

func (m *model) trafficLine(width int) line {
	if m.shown == nil {
		return line{{"waiting for the first reading", dim}}
	}
	t := m.shown.Totals
	// Numbers that change at every reading have a fixed place.
	segs := []seg{
		{31, m.liveNote()},
		{30, line{{"flows ", dim}, {count(uint64(m.live())).pad(7, false), plain}}},
		{6, line{{"open/s ", dim}, {perSecond(t.OpenRate).pad(5, false), plain}}},
		{29, line{{"→ ", dim}, {rate(t.SentRate.Payload).pad(9, false), plain}}},
		{29, line{{"← ", dim}, {rate(t.ReceivedRate.Payload).pad(9, false), plain}}},
		{28, m.refusedLine()},
	}
	return fitSegs(width, append(append(segs, requestSegs(&t.L7, 20)...),
		seg{8, labelled("failed", count(t.Failed), bad)},
		seg{7, labelled("drops", count(t.Drops), bad)},
		seg{5, labelled("retransmits", count(t.Retransmits), warn)},
	))
}

// refusedLine counts what policies refused, and would have; nothing where that is
// nothing.
func (m *model) refusedLine() (l line) {
	if m.shown == nil {
		return nil
	}
	if n := m.shown.Totals.Denied; n > 0 {
		l = append(l, span{"denied ", dim}, span{count(n), bad})
	}
	if n := m.shown.Totals.Audited; n > 0 {
		if l != nil {
			l = append(l, span{segGap, plain})
		}
		l = append(l, span{"audited ", dim}, span{count(n), warn})
	}
	return l
}

func (m *model) lossLine(width int) line {
	segs := m.lossSegs(false)
	rate := line{{"events ", dim}, {perSecond(m.eventRate()).pad(5, true), plain}, {"/s", dim}}
	const most, least = 60, 10
	segs = append(segs, seg{6, rate})
	if left := width - segsWidth(segs) - len(segGap); left >= least {
		segs = append(segs, seg{5, line{{sparkline(m.history, min(left, most)), plain}}})
	}
	return fitSegs(width, segs)
}

// lossSegs are what must never be hidden.
func (m *model) lossSegs(narrow bool) []seg {
	lost := lostTotal(m.health)
	words := line{{"LOST " + count(lost), good}}
	if lost > 0 {
		words[0].role = bad
		if m.lossRate > 0 {
			words = append(words, span{" +" + perSecond(m.lossRate) + "/s", bad})
		}
	}
	if m.health.Since != 0 && !narrow {
		words = append(words, span{" since " + clock(m.health.Since, m.now), dim})
	}
	out := []seg{{10, words}}
	if m.paused {
		out = append(out, seg{9, line{{"PAUSED, " + count(m.newer()) + " newer", warn}}})
	}
	lag := line{{"lag ", dim}, {age(int64(m.lag())), plain}}
	if m.lag() >= 3e9 {
		lag[1].role = bad
	}
	out = append(out, seg{8, lag})
	if st := m.health.Source; st.Ring > 0 {
		out = append(out, seg{7, line{{"ring ", dim}, {percent(st.Unread, st.Ring).pad(3, false), fillRole(st.Unread, st.Ring)}}})
	}
	return out
}

// tabBar names the views, or where the user is inside one.
func (m *model) tabBar(width int) line {
	if len(m.stack) == 0 {
		var full []seg
		var brief line
		for i, p := range m.roots {
			name := text(strconv.Itoa(i+1)) + " " + p.name()
			full = append(full, seg{5, tabLabel(name+m.rootCount(i), i == m.root)})
			brief = append(brief, tabLabel(name, i == m.root)...)
		}
		if segsWidth(full) > width {
			return brief.fit(width) // its labels have blanks around them
		}
		return fitSegs(width, full)
	}
	path := line{{m.roots[m.root].title, dim}}
	for i, p := range m.stack {
		r := dim
		if i == len(m.stack)-1 {
			r = accent
		}
		path = append(path, span{" › ", dim}, span{p.title, r})
	}
	var segs []seg
	if p := m.page(); len(p.tabs) > 1 {
		for i, t := range p.tabs {
			segs = append(segs, seg{8, tabLabel(m.tabName(p, t), i == p.at)})
		}
		// A long name leaves room for the tabs: else nobody would find them.
		path = path.fit(max(24, width-segsWidth(segs)-len(segGap)))
	}
	return fitSegs(width, append([]seg{{9, path}}, segs...))
}

func tabLabel(name text, here bool) line {
	if here {
		return line{{"[" + name + "]", accent}}
	}
	return line{{" " + name + " ", dim}}
}

func (m *model) rootCount(i int) text {
	switch {
	case i == rootHealth && lostTotal(m.health) > 0, i == rootPolicies && m.policies.Failure != "":
		return " !"
	case i == rootHealth || m.shown == nil:
		return ""
	case i == rootPolicies && m.roots[i].at > 0:
		return " " + count(uint64(len(m.shown.Verdicts)))
	case i == rootPolicies:
		return " " + count(uint64(len(m.policies.List)))
	case i == rootWorkloads || i == rootOperations:
		s := m.source(true)
		switch {
		case s == nil:
			return ""
		case i == rootWorkloads:
			return " " + count(uint64(len(s.Workloads)))
		}
		return " " + count(uint64(len(s.Operations)))
	}
	return " " + count(uint64(len(m.shown.Flows)))
}

// status is the line below the rows: what is typed, said, or in force.
func (m *model) status(width, hidden int) line {
	t := m.tab()
	switch {
	case m.prompt != nil:
		return m.promptLine(width)
	case m.message != "":
		return line{{m.message, m.messageRole}}.fit(width)
	case t.grid == nil:
		if m.textLines <= m.pageSize {
			return nil
		}
		last := min(t.scroll+m.pageSize, m.textLines)
		return line{{"lines " + count(uint64(t.scroll+1)) + "-" + count(uint64(last)) + " of " + count(uint64(m.textLines)), dim}}
	}
	var segs []seg
	if !t.filter.empty() {
		segs = append(segs, seg{9, line{{"filter ", dim}, {clean(t.filter.String()).fit(max(10, width-40), false), accent},
			{" " + count(uint64(t.grid.Len())) + " of " + count(uint64(t.grid.Total())), plain}}})
	} else if t.grid.Len() > 0 {
		segs = append(segs, seg{6, line{{"row " + count(uint64(t.grid.Selected()+1)) + " of " + count(uint64(t.grid.Len())), dim}}})
	}
	by, desc := t.grid.Sorting()
	order := text(" ▲")
	if desc {
		order = " ▼"
	}
	segs = append(segs, seg{5, line{{"sorted by ", dim}, {by + order, plain}}})
	if hidden > 0 {
		segs = append(segs, seg{4, line{{"w or → for " + plural(hidden, "more column"), dim}}})
	}
	return fitSegs(width, segs)
}

// emptyState says why there are no rows, and what to do.
func (m *model) emptyState(t *tab) []line {
	switch {
	case m.shown == nil:
		return []line{{{"waiting for the first reading", dim}}}
	case m.inWindow(t) && m.window.of == nil:
		return m.emptyWindow()
	case !t.filter.empty():
		out := []line{
			{{"nothing matches the filter ", plain}, {clean(t.filter.String()).fit(40, false), accent}},
			{{"esc clears it, / changes it, ? shows what it may say", dim}},
		}
		if name := t.filter.misfit(t.on); name != "" {
			out = append(out, line{{text(name) + ": is of other rows than these", warn}})
		}
		return out
	case m.inWindow(t):
		return m.emptyWindow()
	}
	return []line{{{t.empty, plain}}, {{"press ? for help", dim}}}
}

// promptLine is what is being typed; its end stays in view.
func (m *model) promptLine(width int) line {
	p := m.prompt
	out := line{{text(string(p.mark)), accent}, {clean(p.value()).tail(max(8, width*2/3)), strong}}
	switch {
	case p.err != nil:
		out = append(out, span{"   ", plain}, span{clean(p.err.Error()), bad})
	case p.value() != "" && p.mark == '/':
		g := m.tab().grid
		out = append(out, span{"   " + count(uint64(g.Len())) + " of " + count(uint64(g.Total())), dim})
	case p.mark == '/':
		out = append(out, span{"    " + filterHint(m.tab().on), dim})
	case p.value() == "":
		out = append(out, span{"    flows  workloads  operations  health  policy  window TIME  sort COLUMN  filter …  help  q", dim})
	}
	return out.fit(width)
}

// cursor is the column of the prompt's cursor, -1 without a prompt.
func (m *model) cursor(width int) int {
	if m.prompt == nil {
		return -1
	}
	before := clean(string(m.prompt.input[:m.prompt.at]))
	return min(width-1, 1+min(before.width(), max(8, width*2/3)))
}

// hints is the bottom line, from the key table.
func (m *model) hints(width int) line {
	if m.prompt != nil {
		var segs []seg
		for i, k := range promptKeys {
			segs = append(segs, seg{-i, hint(keyList(k.keys), k.help)})
		}
		return fitSegs(width, segs)
	}
	// What can be done here comes first, but leaves first too.
	var here, always []seg
	for i, b := range bindings {
		if b.hint == "" || b.scope&m.scope() == 0 {
			continue
		}
		what := b.hint
		if b.action == actBack && len(m.stack) == 0 {
			what = "quit"
		}
		s := seg{-i, hint(text(b.keys[0]), what)}
		if b.scope == everywhere {
			always = append(always, s)
		} else {
			here = append(here, s)
		}
	}
	return fitSegs(width, append(here, always...))
}

func hint(key, what text) line { return line{{key, strong}, {" " + what, dim}} }
