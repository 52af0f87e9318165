package l7

import (
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

type nameKey struct {
	protocol  flow.L7Protocol
	operation flow.Operation
}

// entry is what is known of an operation.
type entry struct {
	key       nameKey
	words     words
	known     bool
	ambiguous bool // two things have this number, by chance or by intent: tallies cannot tell them apart
	awaited   bool // tallies wait for it
	asked     bool // since the hand passed last
	held      []held
}

// held is a tally that waits.
type held struct {
	at    int64
	tally *flow.Tally
}

// names are the operations that were asked for of late. Where they are full, a hand
// goes round and takes the first that was not asked for since it passed.
type names struct {
	index   map[nameKey]int
	entries []*entry
	hand    int
}

func newNames() names { return names{index: map[nameKey]int{}} }

// get is nil for one that is not known.
func (n *names) get(key nameKey) *entry {
	i, ok := n.index[key]
	if !ok {
		return nil
	}
	e := n.entries[i]
	e.asked = true
	return e
}

// put is the key's entry. Where it took another's place, that is told too: it is
// the same entry, with the other's content, which the caller is to clear.
func (n *names) put(key nameKey) (e, evicted *entry) {
	if e := n.get(key); e != nil {
		return e, nil
	}
	if len(n.entries) < maxNames {
		e = &entry{key: key}
		n.index[key] = len(n.entries)
		n.entries = append(n.entries, e)
		return e, nil
	}
	for n.entries[n.hand].asked {
		n.entries[n.hand].asked = false
		n.hand = (n.hand + 1) % len(n.entries)
	}
	e = n.entries[n.hand]
	delete(n.index, e.key)
	n.index[key] = n.hand
	n.hand = (n.hand + 1) % len(n.entries)
	return e, e
}

// bounded cuts what a recording could make longer than any kernel does.
func bounded(w words) words {
	if len(w.path) > maxText {
		w.path, w.cut = w.path[:maxText], true
	}
	if len(w.method) > maxText {
		w.method = w.method[:maxText]
	}
	return w
}

// kept is a copy that holds nothing of the exchange's memory.
func (w words) kept() words {
	return words{strings.Clone(w.method), strings.Clone(w.path), w.cut}
}

// like tells whether two exchanges of one operation say the same, but for the
// segments that the kernel takes for one of many. What was cut may go on alike.
func (w words) like(o words) bool {
	switch {
	case w.method != o.method:
		return false
	case w.cut || o.cut || w.path == o.path:
		return true
	}
	a, b := w.path, o.path
	for more := true; more; {
		var s, t string
		var others bool
		s, a, more = strings.Cut(a, "/")
		t, b, others = strings.Cut(b, "/")
		if more != others || s != t && (collapsed(s) == literal || collapsed(t) == literal) {
			return false
		}
	}
	return true
}
