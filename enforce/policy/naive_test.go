package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// naive judges a packet by reading the policies one by one, as their meaning is
// written down. It shares nothing with Compile but the types and Name.Matches.
type naive struct {
	policies  []*Policy
	workloads []Workload
}

// end is one end of a flow: a workload of this host, or an address.
type end struct {
	workload *Workload // nil: none that is known
	world    netip.Addr
	unknown  bool
}

func (n *naive) judge(q Query) Result {
	self := n.byCgroup(q.Workload)
	peer := end{unknown: true}
	if q.PeerCgroup != 0 {
		if w := n.byCgroup(q.PeerCgroup); w != nil {
			peer = end{workload: w}
		}
	} else if w := n.byAddr(q.Addr); w != nil {
		peer = end{workload: w}
	} else {
		peer = end{world: q.Addr}
	}
	if n.denies(self, peer, q, true) {
		return Denied
	}
	if n.denies(self, peer, q, false) {
		return Audited
	}
	return Forwarded
}

func (n *naive) byCgroup(id uint64) *Workload {
	for i := range n.workloads {
		if n.workloads[i].Cgroup == id {
			return &n.workloads[i]
		}
	}
	return nil
}

func (n *naive) byAddr(a netip.Addr) *Workload {
	for i := range n.workloads {
		if slices.Contains(n.workloads[i].Addrs, a) {
			return &n.workloads[i]
		}
	}
	return nil
}

func (n *naive) denies(self *Workload, peer end, q Query, enforcedOnly bool) bool {
	allowed, denied, posture := false, false, false
	for _, p := range n.policies {
		if g := p.Guard; g != nil && (g.Mode == ModeEnforce || !enforcedOnly) {
			allow, deny := n.guard(p, self, peer, q)
			allowed, denied = allowed || allow, denied || deny
		}
		for i := range p.Specs {
			s := &p.Specs[i]
			if (enforcedOnly && s.Mode != ModeEnforce) || self == nil || !n.selects(s, p.Namespace, self) {
				continue
			}
			allows, denies, choice := s.Ingress, s.IngressDeny, s.DefaultDeny.Ingress
			if q.Direction == Egress {
				allows, denies, choice = s.Egress, s.EgressDeny, s.DefaultDeny.Egress
			}
			if len(allows)+len(denies) > 0 && (choice == nil || *choice) {
				posture = true
			}
			for j := range allows {
				allowed = allowed || n.rule(&allows[j], p.Namespace, self, peer, n.opens(peer, q), false)
			}
			for j := range denies {
				denied = denied || n.rule(&denies[j], p.Namespace, self, peer, q, true)
			}
		}
	}
	return denied || (posture && !allowed)
}

func (n *naive) selects(s *Spec, namespace string, w *Workload) bool {
	if s.Nodes != nil {
		return w.Host && hasLabels(s.Nodes, w)
	}
	return (!w.Host || namesHost(s.Endpoints)) && (namespace == "" || w.Namespace == namespace) && hasLabels(s.Endpoints, w)
}

func namesHost(s *Selector) bool {
	for k := range s.Labels {
		if strings.HasPrefix(k, "reserved:") || strings.HasPrefix(k, "systemd:") {
			return true
		}
	}
	for _, e := range s.Expressions {
		if strings.HasPrefix(e.Key, "reserved:") || strings.HasPrefix(e.Key, "systemd:") {
			return true
		}
	}
	return false
}

func hasLabels(s *Selector, w *Workload) bool {
	has := func(key string, values []string) bool {
		for k, v := range w.Labels {
			_, bare, _ := strings.Cut(k, ":")
			if (k == key || bare == key || "any:"+bare == key) && (values == nil || slices.Contains(values, v)) {
				return true
			}
		}
		return false
	}
	for k, v := range s.Labels {
		if !has(k, []string{v}) {
			return false
		}
	}
	for _, e := range s.Expressions {
		var ok bool
		switch e.Operator {
		case OpIn:
			ok = has(e.Key, e.Values)
		case OpNotIn:
			ok = !has(e.Key, e.Values)
		case OpExists:
			ok = has(e.Key, nil)
		case OpDoesNotExist:
			ok = !has(e.Key, nil)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (n *naive) peerSelected(s *Selector, namespace string, w *Workload) bool {
	return w != nil && (!w.Host || namesHost(s)) && (namespace == "" || w.Namespace == namespace) && hasLabels(s, w)
}

func (n *naive) rule(r *RuleSpec, namespace string, self *Workload, peer end, q Query, deny bool) bool {
	l4 := len(r.Ports)+len(r.ICMPs) == 0
	p := &r.Peers
	if p.Endpoints == nil && p.CIDRs == nil && p.CIDRSets == nil && p.Entities == nil && p.FQDNs == nil {
		return !l4 && n.ports(r.Ports, r.ICMPs, q, deny)
	}
	return (l4 || n.ports(r.Ports, r.ICMPs, q, deny)) && n.peers(p, namespace, peer, q, false)
}

func (n *naive) peers(p *Peers, namespace string, peer end, q Query, local bool) bool {
	for i := range p.Endpoints {
		if n.peerSelected(&p.Endpoints[i], namespace, peer.workload) {
			return true
		}
	}
	inBlock := func(c netip.Prefix, except []netip.Prefix) bool {
		addrs := []netip.Addr{peer.world}
		if peer.workload != nil && local {
			addrs = peer.workload.Addrs
		}
		return slices.ContainsFunc(addrs, func(a netip.Addr) bool {
			return a.IsValid() && c.Contains(a) && !slices.ContainsFunc(except, func(e netip.Prefix) bool { return e.Contains(a) })
		})
	}
	for _, c := range p.CIDRs {
		if inBlock(c, nil) {
			return true
		}
	}
	for _, c := range p.CIDRSets {
		if inBlock(c.CIDR, c.Except) {
			return true
		}
	}
	for _, e := range p.Entities {
		if e == EntityAll ||
			(e == EntityWorld && peer.world.IsValid()) ||
			(e == EntityWorldIPv4 && peer.world.Is4()) ||
			(e == EntityWorldIPv6 && peer.world.Is6()) ||
			(e == EntityHost && peer.workload != nil && peer.workload.Host) ||
			(e == EntityCluster && !peer.world.IsValid()) ||
			(e == EntityInit && peer.unknown) {
			return true
		}
	}
	if q.Direction == Egress {
		for _, f := range p.FQDNs {
			if slices.ContainsFunc(q.Names, Name{Pattern: f.Name + f.Pattern}.Matches) {
				return true
			}
		}
	}
	return false
}

// opens is a query without the names that open nothing.
func (n *naive) opens(peer end, q Query) Query {
	if peer.workload != nil && peer.workload.Host && peer.workload.Labels["systemd:unit"] == "" {
		q.Names = nil
	}
	return q
}

// asks tells whether a rule with patterns speaks of a question, or, without one, of
// the connection.
func (r *PortRule) asks(q Query, deny bool) bool {
	switch {
	case r.Rules == nil:
		return true
	case q.Direction == Ingress: // a Guard's: questions are judged where they are asked
		return false
	case q.Asked == nil:
		return !deny
	case q.Asked.Unread:
		return deny
	}
	return slices.ContainsFunc(r.Rules.DNS, func(f FQDN) bool { return Name{Pattern: f.Name + f.Pattern}.Matches(q.Asked.Name) })
}

func (n *naive) ports(ports []PortRule, icmps []ICMPRule, q Query, deny bool) bool {
	for _, r := range ports {
		for _, p := range r.Ports {
			is := slices.Contains(map[Proto][]uint8{"": {6, 17, 132}, ProtoAny: {6, 17, 132}, ProtoTCP: {6}, ProtoUDP: {17}, ProtoSCTP: {132}, ProtoGRE: {47}}[p.Protocol], q.Protocol)
			last := max(p.End, p.Port)
			if is && r.asks(q, deny) && ((p.Port == 0 && p.End == 0) || (p.Port <= q.Port && q.Port <= last)) {
				return true
			}
		}
	}
	for _, r := range icmps {
		for _, f := range r.Fields {
			if q.Port == uint16(f.Type) && ((q.Protocol == 1 && !f.IPv6) || (q.Protocol == 58 && f.IPv6)) {
				return true
			}
		}
	}
	return false
}

func (n *naive) guard(p *Policy, self *Workload, peer end, q Query) (allow, deny bool) {
	g := p.Guard
	speaks := func(deny bool) bool { return len(g.Ports) == 0 || n.ports(g.Ports, nil, q, deny) }
	among := func(w *Workload) bool {
		return slices.ContainsFunc(g.AllowedFrom, func(s Selector) bool { return n.peerSelected(&s, p.Namespace, w) })
	}
	if q.Direction == Egress {
		return among(self) && speaks(false) && n.peers(&g.To, p.Namespace, peer, n.opens(peer, q), true),
			!among(self) && speaks(true) && n.peers(&g.To, p.Namespace, peer, q, true)
	}
	if self == nil || !n.peers(&g.To, p.Namespace, end{workload: self}, Query{}, true) {
		return false, false
	}
	return among(peer.workload) && speaks(false), !among(peer.workload) && speaks(true)
}
