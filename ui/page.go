package ui

import (
	"slices"

	"github.com/seed79351815/weir/collector/aggregate"
)

// page is one place of the interface: a view of the first level, or what was
// opened from one.
type page struct {
	title   text
	tabs    []*tab
	at      int                       // the tab that is shown
	ofPast  bool                      // its summary is of the window, whatever its tabs are of
	refresh func(*aggregate.Snapshot) // finds the page's subject in a new snapshot; may be nil
	summary func(width int) []line    // lines above the tab's content; may be nil
}

func (p *page) tab() *tab { return p.tabs[p.at] }

// past tells whether the page is about what a window of the past can tell of.
func (p *page) past() bool {
	return slices.ContainsFunc(p.tabs, func(t *tab) bool { return t.past }) || p.ofPast
}

// name is what a view of the first level is called: as its tab where it has several.
func (p *page) name() text {
	if len(p.tabs) > 1 {
		return p.tab().name
	}
	return p.title
}

// tab is what a page shows: rows (grid and fill set) or text (lines set).
type tab struct {
	name   text
	grid   grid
	fill   func(*aggregate.Snapshot, *filter) // takes a snapshot's rows into grid
	open   func()                             // what enter does with the selected row
	empty  text                               // what is said when there are no rows
	filter *filter
	on     subject           // what its filter may be about; 0: anything
	past   bool              // it can show a window of the past
	turn   func(inPast bool) // prepares grid for what fill gets; may be nil

	lines  func(width int) []line
	scroll int
}

func (t *tab) scope() scope {
	if t.grid != nil {
		return onTable
	}
	return onText
}

// move goes by rows, or scrolls text; the painter bounds the scrolling, which
// depends on the height.
func (t *tab) move(by int) {
	if t.grid != nil {
		t.grid.Move(by)
		return
	}
	t.scroll = max(0, t.scroll+by)
}

func (t *tab) moveTo(row int) {
	if t.grid != nil {
		t.grid.MoveTo(row)
		return
	}
	t.scroll = max(0, row)
}
