package identity

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// addrIndex finds a workload by address. It is made anew, on the next question,
// when anything changed.
type addrIndex struct {
	dirty bool
	host  map[netip.Addr]bool // the host's own addresses
	owner map[netip.Addr]claim
}

// claim is a workload's claim to an address. Several may have one: a pod's
// containers share theirs, a dead container's address is given to the next.
type claim struct {
	w    *flow.Workload
	rank claimRank
}

type claimRank uint8

// From weak to strong.
const (
	claimDead   claimRank = iota + 1 // it had the address when it died
	claimShared                      // one of several containers of a pod
	claimProc                        // its network namespace has the address
	claimOwn                         // the runtime says so
	claimHost                        // the host has the address itself: who claims it too shares the host's network
)

func (x *addrIndex) put(a netip.Addr, c claim) {
	old, ok := x.owner[a]
	// equals: the oldest cgroup has it, so that the answer does not depend on map order;
	// of the dead the latest
	if ok && (old.rank > c.rank || old.rank == c.rank && c.rank != claimDead && old.w.CgroupID <= c.w.CgroupID) {
		return
	}
	x.owner[a] = c
}

// byAddr is whose address it is, nil when nobody's here.
func (t *table) byAddr(a netip.Addr) *flow.Workload {
	if t.addrs.dirty {
		t.indexAddrs()
	}
	return t.addrs.owner[a].w
}

func (t *table) indexAddrs() {
	x := &t.addrs
	x.owner, x.dirty = map[netip.Addr]claim{}, false
	for _, e := range t.dead {
		for _, a := range e.last.Addrs {
			x.put(a, claim{e.last, claimDead})
		}
	}
	members := t.podMembers()
	for _, g := range t.groups {
		rank := claimOwn
		if len(g.found) > 0 {
			rank = claimProc
		}
		if k := t.known[g.w.Container]; k != nil && g.w.Container != "" {
			switch {
			case k.c.sandbox != "" && members[k.c.sandbox] > 1, k.c.isSandbox && members[k.c.id] == 1:
				rank = claimShared // a pod of one container is that container, any other is its sandbox
			}
		}
		for _, a := range g.w.Addrs {
			x.put(a, claim{g.w, rank})
		}
	}
	host := t.hostWorkload()
	for a := range x.host {
		x.put(a, claim{host, claimHost})
	}
}

// podMembers counts the live containers of each pod, by its sandbox's id.
func (t *table) podMembers() map[string]int {
	n := map[string]int{}
	for id := range t.groups {
		if k := t.known[id]; k != nil && k.c.sandbox != "" {
			n[k.c.sandbox]++
		}
	}
	return n
}

// hostWorkload is the root cgroup's workload; one is made where the tree was not
// walked.
func (t *table) hostWorkload() *flow.Workload {
	if g := t.groups["host"]; g != nil {
		return g.w
	}
	return build(0, "/", parsePath("/"), nil, false)
}

// setHost replaces the host's own addresses. The host's workload carries them,
// so that a recording knows them too.
func (t *table) setHost(addrs []netip.Addr) {
	addrs = boundAddrs(addrs)
	t.addrs.host = make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		t.addrs.host[a] = true
	}
	t.addrs.dirty = true
	if g := t.groups["host"]; g != nil {
		t.refresh(g)
	}
}
