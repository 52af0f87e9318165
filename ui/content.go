package ui

import (
	"strings"

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

	// tview asks for each cell three times in a frame: the cells in view are kept
	// until the next one. first is the row that cells begins with.
	cells []*tview.TableCell
	first int
}

// set prepares a frame whose first row below the header is first.
func (c *content) set(g grid, cols []placed, width, first, rows int) {
	c.grid, c.cols, c.filler, c.first = g, cols, width, first
	for _, p := range cols {
		c.filler -= p.width + 1
	}
	c.cells = make([]*tview.TableCell, (rows+1)*(len(cols)+1))
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

// GetCell makes a cell when it is first drawn.
func (c *content) GetCell(row, col int) *tview.TableCell {
	at := row // the header is row 0 wherever the rows begin
	if row > 0 {
		at = row - c.first
	}
	at = at*(len(c.cols)+1) + col
	if at < 0 || at >= len(c.cells) {
		return c.cell(row, col)
	}
	if c.cells[at] == nil {
		c.cells[at] = c.cell(row, col)
	}
	return c.cells[at]
}

// cell makes a cell. Here, and nowhere else, text goes through tview.
func (c *content) cell(row, col int) *tview.TableCell {
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
	return &tview.TableCell{Text: forTview(t), Style: c.theme[r], NotSelectable: row == 0}
}

// forTview keeps tview from reading tags ("[red]") in text. tview.Escape does
// not do: it leaves hyperlinks ("[:::http://evil]") in force. A bracket that is
// followed by a bracket begins no tag, so each one gets a tag without effect
// behind it.
func forTview(t text) string { return strings.ReplaceAll(string(t), "[", "[[-]") }

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
