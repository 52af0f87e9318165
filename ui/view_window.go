package ui

import (
	"strings"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// windowLabel is which window is looked at; nothing for the present.
func (m *model) windowLabel() line {
	if m.window.length == 0 {
		return nil
	}
	l := line{{"window " + windowName(m.window.length), accent}}
	if m.window.err != nil {
		l[0].role = bad
	}
	return l
}

// windowLine says of which time the numbers below are, what is missing in it, and what
// there was in all.
func (m *model) windowLine(width int) line {
	w := &m.window
	segs := []seg{{40, m.windowLabel()}}
	switch {
	case w.err != nil && w.of == nil:
		return fitSegs(width, append(segs, seg{39, line{{clean(w.err.Error()), warn}}}))
	case w.of == nil:
		return fitSegs(width, append(segs, seg{39, line{{"reading the history", dim}}}))
	case w.of.First.IsZero():
		return fitSegs(width, append(segs, seg{39, line{{"nothing is kept yet: the first minute is being written", warn}}}))
	}
	p := w.of
	if w.err != nil {
		segs = append(segs, seg{39, line{{"not the newest: " + clean(w.err.Error()), bad}}})
	}
	segs = append(segs, seg{39, line{{m.span(p.Since, p.Until), plain}}})
	for _, s := range m.missing(p) {
		segs = append(segs, seg{38, s.line})
	}
	failed := uint64(0)
	for p, r := range w.shown.Totals.L7 {
		if r.Requests > 0 {
			segs = append(segs, seg{30 - p, labelled(protocolName(flow.L7Protocol(p)), count(r.Requests))})
			failed += r.Errors
		}
	}
	t := &p.Total
	return fitSegs(width, append(segs,
		seg{25, labelled("errors", count(failed), bad)},
		seg{24, labelled("opened", count(t.Opened))},
		seg{22, labelled("→", bytes(t.Sent))},
		seg{22, labelled("←", bytes(t.Received))},
		seg{20, labelled("failed", count(t.Failed), bad)},
		seg{10, labelled("drops", count(t.Drops), bad)},
		seg{9, labelled("retransmits", count(t.Retransmits), warn)},
	))
}

// missing says what a window does not hold of its time.
func (m *model) missing(p *Past) (segs []seg) {
	if p.First.After(p.Since) {
		segs = append(segs, seg{8, line{{"only since " + m.minute(p.First), warn}}})
	}
	if p.Gap > 0 {
		segs = append(segs, seg{8, line{{"unseen " + windowName(p.Gap) + " in " + plural(p.Gaps, "gap"), warn}}})
	}
	if p.Lost > 0 {
		segs = append(segs, seg{8, line{{count(p.Lost) + " lost", bad}}})
	}
	if p.Beyond > 0 {
		segs = append(segs, seg{1, line{{count(p.Beyond) + " requests as other", warn}}})
	}
	return segs
}

// span is from when until when, in the clock's place.
func (m *model) span(since, until time.Time) text {
	return m.minute(since) + " to " + text(until.In(m.now.Location()).Format(time.TimeOnly))
}

// minute is a time of day, with the day where that is not today.
func (m *model) minute(t time.Time) text {
	t = t.In(m.now.Location())
	if t.Year() == m.now.Year() && t.YearDay() == m.now.YearDay() {
		return text(t.Format("15:04"))
	}
	return text(t.Format("Jan 2 15:04"))
}

// liveNote says that a page is of the present although a window is chosen.
func (m *model) liveNote() line {
	if m.window.length == 0 || m.page().past() {
		return nil
	}
	return line{{"LIVE: window " + windowName(m.window.length) + " is of views 1 and 3", warn}}
}

// tabName says of a tab that is looked at that it shows the present, beside others that
// show a window.
func (m *model) tabName(p *page, t *tab) text {
	if m.window.length > 0 && p.past() && !t.past && t == p.tab() {
		return t.name + " now"
	}
	return t.name
}

// emptyWindow says why a window has no rows.
func (m *model) emptyWindow() []line {
	w := &m.window
	switch {
	case w.of != nil && w.of.First.IsZero():
		return []line{{{"nothing is kept yet", plain}}, {{"the numbers of a window are written every few seconds", dim}}}
	case w.of != nil:
		return []line{{{"nothing happened in this window that weir saw", plain}}, {{"t takes a longer window, T a shorter one; :window live goes back", dim}}}
	case w.err != nil:
		out := []line{{{"the window cannot be shown", plain}}}
		for part := range strings.SplitSeq(w.err.Error(), "; ") {
			out = append(out, line{{clean(part), warn}})
		}
		return append(out, line{{":window live goes back to the present", dim}})
	}
	return []line{{{"reading the history", dim}}}
}
