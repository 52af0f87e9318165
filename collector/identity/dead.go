package identity

import (
	"slices"
	"time"
)

// remove takes a cgroup that is gone. Its workload stays known for a while, for
// events that come late.
func (t *table) remove(id uint64, now time.Time) {
	e := t.entries[id]
	if e == nil || e.g == nil {
		return
	}
	t.detach(e)
	e.died = now
	t.bury(e)
}

// detach takes an entry out of its group and freezes its workload.
func (t *table) detach(e *entry) {
	g := e.g
	e.last, e.g = g.w, nil
	t.moved++
	g.entries = slices.DeleteFunc(g.entries, func(o *entry) bool { return o == e })
	t.addrs.dirty = true
	if len(g.entries) == 0 {
		delete(t.groups, e.place.key)
		return
	}
	t.refresh(g)
}

// forget takes an entry out of everything.
func (t *table) forget(e *entry) {
	if e.g != nil {
		t.detach(e)
	} else {
		t.dead = slices.DeleteFunc(t.dead, func(o *entry) bool { return o == e })
	}
	delete(t.entries, e.id)
}

func (t *table) bury(e *entry) {
	t.dead = append(t.dead, e)
	t.addrs.dirty = true
	if len(t.dead) > maxDead && t.dropOldestDead() {
		t.lost.add("dead_evicted")
	}
}

func (t *table) dropOldestDead() bool {
	if len(t.dead) == 0 {
		return false
	}
	delete(t.entries, t.dead[0].id)
	t.dead[0] = nil
	t.dead = t.dead[1:]
	t.addrs.dirty = true
	return true
}

// expire forgets what has been dead for long, and containers that have no cgroup
// and that no runtime spoke of.
func (t *table) expire(now time.Time) {
	for len(t.dead) > 0 && now.Sub(t.dead[0].died) > rememberDead {
		t.dropOldestDead()
	}
	for id, k := range t.known {
		if t.groups[id] == nil && now.Sub(k.seen) > rememberDead && !t.needed(k.c) {
			delete(t.known, id)
			delete(t.byPath, k.c.cgroup)
		}
	}
}

// needed tells whether a container without a cgroup of its own still describes
// others: a sandbox that runs no process.
func (t *table) needed(c *container) bool {
	if !c.isSandbox {
		return false
	}
	for _, k := range t.known {
		if k.c.sandbox == c.id && t.groups[k.c.id] != nil {
			return true
		}
	}
	return false
}
