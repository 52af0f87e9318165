package prom

import (
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// place is what each series has, whatever it counts: its labels, by which the
// series of a metric stand in the order of a scrape.
type place struct {
	labels []*dto.LabelPair // by name; shared with others, never changed
	gone   bool             // to be taken out of the order
	twin   bool             // the one before it has the same labels: never shown
}

func (p *place) where() *place { return p }

// placed is a kind of series.
type placed interface{ where() *place }

// order is the series of one metric as a scrape shows them. They are sorted when
// somebody asks, and then only what came since is: a scrape mostly finds the
// series of the last one.
type order[S placed] struct {
	all     []S
	sorted  int  // how many of them are
	stale   bool // some are gone
	settled bool // nothing changed since list
}

// add puts a series in, at a place that list finds.
func (o *order[S]) add(s S) {
	o.all, o.settled = append(o.all, s), false
}

// remove marks a series of o as gone.
func (o *order[S]) remove(s S) {
	s.where().gone = true
	o.stale, o.settled = true, false
}

// prune takes out what is gone.
func (o *order[S]) prune() {
	if !o.stale {
		return
	}
	gone := func(s S) bool { return s.where().gone }
	whole := o.all
	old, fresh := slices.DeleteFunc(whole[:o.sorted], gone), slices.DeleteFunc(whole[o.sorted:], gone)
	o.all, o.sorted, o.stale = append(old, fresh...), len(old), false
	clear(whole[len(o.all):])
}

// list is all that is not gone, by labels. It is valid until the next change.
func (o *order[S]) list() []S {
	if o.settled {
		return o.all
	}
	o.prune()
	old, fresh := o.all[:o.sorted], o.all[o.sorted:]
	slices.SortFunc(fresh, compare)
	merged := make([]S, 0, len(o.all))
	for len(old) > 0 && len(fresh) > 0 {
		next := &old
		if compare(fresh[0], old[0]) < 0 {
			next = &fresh
		}
		merged = append(merged, (*next)[0])
		*next = (*next)[1:]
	}
	merged = append(append(merged, old...), fresh...)
	for i, s := range merged {
		s.where().twin = i > 0 && compare(merged[i-1], s) == 0
	}
	o.all, o.sorted, o.settled = merged, len(merged), true
	return o.all
}

// compare sorts as a prometheus.Registry does: by the values of the labels, which
// are sorted by name.
func compare[S placed](a, b S) int {
	other := b.where().labels
	for i, l := range a.where().labels {
		if l == other[i] { // shared
			continue
		}
		if c := strings.Compare(l.GetValue(), other[i].GetValue()); c != 0 {
			return c
		}
	}
	return 0
}
