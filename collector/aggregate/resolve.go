package aggregate

import "github.com/seed79351815/weir/collector/flow"

// sweepAScan is how many slots one scan looks up again after the identities
// changed: 131,072 flows take two seconds.
const sweepAScan = 16384

// resolve finds out who is at the two ends, and what their addresses are called.
// It tells whether anything is known better than before.
func (t *Table) resolve(e *entry) (news bool) {
	known := e.lone() // a socket told of it, so it may tell of the other
	for _, sd := range [...]side{known, known.other()} {
		news = t.resolveEnd(e, sd) || news
	}
	c, s := &e.ends[client], &e.ends[server]
	if s.names == nil && c.seen {
		s.names = t.identity.Names(c.cgroup, e.serverAddr().unpack().Addr())
		news = news || s.names != nil
	}
	if c.names == nil && !c.seen {
		c.names = t.identity.Names(s.cgroup, e.clientAddr().unpack().Addr())
		news = news || c.names != nil
	}
	return news
}

func (t *Table) resolveEnd(e *entry, sd side) bool {
	x := &e.ends[sd]
	var w *flow.Workload
	switch {
	case x.seen && x.proxied && sd == server:
		if w = t.identity.ByAddr(e.xlated.unpack().Addr()); w == nil {
			w = t.identity.Workload(x.cgroup)
		}
	case x.seen && x.pid == 0 && x.comm == (flow.Comm{}):
		// The kernel's own socket (it answers pings) is in the root's cgroup
		// whatever namespace it serves: the address tells more.
		if w = t.identity.ByAddr(x.local.unpack().Addr()); w == nil {
			w = t.identity.Workload(x.cgroup)
		}
	case x.seen:
		w = t.identity.Workload(x.cgroup)
	case x.workload != nil:
		// An address changes hands, a flow does not: who had it at first stays.
		if w = x.workload; w.Pending && w.CgroupID != 0 {
			w = t.identity.Workload(w.CgroupID)
		}
	case x.workload == nil && e.loopback():
		// Loopback is within one namespace: whose it is at one end, it is at the other.
		w = e.ends[sd.other()].workload
	case sd == server:
		real, _ := e.realServer()
		w = t.identity.ByAddr(real.unpack().Addr())
	default:
		w = t.identity.ByAddr(e.clientAddr().unpack().Addr())
	}
	if w == x.workload || worse(w, x.workload) {
		return false
	}
	x.workload = w
	return true
}

// loopback tells whether the end that no socket told of has a loopback address.
func (e *entry) loopback() bool {
	a := e.serverAddr()
	if !e.ends[client].seen {
		a = e.clientAddr()
	}
	return a.unpack().Addr().IsLoopback()
}

// worse tells whether w knows less than old: a container that is gone may have
// been forgotten while its flow lives on.
func worse(w, old *flow.Workload) bool {
	if old == nil {
		return false
	}
	return w == nil || w.Pending && !old.Pending || w.Container == "" && old.Container != ""
}

// unnamed tells whether a runtime is still being asked about one of the ends.
func (e *entry) unnamed() bool {
	for sd := range e.ends {
		if w := e.ends[sd].workload; w != nil && w.Pending {
			return true
		}
	}
	return false
}

// refresh resolves the living flows again after the identities became better
// known, a part of them in each scan.
func (t *Table) refresh() {
	if t.sweep == 0 {
		g := t.identity.Generation()
		if g == t.generation {
			return
		}
		t.generation, t.sweep = g, 1
		t.unblock()
	}
	limit := min(t.slab.top, t.sweep+sweepAScan)
	for ; t.sweep < limit; t.sweep++ {
		if e := t.slab.at(t.sweep); e.live && e.started && t.resolve(e) {
			t.changed(t.sweep, e)
		}
	}
	if t.sweep == t.slab.top {
		t.sweep = 0
	}
}

// unblock starts the flows that waited for a name that is known now.
func (t *Table) unblock() {
	for n := t.pending.len(); n > 0; n-- {
		w := t.pending.pop()
		e := t.slab.get(w.ref)
		if e == nil || e.started {
			continue
		}
		if t.resolve(e); e.unnamed() {
			t.pending.push(w)
			continue
		}
		t.start(w.slot, e)
	}
}
