package ui

import (
	"strconv"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
)

// The least screen that is of use, and where the header shrinks to one row.
const (
	minWidth, minHeight   = 60, 15
	fullWidth, fullHeight = 80, 20
)

// painter draws a model on a screen. It belongs to the loop's goroutine.
type painter struct {
	model   *model
	screen  tcell.Screen
	theme   theme
	table   *tview.Table
	content *content
	tableY  int // where the table begins, for the mouse
	buttons tcell.ButtonMask
}

func newPainter(m *model, s tcell.Screen, t theme) *painter {
	p := &painter{model: m, screen: s, theme: t, content: &content{theme: t}}
	p.table = tview.NewTable().SetContent(p.content).SetFixed(1, 0).
		SetSelectable(true, false).SetSelectedStyle(t[chosen])
	p.table.SetBordersColor(tcell.ColorDefault).SetBackgroundColor(tcell.ColorDefault)
	return p
}

// paint draws everything; tcell sends what differs from the frame before.
func (p *painter) paint() {
	s := p.screen
	s.Clear()
	s.HideCursor()
	w, h := s.Size()
	if w < minWidth || h < minHeight {
		p.tooSmall(w, h)
		s.Show()
		return
	}
	m := p.model
	rows := 3
	if w < fullWidth || h < fullHeight {
		rows = 1
	}
	y := 0
	put := func(l line) {
		p.line(1, y, w-1, l)
		y++
	}
	for _, l := range m.header(w-2, rows) {
		put(l)
	}
	put(m.tabBar(w - 2))
	page := m.page()
	if page.summary != nil {
		for _, l := range page.summary(w - 2) {
			put(l)
		}
	}
	hidden := p.body(page.tab(), y, w, h-2-y)
	y = h - 2
	put(m.status(w-2, hidden))
	put(m.hints(w - 2))
	if at := m.cursor(w - 2); at >= 0 {
		s.ShowCursor(1+at, h-2)
	}
	s.Show()
}

// body draws a tab's rows or text and tells how many columns had no room.
func (p *painter) body(t *tab, y, w, h int) (hidden int) {
	p.tableY = y
	if t.grid == nil {
		p.text(t, y, w, h)
		return 0
	}
	p.model.pageSize = max(1, h-1)
	t.grid.At(p.model.moment().UnixNano())
	var cols []placed
	cols, hidden = t.grid.Layout(w - 2)
	// tview would keep the end in view once all rows had fitted, and so jump
	// when they grow: the offset is set here at each frame.
	page, at := h-1, t.grid.Selected()
	t.scroll = min(max(t.scroll, at-page+1, 0), at, max(0, t.grid.Len()-page))
	p.content.set(t.grid, cols, w-2, t.scroll, page)
	p.table.SetOffset(t.scroll, 0)
	p.table.Select(at+1, 0)
	p.table.SetRect(1, y, w-2, h)
	p.table.Draw(p.screen)
	if t.grid.Len() == 0 {
		for i, l := range p.model.emptyState(t) {
			p.line(3, y+2+i, w-3, l)
		}
	}
	return hidden
}

func (p *painter) text(t *tab, y, w, h int) {
	lines := t.lines(w - 2)
	p.model.pageSize = h
	p.model.textLines = len(lines)
	t.scroll = min(t.scroll, max(0, len(lines)-h))
	for i := 0; i < h && t.scroll+i < len(lines); i++ {
		p.line(1, y+i, w-1, lines[t.scroll+i])
	}
}

// line draws a line from x up to the column end.
func (p *painter) line(x, y, end int, l line) {
	for _, s := range l.fit(end - x) {
		p.screen.PutStrStyled(x, y, string(s.text), p.theme[s.role])
		x += s.text.width()
	}
}

func (p *painter) tooSmall(w, h int) {
	is := text(strconv.Itoa(w)) + "x" + text(strconv.Itoa(h))
	need := text(strconv.Itoa(minWidth)) + "x" + text(strconv.Itoa(minHeight))
	p.line(0, 0, w, line{{"terminal too small", strong}})
	p.line(0, 1, w, line{{is + ", needs " + need, plain}})
	p.line(0, 2, w, p.model.header(w, 1)[0])
}

// mouse takes clicks on rows and titles, and the wheel.
func (p *painter) mouse(ev *tcell.EventMouse) {
	t, pressed := p.model.tab(), ev.Buttons()&^p.buttons
	p.buttons = ev.Buttons()
	switch {
	case pressed&tcell.WheelUp != 0:
		t.move(-3)
	case pressed&tcell.WheelDown != 0:
		t.move(3)
	case pressed&tcell.ButtonPrimary != 0 && t.grid != nil:
		x, y := ev.Position()
		if row := y - p.tableY - 1 + t.scroll; y == p.tableY {
			p.content.click(x - 1)
		} else if y > p.tableY && row < t.grid.Len() {
			t.grid.MoveTo(row)
		}
	}
	if p.buttons&(tcell.WheelUp|tcell.WheelDown) != 0 {
		p.buttons = 0 // a wheel is never released
	}
}
