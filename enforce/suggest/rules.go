package suggest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/internal/words"
	"github.com/seed79351815/weir/enforce/policy"
)

// rule is a RuleSpec in the making: peers that may do the same.
type rule struct {
	peers    policy.Peers
	ports    []policy.PortRule
	icmps    []policy.ICMPRule
	evidence []string
	doubts   []string
}

// section makes the rules of a direction. A direction in which nothing was seen
// gets a rule that allows nothing, so that nothing is allowed.
func (s *suggester) section(d side) (out []policy.RuleSpec) {
	names := map[string]*rule{} // by the ports, for names and addresses
	addresses := map[string]*rule{}
	var rules []*rule
	resolver := d.resolver()
	for _, p := range slices.SortedFunc(maps.Keys(d.peers), baseline.Peer.Compare) {
		c := d.peers[p]
		s.attempts(d, p, c)
		peers, doubts, ok := s.peers(d, p, resolver)
		if !ok {
			s.leaveOut(d, p, c)
			continue
		}
		allowed := s.allowed(d, p, c)
		if allowed == nil {
			continue
		}
		doubts = append(doubts, doubtsOf(c, allowed)...)
		for i, l := range doubts {
			s.out.Unproven = append(s.out.Unproven, d.to(p)+": "+l)
			doubts[i] = words.Plain(p.String()) + ": " + l
		}
		r := &rule{peers: peers, ports: s.portsOf(d, allowed, c), icmps: icmpsOf(allowed), evidence: evidenceOf(d, p, c, allowed), doubts: doubts}
		switch p.Kind {
		case baseline.PeerName:
			r = join(names, allowed, r)
		case baseline.PeerAddress:
			r = join(addresses, allowed, r)
		}
		if r != nil {
			rules = append(rules, r)
		}
	}
	for _, r := range rules {
		out = append(out, r.specs()...)
	}
	if out == nil {
		out = []policy.RuleSpec{{Comments: []string{"Nothing was seen here, so nothing is allowed."}}}
	}
	return out
}

// join adds r to the rule with the same services; where there is one it gives nil.
func join(rules map[string]*rule, allowed []baseline.Service, r *rule) *rule {
	key := fmt.Sprint(allowed)
	to := rules[key]
	if to == nil {
		rules[key] = r
		return r
	}
	to.peers.CIDRs = append(to.peers.CIDRs, r.peers.CIDRs...)
	to.peers.FQDNs = append(to.peers.FQDNs, r.peers.FQDNs...)
	to.alsoAsked(r)
	to.evidence = append(to.evidence, r.evidence...)
	to.doubts = append(to.doubts, r.doubts...)
	return nil
}

const maxEvidence = 40 // lines above a rule

// specs are the rules as they are written: ports and types of ICMP exclude each
// other in one.
func (r *rule) specs() (out []policy.RuleSpec) {
	r.peers.CIDRs = aggregate(r.peers.CIDRs)
	comments := r.evidence
	if len(comments) > maxEvidence {
		comments = append(slices.Clone(comments[:maxEvidence]), fmt.Sprintf("and %d lines more", len(r.evidence)-maxEvidence))
	}
	for _, l := range r.doubts {
		comments = append(comments, "not proven: "+l)
	}
	if len(r.ports) > 0 {
		out = append(out, policy.RuleSpec{Peers: r.peers, Ports: r.ports, Comments: comments})
		comments = nil
	}
	if len(r.icmps) > 0 {
		out = append(out, policy.RuleSpec{Peers: r.peers, ICMPs: r.icmps, Comments: comments})
	}
	return out
}

// peers is how a rule names a peer, and what is doubtful about that; ok is false
// where it cannot.
func (s *suggester) peers(d side, p baseline.Peer, resolver bool) (peers policy.Peers, doubts []string, ok bool) {
	switch p.Kind {
	case baseline.PeerWorkload:
		sel, ok := s.selection(p.Workload)
		if !ok && p.Workload.Kind == "Unit" {
			return policy.Peers{Entities: []policy.Entity{policy.EntityHost}}, []string{"no label names it for good: all that runs on the host itself is allowed"}, true
		}
		for _, o := range sel.also {
			doubts = append(doubts, "the selector also selects "+words.Plain(o.String()))
		}
		if sel.brief {
			doubts = append(doubts, "the selector is the container's id, which is another when it is made again")
		}
		return policy.Peers{Endpoints: []policy.Selector{sel.selector}}, doubts, ok
	case baseline.PeerName:
		if !resolver {
			doubts = append(doubts, "no look-up was seen; without a rule for its resolver the name stays closed")
		}
		return policy.Peers{FQDNs: []policy.FQDN{{Name: p.Name}}}, doubts, true
	case baseline.PeerAddress:
		return policy.Peers{CIDRs: []netip.Prefix{netip.PrefixFrom(p.Addr, p.Addr.BitLen())}}, nil, true
	case baseline.PeerWorld:
		return policy.Peers{Entities: []policy.Entity{policy.EntityWorld}}, []string{"more addresses than are kept: everyone elsewhere is allowed"}, true
	}
	return policy.Peers{}, nil, false
}

// resolver tells whether DNS was spoken with anybody.
func (d side) resolver() bool {
	for _, c := range d.peers {
		for s := range c.Services {
			if isDNS(s) {
				return true
			}
		}
	}
	return false
}

// allowed are the services that rules can name, in order. The others are told.
func (s *suggester) allowed(d side, p baseline.Peer, c *baseline.Contact) (out []baseline.Service) {
	for _, svc := range slices.SortedFunc(maps.Keys(c.Services), baseline.Service.Compare) {
		if expressible(svc) {
			out = append(out, svc)
			continue
		}
		s.left("%s over %s: no policy can name the protocol", d.to(p), svc)
	}
	if len(c.Services) == 0 && len(c.Operations) > 0 {
		s.left("%s: %s of layer 7 without a flow", d.to(p), words.Plural(uint64(len(c.Operations)), "operation"))
	}
	return out
}

// attempts tells of what was tried and never came about.
func (s *suggester) attempts(d side, p baseline.Peer, c *baseline.Contact) {
	for _, svc := range slices.SortedFunc(maps.Keys(c.Attempts), baseline.Service.Compare) {
		all := baseline.Service{Protocol: svc.Protocol, Any: true}
		if c.Services[svc] != nil || c.Services[all] != nil {
			continue
		}
		t := c.Attempts[svc]
		why := ""
		if t.Dropped > 0 {
			why = ", packets were dropped"
		}
		s.left("%s over %s: %s, nothing came about%s", d.to(p), svc, words.Plural(t.Flows(), "attempt"), why)
	}
}

func (s *suggester) leaveOut(d side, p baseline.Peer, c *baseline.Contact) {
	why := "no label names it"
	if p.Kind == baseline.PeerUnnamed {
		why = "whoever it is had no name"
	}
	for _, svc := range slices.SortedFunc(maps.Keys(c.Services), baseline.Service.Compare) {
		s.left("%s over %s: %s, %s", d.to(p), svc, words.Plural(c.Services[svc].Flows(), "flow"), why)
	}
}

func (s *suggester) left(format string, args ...any) {
	s.out.LeftOut = append(s.out.LeftOut, fmt.Sprintf(format, args...))
}

// to is a peer with the direction.
func (d side) to(p baseline.Peer) string {
	if d.egress {
		return "to " + words.Plain(p.String())
	}
	return "from " + words.Plain(p.String())
}

// aggregate puts blocks together that are the two halves of one, so that what is
// allowed stays the same to the address.
func aggregate(in []netip.Prefix) (out []netip.Prefix) {
	slices.SortFunc(in, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	for _, p := range in {
		for len(out) > 0 {
			half := out[len(out)-1]
			whole, err := p.Addr().Prefix(p.Bits() - 1)
			if err != nil || p.Bits() <= 1 || half.Bits() != p.Bits() || half == p || !whole.Contains(half.Addr()) {
				break
			}
			p, out = whole, out[:len(out)-1]
		}
		out = append(out, p)
	}
	return out
}
