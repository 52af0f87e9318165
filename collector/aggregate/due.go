package aggregate

import (
	"math"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// timed is an entry and the time from which it waits.
type timed struct {
	ref
	at int64
}

// queue holds entries that wait equally long, so that its front is due first.
type queue struct{ fifo[timed] }

// due is when the front has waited for d; never where the queue is empty.
func (q *queue) due(d time.Duration) int64 {
	if q.len() == 0 {
		return math.MaxInt64
	}
	return q.front().at + int64(d)
}

// wait puts an entry into a queue, from now on.
func (t *Table) wait(q *queue, d time.Duration, r ref) {
	q.push(timed{r, t.now})
	t.due = min(t.due, t.now+int64(d))
}

// advance moves the table's time on and does what has become due.
func (t *Table) advance(now int64) {
	if now <= t.now {
		return
	}
	if t.now != 0 {
		t.idle += min(now-t.now, int64(maxSilence))
	}
	t.now = now
	if now < t.due {
		return
	}
	for t.settling.due(settleTime) <= now {
		t.settle(t.settling.pop())
	}
	for t.pending.due(patience) <= now {
		if r := t.pending.pop().ref; t.slab.get(r) != nil {
			t.begin(r.slot, t.slab.get(r))
		}
	}
	for t.closing.due(lingerTime) <= now {
		r := t.closing.pop().ref
		if e := t.slab.get(r); e != nil {
			t.begin(r.slot, e)
		}
		if e := t.slab.get(r); e != nil {
			t.finish(r.slot, e)
		}
	}
	t.advanceL7()
	if now >= t.nextScan {
		t.scan()
	}
	t.due = min(t.settling.due(settleTime), t.pending.due(patience), t.closing.due(lingerTime), t.l7Due(), t.nextScan)
}

// settle ends an entry's first wait.
func (t *Table) settle(w timed) {
	e := t.slab.get(w.ref)
	if e == nil || e.started {
		return
	}
	t.reconsider(w.slot, e)
	if t.resolve(e); e.unnamed() {
		t.pending.push(w) // its creation still counts
		return
	}
	t.start(w.slot, e)
}

// scan gives the changed flows their updates, lets the lost ones go, and asks
// again who is who.
func (t *Table) scan() {
	t.nextScan = t.now + int64(scanEvery)
	t.refresh()
	kept, made := t.dirty[:0], 0
	for _, r := range t.dirty {
		e := t.slab.get(r)
		switch {
		case e == nil:
		case t.now-e.lastRecord < int64(updateEvery):
			kept = append(kept, r)
		case made == updatesAScan:
			kept = append(kept, r)
			t.nextScan = t.now + int64(scanAgain)
		default:
			made++
			e.dirty = false
			t.tell(e, flow.RecordUpdate)
		}
	}
	t.dirty = kept
	for i := t.slab.oldest; i != 0; i = t.slab.oldest {
		e := t.slab.at(i)
		if t.seconds()-e.heard < uint32(lostAfter/time.Second) {
			break
		}
		t.lose(i, e)
	}
}

// seconds is the idle clock as entries keep it.
func (t *Table) seconds() uint32 { return uint32(t.idle / int64(time.Second)) }

// changed puts a flow that has started into the list of those to tell about.
func (t *Table) changed(slot uint32, e *entry) {
	if e.started && !e.dirty {
		e.dirty = true
		t.dirty = append(t.dirty, ref{slot, e.gen})
	}
}
