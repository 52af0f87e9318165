package baseline

import "github.com/seed79351815/weir/collector/flow"

// taker adds records to a Baseline. It is owned by one goroutine at a time.
type taker struct {
	*Baseline
	room  room
	lost  map[string]uint64           // what was missed in this run
	known map[*flow.Workload]*Profile // a workload is immutable: one look at its labels is enough
}

const maxKnown = 4 * maxProfiles

func newTaker(b *Baseline) *taker {
	t := &taker{Baseline: b, known: map[*flow.Workload]*Profile{}, lost: map[string]uint64{}}
	t.recount()
	return t
}

// recount finds the room that putting things together has made.
func (t *taker) recount() { t.room.left = maxCost - t.cost() }

// take adds what a record tells.
func (t *taker) take(r *flow.Record) {
	if r.Kind == flow.RecordL7 {
		if r.L7 != nil {
			t.takeExchange(r)
		}
		return
	}
	if r.Kind == flow.RecordVerdict {
		return // what passed has records of its own, and what did not is not to be learned
	}
	sides, n := Sides(&r.Flow)
	for i := range sides[:n] {
		s := &sides[i]
		if c := t.contact(s, r.Time); c != nil && !c.traffic(s, r, &t.room) {
			t.miss(MissedContacts)
		}
	}
}

func (t *taker) takeExchange(r *flow.Record) {
	l := r.L7
	var counted *flow.Counted
	switch {
	case l.Tally != nil:
		counted = &l.Tally.Counted
	case l.Exchange != nil:
		counted = &l.Exchange.Counted
	default:
		return
	}
	sides, n := ExchangeSides(l, counted.Port)
	for i := range sides[:n] {
		s := &sides[i]
		if c := t.contact(s, r.Time); c != nil && !c.operation(l, counted.Port, r.Time, &t.room) {
			t.miss(MissedOperations)
		}
	}
}

// contact is what is kept of a side's workload and peer; nil, and counted, where
// there is no room or no name.
func (t *taker) contact(s *Side, at int64) *Contact {
	if !s.Named {
		t.miss(MissedNameless)
		return nil
	}
	p := t.profile(s)
	if p == nil {
		t.miss(MissedProfiles)
		return nil
	}
	p.at(at)
	c := p.contact(s, &t.room)
	if c == nil {
		t.miss(MissedContacts)
	}
	return c
}

func (t *taker) profile(s *Side) *Profile {
	if p := t.known[s.Workload]; p != nil {
		return p
	}
	t.meet(s.Workload)
	p := t.Profiles[s.Key]
	if first := p == nil; first {
		p = &Profile{Labels: cleanLabels(s.Workload.Labels)}
		if len(t.Profiles) >= maxProfiles || !t.room.take(p.cost(s.Key)) {
			return nil
		}
		t.Profiles[s.Key] = p
	} else {
		p.narrowLabels(s.Workload)
	}
	if len(t.known) >= maxKnown {
		clear(t.known)
	}
	t.known[s.Workload] = p
	return p
}

func (t *taker) miss(reason string) {
	t.lost[reason]++
	n := t.Missed[reason]
	add(&n, 1)
	t.Missed[reason] = n
}

// meet notes the host's addresses.
func (t *taker) meet(w *flow.Workload) {
	if w.Runtime != flow.RuntimeHost {
		return
	}
	for _, a := range w.Addrs {
		if a = a.Unmap().WithZone(""); a.IsValid() && !a.IsLoopback() {
			t.Host = within(t.Host, a)
		}
	}
}
