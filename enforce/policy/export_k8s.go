package policy

import (
	"net/netip"

	"go.yaml.in/yaml/v3"
)

// kubernetes writes a policy's only Spec as a NetworkPolicy.
func (e *exporter) kubernetes() []byte {
	p := e.policy
	if len(p.Specs) != 1 {
		e.refuse(p.Pos, "specs: a NetworkPolicy has one")
		return nil
	}
	s := &p.Specs[0]
	if s.Endpoints == nil {
		e.refuse(s.Pos, "nodeSelector: a NetworkPolicy is for pods")
		return nil
	}
	if p.Namespace == "" {
		e.refuse(p.Pos, "no namespace: a NetworkPolicy has one")
	}
	if len(s.IngressDeny)+len(s.EgressDeny) > 0 {
		e.refuse(s.Pos, "rules that deny: a NetworkPolicy has none")
	}
	types := []string{}
	spec := newObject().put("podSelector", e.podSelector(s.Endpoints, s.Pos))
	put := func(name, kind string, d Direction, rules []RuleSpec) {
		if len(rules) == 0 {
			return
		}
		if !s.denies(d) {
			e.refuse(s.Pos, "enableDefaultDeny.%s: false: a NetworkPolicy always denies the rest", name)
		}
		types = append(types, kind)
		spec.put(name, listNode(e.k8sRules(rules, d), func(n *yaml.Node) *yaml.Node { return n }))
	}
	put("ingress", "Ingress", Ingress, s.Ingress)
	put("egress", "Egress", Egress, s.Egress)
	spec.put("policyTypes", listNode(types, textNode))
	root := newObject().text("apiVersion", apiVersions[KindKubernetes]).text("kind", string(KindKubernetes)).
		put("metadata", p.metadata()).put("spec", spec.node)
	text := encode(root.node)
	if c := comment(e.enforced(p.Comments)); c != "" {
		return append([]byte(c+"\n"), text...)
	}
	return text
}

// k8sRules leaves out the rules that select nothing: they are there for the
// default deny, which policyTypes says here.
func (e *exporter) k8sRules(rules []RuleSpec, d Direction) []*yaml.Node {
	out := []*yaml.Node{}
	side := map[Direction]string{Ingress: "from", Egress: "to"}[d]
	for i := range rules {
		r := &rules[i]
		if r.Peers.absent() && len(r.Ports)+len(r.ICMPs) == 0 {
			continue
		}
		if len(r.ICMPs) > 0 {
			e.refuse(r.Pos, "icmps: a NetworkPolicy has none")
		}
		peers, everyone := e.k8sPeers(r)
		if len(peers) == 0 && !everyone {
			continue
		}
		ports, some := e.k8sPorts(r)
		if !some {
			continue
		}
		o := newObject()
		if !everyone {
			o.put(side, listNode(peers, func(n *yaml.Node) *yaml.Node { return n }))
		}
		o.put("ports", someNode(ports, k8sPortNode))
		o.node.HeadComment = comment(r.Comments)
		out = append(out, o.node)
	}
	return out
}

func (e *exporter) k8sPeers(r *RuleSpec) (out []*yaml.Node, everyone bool) {
	p := &r.Peers
	block := func(c netip.Prefix, except []netip.Prefix) {
		out = append(out, newObject().put("ipBlock", newObject().text("cidr", c.String()).
			put("except", someNode(except, stringerNode[netip.Prefix])).node).node)
	}
	for i := range p.Endpoints {
		out = append(out, e.k8sPeer(&p.Endpoints[i], r.Pos))
	}
	for _, c := range p.CIDRs {
		block(c, nil)
	}
	for _, c := range p.CIDRSets {
		block(c.CIDR, c.Except)
	}
	for _, one := range p.Entities {
		switch one {
		case EntityAll:
			everyone = true
		case EntityWorld:
			block(everyIPv4(), nil)
			block(everyIPv6(), nil)
		case EntityWorldIPv4:
			block(everyIPv4(), nil)
		case EntityWorldIPv6:
			block(everyIPv6(), nil)
		case EntityNone:
		default:
			e.refuse(r.Pos, "entity %q: a NetworkPolicy has none", one)
		}
	}
	if len(p.FQDNs) > 0 {
		e.refuse(r.Pos, "toFQDNs: a NetworkPolicy has none")
	}
	return out, everyone || p.absent()
}

// k8sPorts gives none for every port; some is false where the rule selects none.
func (e *exporter) k8sPorts(r *RuleSpec) (out []Port, some bool) {
	if len(r.Ports) == 0 {
		return nil, true
	}
	for _, one := range r.Ports {
		if one.Rules != nil || len(one.ServerNames) > 0 {
			e.refuse(one.Pos, "rules for requests: a NetworkPolicy has none")
		}
		for _, p := range one.Ports {
			if !p.Protocol.hasPorts() {
				e.refuse(one.Pos, "protocol %s: a NetworkPolicy has TCP, UDP and SCTP", p.Protocol)
				continue
			}
			for _, proto := range []Proto{ProtoTCP, ProtoUDP, ProtoSCTP} {
				if p.Protocol.any() || p.Protocol == proto {
					q := p
					q.Protocol = proto
					out = append(out, q)
				}
			}
		}
	}
	return out, len(out) > 0
}

// k8sPortNode writes a number as a number: as text it would be a name.
func k8sPortNode(p Port) *yaml.Node {
	o := newObject().text("protocol", string(p.Protocol)).text("port", p.Name)
	if p.Port != 0 {
		o.put("port", intNode(p.Port))
	}
	if p.End > p.Port {
		o.put("endPort", intNode(p.End))
	}
	return o.node
}

func (e *exporter) podSelector(s *Selector, at Pos) *yaml.Node {
	plain := Selector{Labels: map[string]string{}}
	for k, v := range s.Labels {
		if key := e.plainKey(k, at); key != namespaceKey { // the policy's own: Parse saw to that
			plain.Labels[key] = v
		}
	}
	for _, x := range s.Expressions {
		if x.Key = e.plainKey(x.Key, at); x.Key == namespaceKey {
			e.refuse(at, "matchExpressions on the namespace: a NetworkPolicy selects in its own")
		}
		plain.Expressions = append(plain.Expressions, x)
	}
	return plain.node()
}

// k8sPeer splits a selector into those of namespaces and of pods.
func (e *exporter) k8sPeer(s *Selector, at Pos) *yaml.Node {
	pods, namespaces := Selector{Labels: map[string]string{}}, Selector{Labels: map[string]string{}}
	named := false
	for k, v := range s.Labels {
		if key := e.plainKey(k, at); key == namespaceKey {
			named, namespaces.Labels[namespaceNameLabel] = true, v
		} else {
			pods.Labels[key] = v
		}
	}
	for _, x := range s.Expressions {
		x.Key = e.plainKey(x.Key, at)
		switch {
		case x.Key != namespaceKey:
			pods.Expressions = append(pods.Expressions, x)
		case x.Operator == OpExists: // every namespace has its name
			named = true
		default:
			named, x.Key = true, namespaceNameLabel
			namespaces.Expressions = append(namespaces.Expressions, x)
		}
	}
	o := newObject()
	if named {
		o.put("namespaceSelector", namespaces.node())
	}
	if !named || len(pods.Labels)+len(pods.Expressions) > 0 {
		o.put("podSelector", pods.node())
	}
	return o.node
}
