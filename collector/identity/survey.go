package identity

import (
	"net/netip"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// missing lists the live cgroups that are not in seen.
func (t *table) missing(seen map[uint64]bool) []cgroupRef {
	var out []cgroupRef
	for id, e := range t.entries {
		if e.g != nil && !seen[id] {
			out = append(out, cgroupRef{id, e.path})
		}
	}
	return out
}

// unnamed lists the containers that nobody has named, by key, and the ids of
// which nothing is known yet, to be looked up again.
func (t *table) unnamed() (keys []string, ids []uint64) {
	for key, g := range t.groups {
		if p := g.entries[0].place; p.kind == placeContainer && g.given == nil {
			if k := t.known[p.container]; k == nil || !k.c.named() {
				keys = append(keys, key)
			}
		}
	}
	for _, e := range t.dead {
		if e.path == "" && e.last.Pending {
			ids = append(ids, e.id)
		}
	}
	return keys, ids
}

// addressless lists the cgroups of containers and plain cgroups without known
// addresses. systemd's units share the host's as a rule.
func (t *table) addressless() []cgroupRef {
	var out []cgroupRef
	for _, g := range t.groups {
		switch e := g.entries[0]; e.place.kind {
		case placeContainer, placePlain:
			if len(g.w.Addrs) == 0 {
				for _, e := range g.entries {
					out = append(out, cgroupRef{e.id, e.path})
				}
			} else if len(g.found) > 0 { // they may have changed since
				out = append(out, cgroupRef{e.id, e.path})
			}
		}
	}
	return out
}

// foundAddrs takes addresses that /proc told of a cgroup's processes; none where it
// has no process with a network of its own.
func (t *table) foundAddrs(id uint64, addrs []netip.Addr) {
	e := t.entries[id]
	if e == nil || e.g == nil || len(e.g.w.Addrs) > 0 && len(e.g.found) == 0 {
		return
	}
	plain := e.place.kind == placePlain
	// A container may have its processes in another cgroup of its own.
	if len(addrs) == 0 && (!plain || len(e.g.found) == 0) {
		return
	}
	if plain && t.holdsContainers(e.path) {
		addrs = nil // a runtime's process passed through on its way into a container, whose address it is
	}
	e.g.found = addrs
	t.refresh(e.g)
}

// holdsContainers tells whether containers' cgroups are below the one at path.
func (t *table) holdsContainers(path string) bool {
	for _, e := range t.entries {
		if e.g != nil && e.place.kind == placeContainer && strings.HasPrefix(e.path, path+"/") {
			return true
		}
	}
	return false
}

// all gives every workload, once for each cgroup, the remembered dead included.
func (t *table) all() []*flow.Workload {
	out := make([]*flow.Workload, 0, len(t.entries))
	for _, e := range t.entries {
		switch {
		case e.g != nil:
			c := *e.g.w
			c.CgroupID, c.Cgroup = e.id, e.path
			out = append(out, &c)
		case e.path != "":
			c := *e.last
			c.CgroupID, c.Cgroup = e.id, e.path
			out = append(out, &c)
		}
	}
	return out
}

// give takes a workload as a recording has it.
func (t *table) give(in *flow.Workload) {
	if in.CgroupID == 0 || in.Name == "" {
		return
	}
	w := boundWorkload(in)
	path := w.Cgroup
	if path == "" {
		path = "/" + placeholder(w.CgroupID, false).Name
	}
	if w.Container != "" && parsePath(path).kind != placeContainer && len(t.byPath) < maxContainers {
		t.byPath[path] = w.Container
	}
	t.see(w.CgroupID, path, false)
	if e := t.entries[w.CgroupID]; e != nil && e.g != nil {
		e.g.given = &w
		t.refresh(e.g)
	}
}

// boundWorkload is a copy that fits the limits: a recording may say anything.
func boundWorkload(in *flow.Workload) flow.Workload {
	w := *in
	w.Cgroup, w.Container, w.Image = clean(w.Cgroup, maxPath), clean(w.Container, maxName), clean(w.Image, maxImage)
	w.Name, w.Namespace = clean(w.Name, maxName), clean(w.Namespace, maxName)
	w.Owner = flow.Owner{Kind: clean(w.Owner.Kind, maxName), Name: clean(w.Owner.Name, maxName)}
	w.Runtime = flow.Runtime(clean(string(w.Runtime), maxName))
	w.Addrs = boundAddrs(w.Addrs)
	set := labelSet{}
	for _, l := range w.Labels[:min(len(w.Labels), 4*maxLabels)] {
		set.mark(clean(l.Source, maxLabelKey), clean(l.Key, maxLabelKey), l.Value)
	}
	w.Labels = set.sorted()
	return w
}
