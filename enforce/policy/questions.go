package policy

import (
	"fmt"
	"maps"
	"slices"
)

// hear takes in what a statement says: of everything, or of some questions only.
func (h *heard) hear(st *statement, only *asked, names map[string]Identity) {
	if only == nil {
		h.add(st.id, st.deny)
		return
	}
	if h.asked == nil {
		h.asked = map[Identity]said{}
	}
	for _, pattern := range only.patterns {
		s := h.asked[names[pattern]]
		s.add(st.id, st.deny)
		h.asked[names[pattern]] = s
	}
	h.reject = max(h.reject, only.reject)
}

// merge takes in what a broader row has heard.
func (h *heard) merge(o *heard) {
	h.said.merge(o.said)
	h.reject = max(h.reject, o.reject)
	if o.asked == nil {
		return
	}
	all := maps.Clone(o.asked) // the row's own is not touched: narrower ones are folded from it too
	for id, s := range h.asked {
		s.merge(all[id])
		all[id] = s
	}
	h.asked = all
}

// connection is the decision about what may ask: who may ask for some name may
// connect, and who may not ask for some may too.
func (h *heard) connection() Decision {
	s := h.said
	for _, one := range h.asked {
		if one.allow != 0 {
			s.add(one.allow, false)
		}
	}
	return s.decision()
}

// differs tells whether what is said of questions depends on their names.
func (h *heard) differs() bool {
	if h.deny != 0 {
		return false
	}
	for _, s := range h.asked {
		if h.allow == 0 || s.deny != 0 {
			return true
		}
	}
	return false
}

// questions is what a row says about questions; nil where all are as one.
func (r *row) questions() *Questions {
	if !r.enforced.differs() && !r.audited.differs() {
		return nil
	}
	q := &Questions{Enforced: r.enforced.decision(), Audited: r.audited.decision(), Reject: r.enforced.reject}
	var unread row
	for _, id := range slices.Sorted(maps.Keys(r.audited.asked)) { // it has what enforced has
		enforced, audited := r.enforced.asked[id], r.audited.asked[id]
		q.Names = append(q.Names, Asked{id, enforced.decision(), audited.decision()})
		unread.enforced.said.merge(said{deny: enforced.deny})
		unread.audited.said.merge(said{deny: audited.deny})
	}
	if unread.audited.deny != 0 {
		q.Names = slices.Insert(q.Names, 0, Asked{IdentityUnread, unread.enforced.decision(), unread.audited.decision()})
	}
	return q
}

// interned are Questions, each once.
type interned struct {
	all []Questions
	at  map[string]int
}

// number counts from 1, and is 0 for nil.
func (n *interned) number(q *Questions) int {
	if q == nil {
		return 0
	}
	key := fmt.Sprint(*q)
	if n.at[key] == 0 {
		n.all = append(n.all, *q)
		n.at[key] = len(n.all)
	}
	return n.at[key]
}

// inOrderOf gives those that entries have, and numbers them in their order.
func (n *interned) inOrderOf(entries []Entry) (out []Questions) {
	moved := make([]int, len(n.all)+1)
	for i := range entries {
		at := &entries[i].Questions
		if *at != 0 && moved[*at] == 0 {
			out = append(out, n.all[*at-1])
			moved[*at] = len(out)
		}
		*at = moved[*at]
	}
	return out
}
