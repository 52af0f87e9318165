package ui

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed79351815/weir/collector/aggregate"
)

type item struct {
	id    int
	value float64
}

func itemTable() *table[item, int] {
	return newTable([]column[item]{
		{ID: "id", Title: "ID", Min: 2, Width: 4, Key: func(i *item) key { return number(i.id) },
			Cell: func(i *item, _ *env) cell { return cell{Text: count(uint64(i.id))} }},
		{ID: "value", Title: "VALUE", Min: 2, Width: 6, Desc: true, Key: func(i *item) key { return number(i.value) },
			Cell: func(i *item, _ *env) cell { return cell{Text: count(uint64(i.value))} }},
	}, "value", func(i *item) int { return i.id })
}

func ids(t *table[item, int]) (out []int) {
	for i := range t.Len() {
		out = append(out, t.row(i).id)
	}
	return out
}

// Rows with equal keys keep their order by id, whichever way the column sorts
// and however the snapshot is mixed.
func TestSortIsStable(t *testing.T) {
	rows := []item{{1, 5}, {2, 7}, {3, 5}, {4, 5}, {5, 7}}
	g := itemTable()
	for range 20 {
		rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		g.set(rows, nil)
		if got := ids(g); !slices.Equal(got, []int{2, 5, 1, 3, 4}) {
			t.Fatalf("%v", got)
		}
	}
	g.SortReverse()
	if got := ids(g); !slices.Equal(got, []int{1, 3, 4, 2, 5}) {
		t.Fatalf("reversed %v", got)
	}
}

func TestSelectionFollowsItsRow(t *testing.T) {
	rows := []item{{1, 10}, {2, 20}, {3, 30}}
	g := itemTable()
	g.set(rows, nil)
	if g.Selected() != 0 {
		t.Fatal("the first row is not selected")
	}
	g.set([]item{{1, 99}, {2, 20}, {3, 30}}, nil)
	if g.Selected() != 0 || g.row(0).id != 1 {
		t.Fatal("before the user moves, the top stays selected")
	}
	g.Move(1) // row 3
	g.set([]item{{1, 1}, {2, 20}, {3, 2}, {4, 3}}, nil)
	if got := g.row(g.Selected()).id; got != 3 {
		t.Fatalf("the selection went to %d", got)
	}
	g.SortReverse()
	if got := g.row(g.Selected()).id; got != 3 {
		t.Fatalf("after sorting the selection is at %d", got)
	}
	g.set([]item{{1, 1}, {2, 20}}, nil)
	if g.Selected() >= g.Len() {
		t.Fatal("the selection is beyond the last row")
	}
	g.set(nil, nil)
	g.Move(1)
	g.MoveTo(5)
	if g.Selected() != 0 || g.row(0) != nil || g.Whole(0) != "" {
		t.Fatal("an empty table has a row")
	}
}

// Every layout fits its width, keeps the fixed columns, and shows columns once
// and in their order.
func TestLayouts(t *testing.T) {
	grids := map[string]grid{
		"workloads": newTable(workloadColumns(), "in/s", func(r *aggregate.WorkloadRow) string { return "" }),
		"flows":     newTable(flowColumns(), "recv/s", func(r *aggregate.FlowRow) uint64 { return r.ID }),
		"peers":     newTable(peerColumns(), "in/s", func(r *peerRow) string { return r.Key }),
	}
	for name, g := range grids {
		for w := minWidth - 2; w < 320; w++ {
			check := func(how string) {
				cols, hidden := g.Layout(w)
				used, last := -1, -1
				for _, p := range cols {
					if p.column <= last || p.width < 1 {
						t.Fatalf("%s %s %d: %v", name, how, w, cols)
					}
					last = p.column
					used += p.width + 1
				}
				if used > w || len(cols) < 2 || cols[0].column != 0 {
					t.Fatalf("%s %s: %d of %d columns of the screen: %v", name, how, used, w, cols)
				}
				if how == "fit" && w > 300 && hidden > 3 {
					t.Fatalf("%s: %d hidden at %d", name, hidden, w)
				}
			}
			check("fit")
			g.ToggleWide()
			check("wide")
			g.Scroll(100)
			check("scrolled")
			g.ToggleWide()
		}
	}
}

func TestColumnTables(t *testing.T) {
	s := newShop()
	snap := s.snapshot()
	checkColumns(t, workloadColumns(), snap.Workloads)
	checkColumns(t, flowColumns(), snap.Flows)
	checkColumns(t, peerColumns(), peersOf(snap.Flows, nil, s.orders, workloadKey(s.orders)))
}

func checkColumns[R any](t *testing.T, cols []column[R], rows []R) {
	t.Helper()
	seen := make(map[string]bool)
	for i, c := range cols {
		if c.ID == "" || seen[c.ID] || c.Key == nil || c.Min < 1 || c.Width < c.Min || c.Max != 0 && c.Max < c.Width {
			t.Errorf("column %d, %q, is not well declared", i, c.ID)
		}
		if c.Title.width() > c.Min && c.Right { // the mark of the sort needs one more, at worst cutting the title
			t.Errorf("column %q: %q does not fit its least width", c.ID, c.Title)
		}
		seen[c.ID] = true
		for j := range rows {
			if v := c.Cell(&rows[j], &env{now: noon.UnixNano()}); v.Text == "" {
				t.Errorf("column %q of row %d is empty: say %q", c.ID, j, none)
			}
			c.Key(&rows[j])
		}
	}
}

// Each column's key sorts as its cells read.
func TestSortByEveryColumn(t *testing.T) {
	m := started(t)
	for _, view := range []string{"1", "2"} {
		press(m, view)
		g := m.tab().grid
		titles := make(map[text]bool)
		for range 40 {
			press(m, "s")
			title, _ := g.Sorting()
			titles[title] = true
			if g.Len() == 0 {
				t.Fatal("sorting lost the rows")
			}
		}
		if len(titles) < 10 {
			t.Errorf("view %s: s reaches %v alone", view, titles)
		}
	}
	if err := m.tab().grid.SortBy("rtt"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(m.tab().grid.Cell(0, placed{8, 8})); got == "" {
		t.Error("no cell")
	}
}

func TestPeers(t *testing.T) {
	s := newShop()
	rows := peersOf(s.flows(), nil, s.orders, workloadKey(s.orders))
	got := make(map[text]peerRow)
	for _, r := range rows {
		_, name := endpointName(&r.End)
		got[name] = r
	}
	db := got["shop-database-with-a-rather-long-name-1"]
	if len(rows) != 4 || db.Service != "2 ports" || db.Live != 1 || db.Failed != 1 || db.Retrans != 7 || db.direction() != "server" {
		t.Errorf("%d peers, the database: %+v", len(rows), db)
	}
	web := got["shop-web-1"]
	if web.direction() != "client" || web.InRate != 2_600 || web.OutRate != 61_000 {
		t.Errorf("seen from orders, web sends what orders receives: %+v", web)
	}
}
