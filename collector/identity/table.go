package identity

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// table knows every cgroup and container. It does no I/O and is not safe for
// concurrent use: the Resolver holds its lock around each call.
type table struct {
	entries map[uint64]*entry     // by cgroup id, the dead ones included
	groups  map[string]*group     // live ones by place.key
	known   map[string]*knowledge // by container id
	byPath  map[string]string     // cgroup path → container id, where a runtime told the path
	dead    []*entry              // in the order of death
	addrs   addrIndex

	changed []*flow.Workload // became known or better since take; one for each cgroup
	gen     uint64           // grows with every such change
	moved   uint64           // grows with every change of the roster
	lost    losses
}

// entry is one cgroup.
type entry struct {
	id    uint64
	path  string
	place place
	g     *group         // nil when dead, or when nothing but the id is known
	last  *flow.Workload // when g is nil
	died  time.Time
}

// group is one workload and the cgroups that belong to it: a container's own
// cgroup and those it made inside.
type group struct {
	entries []*entry       // at least one; the first is the workload's own: the outermost, of these the newest
	given   *flow.Workload // as a recording has it; decides when set
	w       *flow.Workload
	found   []netip.Addr // by /proc, where no runtime gives any
	pending bool
}

// knowledge is what was learnt about a container, cgroup or not.
type knowledge struct {
	c    *container
	seen time.Time // when it was last told of
}

func newTable() *table {
	t := &table{
		entries: map[uint64]*entry{}, groups: map[string]*group{},
		known: map[string]*knowledge{}, byPath: map[string]string{}, lost: losses{},
	}
	t.addrs.dirty = true
	return t
}

// workload is who is behind a cgroup, nil when the id was never seen.
func (t *table) workload(id uint64) *flow.Workload {
	e := t.entries[id]
	switch {
	case e == nil:
		return nil
	case e.g != nil:
		return e.g.w
	}
	return e.last
}

// see takes a cgroup that exists. pending says that its name is going to be
// looked up if it needs to be. It returns the key of a group that has to be
// looked up now, or "".
func (t *table) see(id uint64, path string, pending bool) (lookup string) {
	if e := t.entries[id]; e != nil {
		// ids are not used again: a dead one that a walk still saw stays dead
		if e.path == path {
			return ""
		}
		t.forget(e)
	}
	if len(t.entries) >= maxCgroups && !t.dropOldestDead() {
		t.lost.add("cgroups_full")
		return ""
	}
	e := &entry{id: id, path: path, place: parsePath(path)}
	if cid := t.byPath[path]; cid != "" && e.place.kind != placeContainer {
		e.place.kind, e.place.container, e.place.key = placeContainer, cid, cid
	}
	t.entries[id] = e
	g := t.groups[e.place.key]
	if g == nil {
		g = &group{}
		t.groups[e.place.key] = g
		if pending && e.place.kind == placeContainer {
			k := t.known[e.place.container]
			g.pending = k == nil || !k.c.named()
			if g.pending || k.c.trust < trustAPI {
				lookup = e.place.key
			}
		}
	}
	e.g = g
	t.moved++
	g.entries = append(g.entries, e)
	slices.SortFunc(g.entries, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), cmp.Compare(b.id, a.id))
	})
	if !t.refresh(g) { // an old workload's new cgroup
		t.publish(g.w, e)
	}
	return lookup
}

// learn takes what a source says about a container.
func (t *table) learn(c container, now time.Time) {
	if c.id == "" || len(c.id) > maxName {
		return
	}
	k := t.known[c.id]
	if k == nil {
		if len(t.known) >= maxContainers {
			t.lost.add("containers_full")
			return
		}
		k = &knowledge{}
		t.known[c.id] = k
	}
	k.seen = now
	merged := merge(k.c, c)
	if merged.equal(k.c) {
		return
	}
	k.c = merged
	t.moved++
	t.claimPath(merged)
	t.addrs.dirty = true
	if g := t.groups[merged.id]; g != nil {
		if merged.named() {
			g.pending = false
		}
		t.refresh(g)
	}
	if merged.isSandbox { // its pod's containers have its labels and addresses
		for _, g := range t.groups {
			if cid := g.entries[0].place.container; cid != "" && cid != merged.id {
				if o := t.known[cid]; o != nil && o.c.sandbox == merged.id {
					t.refresh(g)
				}
			}
		}
	}
}

// claimPath makes a cgroup whose path shows no id the container's own.
func (t *table) claimPath(c *container) {
	if c.cgroup == "" || parsePath(c.cgroup).kind == placeContainer {
		return
	}
	t.byPath[c.cgroup] = c.id
	if g := t.groups[c.cgroup]; g != nil {
		for _, e := range slices.Clone(g.entries) {
			t.forget(e)
			t.see(e.id, e.path, false)
		}
	}
}

// setPending marks a group's lookup as ended without success.
func (t *table) setPending(key string, pending bool) {
	if g := t.groups[key]; g != nil && g.pending != pending {
		g.pending = pending
		t.refresh(g)
	}
}

// unresolved remembers an id of which nothing is known.
func (t *table) unresolved(id uint64, pending bool, now time.Time) *flow.Workload {
	e := t.entries[id]
	if e != nil && e.g != nil {
		return e.g.w
	}
	w := placeholder(id, pending)
	if e != nil {
		if e.last.Pending != pending {
			e.last = w
			t.gen++
		}
		return e.last
	}
	if len(t.entries) >= maxCgroups && !t.dropOldestDead() {
		t.lost.add("cgroups_full")
		return w
	}
	e = &entry{id: id, last: w, died: now} // ages like a dead one
	t.entries[id] = e
	t.bury(e)
	return w
}

// refresh makes a group's workload anew and publishes it if it is different.
func (t *table) refresh(g *group) (changed bool) {
	own := g.entries[0]
	var w *flow.Workload
	if g.given != nil {
		c := *g.given
		c.CgroupID, c.Cgroup = own.id, own.path
		w = &c
	} else {
		w = build(own.id, own.path, own.place, t.info(own.place), g.pending)
		if len(w.Addrs) == 0 {
			w.Addrs = g.found
		}
		if own.place.kind == placeHost {
			w.Addrs = slices.SortedFunc(maps.Keys(t.addrs.host), netip.Addr.Compare)
		}
	}
	if g.w != nil && same(g.w, w) {
		return false
	}
	g.w = w
	t.gen++
	t.moved++
	t.addrs.dirty = true
	for _, e := range g.entries {
		t.publish(w, e)
	}
	return true
}

// publish queues one cgroup's workload for those who record them.
func (t *table) publish(w *flow.Workload, e *entry) {
	c := *w
	c.CgroupID, c.Cgroup = e.id, e.path
	t.changed = append(t.changed, &c)
}

// info is what is known about the container or pod at a place, completed with
// what only its sandbox knows.
func (t *table) info(p place) *container {
	if p.kind != placeContainer {
		return nil
	}
	k := t.known[p.container]
	if k == nil {
		return nil
	}
	c := k.c
	if s := t.known[c.sandbox]; s != nil && !c.isSandbox {
		full := *c
		if len(full.podLabels) == 0 {
			full.podLabels = s.c.podLabels
		}
		if len(full.addrs) == 0 {
			full.addrs = s.c.addrs
		}
		return &full
	}
	return c
}

// take gives the workloads that became known or better since the last call.
func (t *table) take() []*flow.Workload {
	c := t.changed
	t.changed = nil
	return c
}
