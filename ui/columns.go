package ui

import "cmp"

// column declares one column of a table over rows of type R. A table's columns
// are one slice literal: to add a column is to add an element.
type column[R any] struct {
	ID    string // what `:sort` and Config.Sort call it
	Title text

	// Min columns of the screen are the least that makes sense, Width is what
	// the usual values take, and Max is how far it grows where there is room; 0
	// means Width. Widths depend on the screen alone and never on the values, so
	// that nothing moves when the rows change.
	Min, Width, Max int
	Full            int // from this width on cells show Text, below it Short; 0 means Width
	Priority        int // the lowest leaves first when the screen is narrow
	Right           bool
	Middle          bool // long values lose their middle instead of their end
	Fixed           bool // stays when the columns are scrolled
	Wide            bool // shown by the wide layout alone

	Cell func(*R, *env) cell
	Key  func(*R) key // the sort order; nil when it cannot be sorted by
	Desc bool         // sorts the largest first unless reversed
}

// pick is a column that a table shows in the place of its own, and how important it is
// there.
type pick struct {
	id       string
	priority int
}

// picked are the columns of a table that some are picked of, in their order.
func picked[R any](cols []column[R], picks ...pick) []column[R] {
	out := make([]column[R], 0, len(picks))
	for _, p := range picks {
		for _, c := range cols {
			if c.ID == p.id {
				c.Priority, c.Wide = p.priority, false
				out = append(out, c)
			}
		}
	}
	return out
}

// env is what cells depend on beside their row.
type env struct {
	now int64 // the time from which ages count
}

// cell is a value on the screen. Short, if there is one, stands for Text where
// the column is narrow: for all rows, so that a column's values are alike.
type cell struct {
	Text, Short text
	Role        role
}

func (c *column[R]) fit(v cell, w int) text {
	full := c.Full
	if full == 0 {
		full = c.Width
	}
	t := v.Text
	if v.Short != "" && (w < full || t.width() > w) {
		t = v.Short
	}
	return t.fit(w, c.Middle).pad(w, c.Right)
}

// key orders rows: by text, then by number.
type key struct {
	text   string
	number float64
}

func (k key) compare(o key) int {
	if k.text != o.text {
		return cmp.Compare(k.text, o.text)
	}
	return cmp.Compare(k.number, o.number)
}

func number[N uint64 | uint32 | int | int64 | float64](n N) key { return key{number: float64(n)} }

// extent is what the layout needs to know of a column.
type extent struct {
	min, width, max, priority int
	fixed, wide               bool
}

// placed is a column of the layout.
type placed struct{ column, width int }

// layout chooses columns and widths for a screen. Without wide and scrolling it
// shows what fits, dropping the least important columns; otherwise it shows all
// in their order, from the scrolled column on. hidden counts those left out.
func layout(cols []extent, width int, wide bool, skip int) (out []placed, hidden int) {
	if wide || skip > 0 {
		return layoutScrolled(cols, width, skip)
	}
	in := make([]bool, len(cols))
	need := -1
	for i, c := range cols {
		if in[i] = !c.wide; in[i] {
			need += c.min + 1
		}
	}
	for need > width {
		drop := -1
		for i, c := range cols {
			if in[i] && !c.fixed && (drop < 0 || c.priority < cols[drop].priority) {
				drop = i
			}
		}
		if drop < 0 {
			break
		}
		in[drop] = false
		need -= cols[drop].min + 1
	}
	for i, c := range cols {
		if in[i] {
			out = append(out, placed{i, c.min})
		} else {
			hidden++
		}
	}
	grow(cols, out, width-need)
	return out, hidden
}

// grow hands out the columns of the screen that are left: first up to the usual
// widths, the most important first, then evenly up to the largest.
func grow(cols []extent, out []placed, left int) {
	for left > 0 {
		best := -1
		for i, p := range out {
			c := cols[p.column]
			if p.width < c.width && (best < 0 || c.priority > cols[out[best].column].priority) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		n := min(left, cols[out[best].column].width-out[best].width)
		out[best].width += n
		left -= n
	}
	for left > 0 {
		grown := false
		for i, p := range out {
			if left > 0 && p.width < cols[p.column].max {
				out[i].width++
				left--
				grown = true
			}
		}
		if !grown {
			return
		}
	}
}

func layoutScrolled(cols []extent, width, skip int) (out []placed, hidden int) {
	used, full := -1, false
	for i, c := range cols {
		w := max(c.max, c.width)
		if c.fixed {
			w = min(w, max(c.min, width/3))
		}
		switch {
		case !c.fixed && skip > 0:
			skip--
			hidden++
		case full || used+1+c.min > width:
			full = true
			hidden++
		default:
			w = min(w, width-used-1)
			out = append(out, placed{i, w})
			used += w + 1
		}
	}
	return out, hidden
}
