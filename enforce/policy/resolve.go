package policy

import (
	"net/netip"
	"slices"
)

// A target is one peer of a statement.
type target struct {
	identity Identity
	class    int // -1 where it is no class
}

// resolution is a program with the workloads of one moment.
type resolution struct {
	*program
	workloads []Workload
	classes   *classes
	prefixes  *prefixes
	names     map[string]Identity // by pattern: of addresses, and of questions
}

func newResolution(p *program, workloads []Workload) *resolution {
	r := &resolution{program: p, workloads: workloads, classes: newClasses(p, workloads), prefixes: newPrefixes(p)}
	of, asked := p.patterns()
	all := append(of, asked...)
	slices.Sort(all)
	r.names = allocate("name", slices.Compact(all))
	for _, st := range p.statements() {
		st.targets = r.targets(st)
		slices.SortFunc(st.targets, func(a, b target) int { return int(int64(a.identity) - int64(b.identity)) })
		st.targets = slices.Compact(st.targets)
	}
	return r
}

// statements are all of them, in no order that means anything.
func (p *program) statements() (out []*statement) {
	for _, s := range p.subjects {
		out = append(out, s.statements...)
	}
	for _, w := range p.wards {
		out = append(out, w.deny, w.allow, w.shut, w.open)
	}
	return out
}

// patterns are the DNS patterns of all statements, in order, each once: those of
// peers, and those of questions.
func (p *program) patterns() (of, asked []string) {
	peers, questions := map[string]bool{}, map[string]bool{}
	for _, st := range p.statements() {
		if st.peers != nil {
			for _, f := range st.peers.FQDNs {
				peers[f.pattern()] = true
			}
		}
		for _, one := range st.asked {
			for _, pattern := range one.patterns {
				questions[pattern] = true
			}
		}
	}
	return keys(peers), keys(questions)
}

// targets gives the peers of a statement as identities. They may be there twice.
func (r *resolution) targets(st *statement) (out []target) {
	if len(st.l4)+len(st.named)+len(st.asked) == 0 {
		return nil
	}
	if st.peers == nil {
		return []target{{IdentityAny, -1}}
	}
	if st.rest {
		return r.others(st)
	}
	for i := range st.peers.Endpoints {
		m := newMatcher(&st.peers.Endpoints[i], st.policy.Namespace)
		out = append(out, r.ofClasses(r.classes.selected(&m))...)
	}
	for _, c := range st.peers.CIDRs {
		out = append(out, r.block(st, c, nil)...)
	}
	for _, c := range st.peers.CIDRSets {
		out = append(out, r.block(st, c.CIDR, c.Except)...)
	}
	for _, e := range st.peers.Entities {
		out = append(out, r.entity(e)...)
	}
	for _, f := range st.peers.FQDNs {
		out = append(out, target{r.names[f.pattern()], -1})
	}
	return out
}

// ofClasses turns classes into targets. The world is more than its own identity:
// the blocks that rules speak of lie in it.
func (r *resolution) ofClasses(which []int) (out []target) {
	for _, i := range which {
		out = append(out, target{r.classes.all[i].identity, i})
		if i == classWorld {
			out = append(out, bare(r.prefixes.ids)...)
		}
	}
	return out
}

func bare(ids []Identity) []target {
	out := make([]target, len(ids))
	for i, id := range ids {
		out[i] = target{id, -1}
	}
	return out
}

// block is a CIDR rule's. As in Cilium it is about addresses outside this host,
// unless the statement says that it is about local ones too.
func (r *resolution) block(st *statement, c netip.Prefix, except []netip.Prefix) []target {
	out := bare(r.prefixes.in(nil, c, except))
	if !st.local {
		return out
	}
	for i, one := range r.classes.all {
		if slices.ContainsFunc(r.addrs(i), func(a netip.Addr) bool {
			return c.Contains(a) && !slices.ContainsFunc(except, func(e netip.Prefix) bool { return e.Contains(a) })
		}) {
			out = append(out, target{one.identity, i})
		}
	}
	return out
}

// addrs are the addresses of a class's workloads; the host's for those that
// have none of their own.
func (r *resolution) addrs(i int) (out []netip.Addr) {
	if i == classHost {
		return hostAddrs(r.workloads)
	}
	for _, m := range r.classes.all[i].members {
		if addrs := r.workloads[m].Addrs; len(addrs) > 0 {
			out = append(out, addrs...)
		} else {
			out = append(out, hostAddrs(r.workloads)...)
		}
	}
	return out
}

func (r *resolution) entity(e Entity) (out []target) {
	switch e {
	case EntityAll:
		return []target{{IdentityAny, -1}}
	case EntityWorld:
		return r.ofClasses([]int{classWorld})
	case EntityWorldIPv4:
		return bare(r.prefixes.in(nil, everyIPv4(), nil))
	case EntityWorldIPv6:
		return bare(r.prefixes.in(nil, everyIPv6(), nil))
	case EntityInit:
		return r.ofClasses([]int{classUnknown})
	case EntityHost, EntityCluster:
		for i, one := range r.classes.all {
			if i != classWorld && (one.labels.host || e == EntityCluster) {
				out = append(out, target{one.identity, i})
			}
		}
	}
	return out
}

// others are all peers but those that a Guard's allowedFrom selects. It must name
// them one by one: a denial of everyone would be one of the allowed too.
func (r *resolution) others(st *statement) []target {
	if len(st.peers.Endpoints) == 0 {
		return []target{{IdentityAny, -1}}
	}
	allowed := map[Identity]bool{}
	for i := range st.peers.Endpoints {
		m := newMatcher(&st.peers.Endpoints[i], st.policy.Namespace)
		for _, t := range r.ofClasses(r.classes.selected(&m)) {
			allowed[t.identity] = true
		}
	}
	var everyone []int
	for i := range r.classes.all {
		everyone = append(everyone, i)
	}
	return slices.DeleteFunc(r.ofClasses(everyone), func(t target) bool { return allowed[t.identity] })
}

// port looks a named port up in the labels of a class.
func (r *resolution) port(i int, name string) (uint16, bool) {
	if i < 0 {
		return 0, false
	}
	for _, v := range r.classes.all[i].labels.any[portLabel+name] {
		if n, ok := portOf(v); ok {
			return n, true
		}
	}
	return 0, false
}
