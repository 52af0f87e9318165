package identity

import (
	"slices"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// Roster is who is on this host at one moment.
type Roster struct {
	// Live are the workloads that have a cgroup: one for each of their outermost
	// cgroups, whose id is CgroupID. A Pending one has no name yet.
	Live []*flow.Workload
	// Coming are containers that a runtime told of before they have a cgroup, or
	// that had one a while ago: CgroupID is 0.
	Coming []*flow.Workload
}

// Roster lists the workloads of this moment, in no order.
func (r *Resolver) Roster() Roster {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table.roster()
}

// Changes gives a channel that has something in it after the roster changed. It
// holds one: who was slow misses no change, only how many there were. The
// returned function ends it.
func (r *Resolver) Changes() (changed <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers = append(r.watchers[:len(r.watchers):len(r.watchers)], c)
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		var rest []chan struct{}
		for _, o := range r.watchers {
			if o != c {
				rest = append(rest, o)
			}
		}
		r.watchers = rest
	}
}

// Settled tells whether the cgroups were walked and no runtime is being asked for
// a name any more.
func (r *Resolver) Settled() bool {
	if r.walked.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.table.groups {
		if g.w.Pending {
			return false
		}
	}
	return len(r.table.groups) > 0
}

func (t *table) roster() (out Roster) {
	for _, g := range t.groups {
		for i, e := range g.entries {
			// They are sorted by length: what an entry is below comes before it.
			if slices.ContainsFunc(g.entries[:i], func(above *entry) bool { return strings.HasPrefix(e.path, above.path+"/") }) {
				continue
			}
			w := g.w
			if e.id != w.CgroupID {
				c := *w
				c.CgroupID, c.Cgroup = e.id, e.path
				w = &c
			}
			out.Live = append(out.Live, w)
		}
	}
	for id, k := range t.known {
		if t.groups[id] == nil && k.c.named() {
			out.Coming = append(out.Coming, build(0, "", place{kind: placeContainer, container: id, name: id, runtime: k.c.runtime}, t.info(place{kind: placeContainer, container: id}), false))
		}
	}
	return out
}

// FirstPID is a process in a cgroup at path below the root, 0 where there is none.
func (r *Resolver) FirstPID(path string) uint32 { return r.tree.firstPID(path) }
