package ui

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// grid is a table as the rest of the package sees it, whatever its rows are.
type grid interface {
	Len() int   // rows shown
	Total() int // rows before the filter

	Selected() int
	Move(by int)
	MoveTo(row int)

	SortBy(id string) error
	SortByColumn(i int)
	SortNext()
	SortReverse()
	Sorting() (title text, desc bool)

	Scroll(columns int)
	ToggleWide()
	At(now int64) // the time from which ages count
	Layout(width int) (cols []placed, hidden int)
	Header(p placed) text
	Cell(row int, p placed) (text, role)
	Whole(row int) text
}

// table holds rows of one kind: which are shown, in which order, and which one
// is selected. Its work is done once per snapshot in set; to draw a row costs
// the same however many there are.
type table[R any, K cmp.Ordered] struct {
	*arrangement[R]
	id     func(*R) K
	dimmed func(*R) bool // rows that are over; may be nil

	rows  []R // the snapshot's, read only
	order []ordered[K]
	spare []ordered[K]
	env   env

	// The selection follows a row's id from the moment the user moves it. Before
	// that it is the first row, whichever that is: top stays in view.
	selected int
	selID    K
	pinned   bool
}

// arrangement is which columns a table has, and how the user put them.
type arrangement[R any] struct {
	columns []column[R]
	sortCol int
	reverse bool
	wide    bool
	skip    int // columns scrolled out to the left
}

func newArrangement[R any](cols []column[R], sortBy string) *arrangement[R] {
	a := &arrangement[R]{columns: cols}
	a.sortCol = max(0, a.find(sortBy))
	return a
}

// ordered is a row's place with what it is sorted by.
type ordered[K cmp.Ordered] struct {
	key key
	id  K
	row int32
}

func newTable[R any, K cmp.Ordered](cols []column[R], sortBy string, id func(*R) K) *table[R, K] {
	return &table[R, K]{arrangement: newArrangement(cols, sortBy), id: id}
}

// use shows the rows in another arrangement; what it gives is to be filled anew.
func (t *table[R, K]) use(a *arrangement[R]) { t.arrangement = a }

// set takes a snapshot's rows; match may be nil. The rows are not copied.
func (t *table[R, K]) set(rows []R, match func(*R) bool) {
	t.rows = rows
	of := t.columns[t.sortCol].Key
	fresh := t.spare[:0]
	for i := range rows {
		if match != nil && !match(&rows[i]) {
			continue
		}
		fresh = append(fresh, ordered[K]{of(&rows[i]), t.id(&rows[i]), int32(i)})
	}
	t.order, t.spare = fresh, t.order
	t.sort()
}

func (t *table[R, K]) At(now int64) { t.env.now = now }

// resort orders the rows anew, after another column was chosen.
func (t *table[R, K]) resort() {
	of := t.columns[t.sortCol].Key
	for i := range t.order {
		t.order[i].key = of(&t.rows[t.order[i].row])
	}
	t.sort()
}

// sort orders by key, and rows with equal keys by id: nothing moves without a
// reason. Then the selection finds its row again.
func (t *table[R, K]) sort() {
	sign := 1
	if t.desc() {
		sign = -1
	}
	slices.SortFunc(t.order, func(a, b ordered[K]) int {
		if c := a.key.compare(b.key); c != 0 {
			return c * sign
		}
		return cmp.Compare(a.id, b.id)
	})
	if t.pinned {
		at := slices.IndexFunc(t.order, func(o ordered[K]) bool { return o.id == t.selID })
		if at >= 0 {
			t.selected = at
		}
	}
	t.selected = max(0, min(t.selected, len(t.order)-1))
}

func (t *table[R, K]) desc() bool { return t.columns[t.sortCol].Desc != t.reverse }

func (t *table[R, K]) Len() int      { return len(t.order) }
func (t *table[R, K]) Total() int    { return len(t.rows) }
func (t *table[R, K]) Selected() int { return t.selected }

// row is the i-th row shown; nil when there is none.
func (t *table[R, K]) row(i int) *R {
	if i < 0 || i >= len(t.order) {
		return nil
	}
	return &t.rows[t.order[i].row]
}

func (t *table[R, K]) Move(by int) { t.MoveTo(t.selected + by) }

func (t *table[R, K]) MoveTo(row int) {
	if len(t.order) == 0 {
		return
	}
	t.selected = max(0, min(row, len(t.order)-1))
	t.selID = t.order[t.selected].id
	t.pinned = t.selected > 0
}

func (a *arrangement[R]) find(id string) int {
	return slices.IndexFunc(a.columns, func(c column[R]) bool { return c.ID == id && c.Key != nil })
}

// SortBy sorts by the column id, in its usual order or, after "-", in the
// other one.
func (t *table[R, K]) SortBy(id string) error {
	reverse := false
	if len(id) > 1 && id[0] == '-' {
		id, reverse = id[1:], true
	}
	at := t.find(id)
	if at < 0 {
		var ids []string
		for _, c := range t.columns {
			if c.Key != nil {
				ids = append(ids, c.ID)
			}
		}
		sort.Strings(ids)
		return fmt.Errorf("sort %q: no such column; there are %v", clean(id), ids)
	}
	t.sortCol, t.reverse = at, reverse
	t.resort()
	return nil
}

func (t *table[R, K]) SortNext() {
	for range t.columns {
		t.sortCol = (t.sortCol + 1) % len(t.columns)
		if c := t.columns[t.sortCol]; c.Key != nil && (t.wide || !c.Wide) {
			break
		}
	}
	t.reverse = false
	t.resort()
}

// SortByColumn sorts by the i-th column, or reverses the order if it is the one.
func (t *table[R, K]) SortByColumn(i int) {
	switch {
	case i == t.sortCol:
		t.reverse = !t.reverse
	case t.columns[i].Key != nil:
		t.sortCol, t.reverse = i, false
	}
	t.resort()
}

func (t *table[R, K]) SortReverse() {
	t.reverse = !t.reverse
	t.resort()
}

func (t *table[R, K]) Sorting() (text, bool) { return t.columns[t.sortCol].Title, t.desc() }

func (t *table[R, K]) ToggleWide() { t.wide, t.skip = !t.wide, 0 }

func (t *table[R, K]) Scroll(by int) { t.skip = max(0, t.skip+by) }

// Layout places the columns for a width. It takes back scrolling beyond the
// last column.
func (t *table[R, K]) Layout(width int) ([]placed, int) {
	ext := make([]extent, len(t.columns))
	scrollable := 0
	for i, c := range t.columns {
		ext[i] = extent{c.Min, c.Width, max(c.Width, c.Max), c.Priority, c.Fixed, c.Wide}
		if !c.Fixed {
			scrollable++
		}
	}
	t.skip = min(t.skip, max(0, scrollable-1))
	return layout(ext, width, t.wide, t.skip)
}

// Header is a column's title, with a mark when the rows are sorted by it.
func (t *table[R, K]) Header(p placed) text {
	c := t.columns[p.column]
	title := c.Title
	if p.column == t.sortCol {
		mark := text("▲")
		if t.desc() {
			mark = "▼"
		}
		return (title.fit(p.width-1, false) + mark).pad(p.width, c.Right)
	}
	return title.pad(p.width, c.Right)
}

// Cell is a cell's text in exactly the width of its place.
func (t *table[R, K]) Cell(row int, p placed) (text, role) {
	r := t.row(row)
	if r == nil {
		return spaces(p.width), plain
	}
	c := &t.columns[p.column]
	v := c.Cell(r, &t.env)
	if v.Role == plain && t.dimmed != nil && t.dimmed(r) {
		v.Role = dim
	}
	return c.fit(v, p.width), v.Role
}

// Whole is a row with all its columns and nothing cut, to be copied.
func (t *table[R, K]) Whole(row int) text {
	r := t.row(row)
	if r == nil {
		return ""
	}
	var out []text
	for _, c := range t.columns {
		out = append(out, c.Title+"="+c.Cell(r, &t.env).Text)
	}
	return join("  ", out...)
}
