package policy

import (
	"cmp"
	"slices"
)

// rowKey is what an Entry is about.
type rowKey struct {
	direction Direction
	peer      Identity
	l4        l4
}

// row holds what is said about a rowKey: by policies in mode enforce, and by any.
type row struct {
	enforced, audited heard
}

// heard holds the first rules that speak: of everything, and of the questions that
// match a pattern.
type heard struct {
	said
	asked  map[Identity]said
	reject Reject
}

// said holds the first rules that allow and that deny; 0 is none.
type said struct{ allow, deny RuleID }

func (s *said) add(id RuleID, deny bool) {
	at := &s.allow
	if deny {
		at = &s.deny
	}
	if *at == 0 || id < *at {
		*at = id
	}
}

func (s *said) merge(o said) {
	if o.allow != 0 {
		s.add(o.allow, false)
	}
	if o.deny != 0 {
		s.add(o.deny, true)
	}
}

// decision is what is said: deny beats allow.
func (s said) decision() Decision {
	switch {
	case s.deny != 0:
		return Decision{Deny, s.deny}
	case s.allow != 0:
		return Decision{Allow, s.allow}
	}
	return Decision{}
}

// expansion collects the rows of one Set.
type expansion struct {
	names map[string]Identity
	rows  map[rowKey]row
}

func (e *expansion) add(st *statement, peer Identity, at l4, only *asked) {
	k := rowKey{st.direction, peer, at}
	r := e.rows[k]
	r.audited.hear(st, only, e.names)
	if st.enforce {
		r.enforced.hear(st, only, e.names)
	}
	e.rows[k] = r
}

// broader gives the keys that cover k, the nearest first.
func (k rowKey) broader(yield func(rowKey) bool) {
	at := k
	for at.l4.bits > 0 {
		at.l4.bits--
		at.l4.port &= ^uint16(0) << (16 - at.l4.bits)
		if !yield(at) {
			return
		}
	}
	if at.l4.protocol != 0 {
		at.l4 = l4{}
		yield(at)
	}
}

// set folds into each row what broader rows of the same peer say, since the
// kernel looks at the most specific one alone. A row that says no more than the
// nearest broader one is left out.
func (e *expansion) set() (s Set) {
	folded := make(map[rowKey]Entry, len(e.rows))
	questions := interned{at: map[string]int{}}
	for k, r := range e.rows {
		for b := range k.broader {
			if o, ok := e.rows[b]; ok {
				r.audited.merge(&o.audited)
				r.enforced.merge(&o.enforced)
			}
		}
		folded[k] = Entry{
			Direction: k.direction, Peer: k.peer, Protocol: k.l4.protocol, Port: k.l4.port, PortBits: k.l4.bits,
			Enforced: r.enforced.connection(), Audited: r.audited.connection(), Questions: questions.number(r.questions()),
		}
	}
	for k, one := range folded {
		redundant := false
		for b := range k.broader {
			if o, ok := folded[b]; ok {
				redundant = o.Enforced == one.Enforced && o.Audited == one.Audited && o.Questions == one.Questions
				break
			}
		}
		if !redundant {
			s.Entries = append(s.Entries, one)
		}
	}
	slices.SortFunc(s.Entries, compareEntry)
	s.Questions = questions.inOrderOf(s.Entries)
	return s
}

// compareEntry orders by what an entry is about, the broader before the narrower.
func compareEntry(a, b Entry) int {
	return cmp.Or(
		int(a.Direction)-int(b.Direction), cmp.Compare(a.Peer, b.Peer), int(a.Protocol)-int(b.Protocol),
		int(a.Port)-int(b.Port), int(a.PortBits)-int(b.PortBits))
}
