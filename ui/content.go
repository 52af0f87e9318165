package ui

import (
	"github.com/rivo/tview"
)

// content gives a grid to tview's table, which asks for the cells in view and
// no others. Row 0 is the header; a last, empty column fills the line, so that
// the selection reaches the screen's edge.
type content struct {
	tview.TableContentReadOnly
	theme  theme
	grid   grid
	cols   []placed
	filler int
}

func (c *content) set(g grid, cols []placed, width int) {
	c.grid, c.cols, c.filler = g, cols, width
	for _, p := range cols {
		c.filler -= p.width + 1
	}
}

func (c *content) GetRowCount() int {
	if c.grid == nil {
		return 0
	}
	return c.grid.Len() + 1
}

func (c *content) GetColumnCount() int {
	if c.filler > 0 {
		return len(c.cols) + 1
	}
	return len(c.cols)
}

// GetCell makes a cell when it is drawn. Here, and nowhere else, text goes
// through tview, which would read "[red]" as a colour.
func (c *content) GetCell(row, col int) *tview.TableCell {
	var t text
	r := plain
	switch {
	case col >= len(c.cols):
		t = spaces(c.filler)
	case row == 0:
		t, r = c.grid.Header(c.cols[col]), strong
	default:
		t, r = c.grid.Cell(row-1, c.cols[col])
	}
	return &tview.TableCell{Text: tview.Escape(string(t)), Style: c.theme[r], NotSelectable: row == 0}
}

// click sorts by the column whose title is at x, or turns the order round.
func (c *content) click(x int) {
	for _, p := range c.cols {
		if x < p.width {
			c.grid.SortByColumn(p.column)
			return
		}
		x -= p.width + 1
	}
}
