package policy

import (
	"fmt"
	"net/netip"
	"slices"
)

// Check finds what is wrong, and what is probably not meant, in policies for the
// workloads that are known: all that Compile says, and more. An Error means
// that the policies cannot be applied as they are written.
func Check(policies []*Policy, workloads []Workload, limits Limits) Problems {
	t, r := compile(policies, workloads, limits.or())
	for i := range r.problems {
		if r.problems[i].onWorkloads {
			r.problems[i].Severity = Error
		}
	}
	c := checker{resolution: r, tables: t}
	c.idle()
	c.defaultDeny(policies)
	c.localBlocks()
	c.lookups()
	c.guardsByName()
	r.problems.sort()
	return r.problems
}

type checker struct {
	*resolution
	tables *Tables // nil where there are errors
}

func (c *checker) warn(p *Policy, at Pos, format string, args ...any) {
	c.problem(Warning, p, at, format, args...)
}

// idle finds selectors that select nothing that is there.
func (c *checker) idle() {
	for _, s := range c.subjects {
		if len(c.classes.subjects(s)) == 0 {
			c.warn(s.policy, s.pos, "the policy selects no workload that is known")
		}
		for _, st := range s.statements {
			c.idlePeers(st)
		}
	}
	for _, w := range c.wards {
		c.idlePeers(w.deny)
		c.idlePeers(w.open)
	}
}

func (c *checker) idlePeers(st *statement) {
	if st.peers == nil {
		return
	}
	for i := range st.peers.Endpoints {
		one := &st.peers.Endpoints[i]
		m := newMatcher(one, st.policy.Namespace)
		if len(c.classes.selected(&m)) == 0 {
			at := one.Pos
			if at.Line == 0 {
				at = st.pos
			}
			where := ""
			if m.namespace != "" {
				where = fmt.Sprintf(" in namespace %q", m.namespace)
			}
			c.warn(st.policy, at, "selector %q selects no workload that is known%s", one.String(), where)
		}
	}
}

// defaultDeny finds the word that has no effect.
func (c *checker) defaultDeny(policies []*Policy) {
	for _, p := range policies {
		for i := range p.Specs {
			s := &p.Specs[i]
			for _, one := range []struct {
				set   *bool
				rules int
				name  string
			}{
				{s.DefaultDeny.Ingress, len(s.Ingress) + len(s.IngressDeny), "ingress"},
				{s.DefaultDeny.Egress, len(s.Egress) + len(s.EgressDeny), "egress"},
			} {
				if one.set != nil && *one.set && one.rules == 0 {
					c.warn(p, s.Pos, "enableDefaultDeny.%s has no effect without %s rules; %q denies everything", one.name, one.name, one.name+": [{}]")
				}
			}
		}
	}
}

// localBlocks finds CIDR rules for addresses of this host: they are about
// addresses outside it.
func (c *checker) localBlocks() {
	type local struct {
		addr netip.Addr
		who  string
	}
	var addrs []local
	for i := range c.workloads {
		for _, a := range c.workloads[i].Addrs {
			addrs = append(addrs, local{a.Unmap(), c.workloads[i].String()})
		}
	}
	for _, s := range c.subjects {
		for _, st := range s.statements {
			if st.peers == nil {
				continue
			}
			blocks := slices.Clone(st.peers.CIDRs)
			for _, set := range st.peers.CIDRSets {
				blocks = append(blocks, set.CIDR)
			}
			for _, b := range blocks {
				// A wide block is hardly meant for the one that happens to lie in it.
				if b.Addr().BitLen()-b.Bits() > 8 {
					continue
				}
				if i := slices.IndexFunc(addrs, func(l local) bool { return b.Contains(l.addr) }); i >= 0 {
					c.warn(st.policy, st.pos, "CIDR %s does not select %q, which has address %s: workloads of this host are selected by label", b, addrs[i].who, addrs[i].addr)
				}
			}
		}
	}
}

// lookups finds rules by name beside which no name can be looked up.
func (c *checker) lookups() {
	if c.tables == nil {
		return
	}
	told, names := map[Pos]bool{}, map[Identity]bool{}
	for _, id := range c.names {
		names[id] = true
	}
	for _, s := range c.subjects {
		for _, i := range c.classes.subjects(s) {
			set := &c.tables.Sets[c.classes.all[i].set]
			if !set.Egress.Audit || slices.ContainsFunc(set.Entries, func(e Entry) bool { return opensDNS(e) && !names[e.Peer] }) {
				continue
			}
			for _, st := range s.statements {
				if st.peers != nil && len(st.peers.FQDNs) > 0 && !st.deny && !told[st.pos] {
					told[st.pos] = true
					c.warn(st.policy, st.pos, "toFQDNs, but no rule lets the workload ask a resolver: allow port 53 too")
				}
			}
		}
	}
}

func opensDNS(e Entry) bool {
	const dns = 53
	if e.Direction != Egress || e.Audited.Verdict != Allow || (e.Protocol != 0 && e.Protocol != protocols[ProtoUDP]) {
		return false
	}
	return e.PortBits == 0 || (e.Port^dns)>>(16-e.PortBits) == 0
}

// guardsByName finds destinations that can be reached round the Guard.
func (c *checker) guardsByName() {
	for _, w := range c.wards {
		if len(w.guard.To.FQDNs) > 0 {
			c.warn(w.policy, w.guard.Pos, "a name guards the addresses that a workload was told for it: one that knows an address otherwise is not refused; add toCIDR")
		}
	}
}
