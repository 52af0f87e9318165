package policy

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// A class is the workloads that no policy tells apart: it has one identity and
// one Set. What does not run but is a peer all the same is a class too.
type class struct {
	labels   *labels
	identity Identity
	members  []int // indexes of workloads
	set      int
}

// The classes that are always there, and their places.
const (
	classHost = iota
	classWorld
	classUnknown
	firstClass
)

// classes sorts workloads by what policies can see of them, and finds those
// that a selector means.
type classes struct {
	all    []*class
	blocks []netip.Prefix // of Guards, whose CIDRs hold for local addresses too
	// index finds classes by a label of one source, or of any.
	index map[string][]int
	cache map[string][]int
}

func newClasses(p *program, workloads []Workload) *classes {
	c := &classes{index: map[string][]int{}, cache: map[string][]int{}, blocks: guardBlocks(p)}
	pseudo := func(name string, id Identity) *class {
		l := newLabels("", false, map[string]string{sourceReserved + ":" + name: ""})
		l.host, l.pseudo = id == IdentityHost, id != IdentityHost
		return &class{labels: l, identity: id}
	}
	c.all = []*class{pseudo("host", IdentityHost), pseudo("world", IdentityWorld), pseudo("init", IdentityUnknown)}
	host := hostAddrs(workloads)
	visible := p.keys()
	byKey := map[string]*class{}
	for i := range workloads {
		w := &workloads[i]
		if w.isHost() {
			c.all[classHost].members = append(c.all[classHost].members, i)
			continue
		}
		addrs := w.Addrs
		if len(addrs) == 0 {
			addrs = host
		}
		key := classKey(w, visible, c.within(addrs))
		one := byKey[key]
		if one == nil {
			one = &class{labels: newLabels(w.Namespace, w.Host, w.Labels)}
			byKey[key] = one
		}
		one.members = append(one.members, i)
	}
	ids := allocate("workload", keys(byKey))
	for _, key := range keys(byKey) {
		byKey[key].identity = ids[key]
		c.all = append(c.all, byKey[key])
	}
	c.fillIndex()
	return c
}

// hostAddrs are the addresses that workloads without any of their own share.
func hostAddrs(workloads []Workload) (out []netip.Addr) {
	for i := range workloads {
		if workloads[i].isHost() {
			out = append(out, workloads[i].Addrs...)
		}
	}
	return out
}

// within tells which of the blocks one of some addresses is in.
func (c *classes) within(addrs []netip.Addr) []bool {
	out := make([]bool, len(c.blocks))
	for i, b := range c.blocks {
		out[i] = slices.ContainsFunc(addrs, func(a netip.Addr) bool { return b.Contains(a.Unmap()) })
	}
	return out
}

// classKey is all that policies can see of a workload.
func classKey(w *Workload, visible map[string]bool, inGuard []bool) string {
	var b strings.Builder
	b.WriteString(w.Namespace)
	if w.Host {
		b.WriteString("\x00host")
	}
	for _, k := range keys(w.Labels) {
		if _, key := splitKey(k); visible[key] {
			b.WriteString("\x00" + k + "=" + w.Labels[k])
		}
	}
	for i, in := range inGuard {
		if in {
			b.WriteString("\x00guard " + decimal(uint16(i)))
		}
	}
	return b.String()
}

// keys are the labels that some selector or named port looks at.
func (p *program) keys() map[string]bool {
	seen := map[string]bool{}
	add := func(s *Selector) {
		for k := range s.Labels {
			_, key := splitKey(k)
			seen[key] = true
		}
		for _, e := range s.Expressions {
			_, key := splitKey(e.Key)
			seen[key] = true
		}
	}
	see := func(st *statement) {
		if st.peers != nil {
			for i := range st.peers.Endpoints {
				add(&st.peers.Endpoints[i])
			}
		}
		for _, n := range st.named {
			seen[portLabel+n.Name] = true
		}
		for _, one := range st.asked {
			for _, n := range one.named {
				seen[portLabel+n.Name] = true
			}
		}
	}
	for _, s := range p.subjects {
		for _, r := range s.matcher.requirements {
			seen[r.key] = true
		}
		for _, st := range s.statements {
			see(st)
		}
	}
	for _, w := range p.wards {
		see(w.deny)
		see(w.open)
	}
	return seen
}

// guardBlocks are the CIDRs of Guards, each once.
func guardBlocks(p *program) []netip.Prefix {
	var out []netip.Prefix
	for _, w := range p.wards {
		out = append(out, w.guard.To.CIDRs...)
		for _, s := range w.guard.To.CIDRSets {
			out = append(append(out, s.CIDR), s.Except...)
		}
	}
	slices.SortFunc(out, comparePrefix)
	return slices.Compact(out)
}

func (c *classes) fillIndex() {
	add := func(source, key, value string, i int) {
		k := source + ":" + key + "\x00" + value
		if at := c.index[k]; len(at) == 0 || at[len(at)-1] != i {
			c.index[k] = append(at, i)
		}
	}
	for i, one := range c.all {
		for k, v := range one.labels.values {
			source, key := splitKey(k)
			add(source, key, v, i)
		}
		for key, vs := range one.labels.any {
			for _, v := range vs {
				add(sourceAny, key, v, i)
			}
		}
	}
}

// selected gives the classes that a selector means, in order. They must not be
// changed.
func (c *classes) selected(m *matcher) []int {
	key := m.key()
	if found, ok := c.cache[key]; ok {
		return found
	}
	found := []int{}
	for _, i := range c.candidates(m) {
		if m.matches(c.all[i].labels) {
			found = append(found, i)
		}
	}
	c.cache[key] = found
	return found
}

// candidates are the classes among which those that match are: by the label
// that the fewest have.
func (c *classes) candidates(m *matcher) []int {
	var best []int
	there := false
	for _, r := range m.requirements {
		if r.operator != OpIn {
			continue
		}
		source := r.source
		if r.key == namespaceKey {
			source = sourceAny
		}
		var with []int
		for _, v := range r.values {
			with = append(with, c.index[source+":"+r.key+"\x00"+v]...)
		}
		if !there || len(with) < len(best) {
			best, there = with, true
		}
	}
	if !there {
		best = make([]int, len(c.all))
		for i := range best {
			best[i] = i
		}
		return best
	}
	best = slices.Clone(best)
	slices.Sort(best)
	return slices.Compact(best)
}

// key is the same for selectors that mean the same in the same words.
func (m *matcher) key() string {
	var b strings.Builder
	b.WriteString(m.namespace)
	if m.nodes {
		b.WriteString("\x00nodes")
	}
	for _, r := range m.requirements {
		b.WriteString("\x00" + r.source + ":" + r.key + "\x00" + string(r.operator) + "\x00" + strings.Join(r.values, "\x01"))
	}
	return b.String()
}

// subjects gives the classes that a Spec selects. What is no workload of this
// host has no table.
func (c *classes) subjects(s *subject) []int {
	return slices.DeleteFunc(slices.Clone(c.selected(&s.matcher)), func(i int) bool { return i == classWorld || i == classUnknown })
}

// keys are the keys of m in order.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
