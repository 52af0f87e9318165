package policy

import (
	"go.yaml.in/yaml/v3"
)

// kubernetes reads the spec of a networking.k8s.io/v1 NetworkPolicy and turns it
// into the same rules in Cilium's words. Where the two differ the file's own
// meaning holds: in it an empty "from" is everyone, and an empty "ingress" beside
// policyTypes denies everything.
func (d *decoder) kubernetes(n *yaml.Node) Spec {
	s := Spec{Mode: ModeAudit, Pos: d.pos(n)}
	var types []string
	var ingress, egress *yaml.Node
	if !d.object(n, "spec", fields{
		"podSelector": func(v *yaml.Node) { s.Endpoints = d.podSelector(v) },
		"policyTypes": func(v *yaml.Node) {
			types = list(d, v, "policyTypes", func(c *yaml.Node) string { return word(d, c, "policy type", "Ingress", "Egress") })
		},
		"ingress": func(v *yaml.Node) { ingress = v; s.Ingress = d.k8sRules(v, Ingress) },
		"egress":  func(v *yaml.Node) { egress = v; s.Egress = d.k8sRules(v, Egress) },
	}, nil) {
		return s
	}
	if s.Endpoints == nil {
		d.errorf(n, "no podSelector: write %q to select every pod of the namespace", "podSelector: {}")
	}
	in, out := len(types) == 0, len(types) == 0 && len(s.Egress) > 0
	for _, t := range types {
		in, out = in || t == "Ingress", out || t == "Egress"
	}
	// Kubernetes takes rules of a direction that is not in policyTypes, and
	// does not apply them.
	if len(s.Ingress) > 0 && !in {
		d.warnf(ingress, "ingress rules have no effect without Ingress in policyTypes")
		s.Ingress = nil
	}
	if len(s.Egress) > 0 && !out {
		d.warnf(egress, "egress rules have no effect without Egress in policyTypes")
		s.Egress = nil
	}
	if in && len(s.Ingress) == 0 {
		s.Ingress = []RuleSpec{{Pos: s.Pos}}
	}
	if out && len(s.Egress) == 0 {
		s.Egress = []RuleSpec{{Pos: s.Pos}}
	}
	return s
}

// podSelector reads a selector of pods' labels, whose keys have no source.
func (d *decoder) podSelector(n *yaml.Node) *Selector {
	s := d.selector(n)
	prefixKeys(s, func(key string) string {
		if source, _ := splitKey(key); source != sourceAny {
			d.errorf(n, "label %q: the labels of pods have no source", key)
		}
		return sourceK8s + ":" + key
	})
	return s
}

func prefixKeys(s *Selector, prefix func(string) string) {
	labels := s.Labels
	s.Labels = nil
	for k, v := range labels {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[prefix(k)] = v
	}
	for i := range s.Expressions {
		s.Expressions[i].Key = prefix(s.Expressions[i].Key)
	}
}

// k8sRules makes of each rule one for each kind of peer that is in it.
func (d *decoder) k8sRules(n *yaml.Node, dir Direction) []RuleSpec {
	var out []RuleSpec
	for _, rs := range list(d, n, dir.String(), func(c *yaml.Node) []RuleSpec { return d.k8sRule(c, dir) }) {
		out = append(out, rs...)
	}
	return out
}

func (d *decoder) k8sRule(n *yaml.Node, dir Direction) []RuleSpec {
	if d.rules++; d.rules > maxRules {
		d.stop(n, "the file has too many rules")
	}
	base := RuleSpec{Pos: d.pos(n)}
	var pods, blocks Peers
	side := map[Direction]string{Ingress: "from", Egress: "to"}[dir]
	d.object(n, "a rule", fields{
		side: func(v *yaml.Node) {
			list(d, v, side, func(c *yaml.Node) struct{} { d.k8sPeer(c, &pods, &blocks); return struct{}{} })
		},
		"ports": func(v *yaml.Node) {
			if ports := list(d, v, "ports", d.k8sPort); len(ports) > 0 {
				base.Ports = []PortRule{{Ports: ports, Pos: d.pos(v)}}
			}
		},
	}, nil)
	var out []RuleSpec
	for _, p := range []Peers{pods, blocks} {
		if !p.absent() {
			r := base
			r.Peers = p
			out = append(out, r)
		}
	}
	if out == nil {
		base.Peers.Entities = []Entity{EntityAll}
		out = []RuleSpec{base}
	}
	return out
}

func (d *decoder) k8sPeer(n *yaml.Node, pods, blocks *Peers) {
	var pod, namespace *Selector
	var block *CIDRSet
	if !d.object(n, "a peer", fields{
		"podSelector":       func(v *yaml.Node) { pod = d.podSelector(v) },
		"namespaceSelector": func(v *yaml.Node) { namespace = d.namespaceSelector(v) },
		"ipBlock":           func(v *yaml.Node) { c := d.cidrSet(v); block = &c },
	}, nil) {
		return
	}
	switch {
	case block != nil && (pod != nil || namespace != nil):
		d.errorf(n, "ipBlock and a selector: only one of them is allowed in a peer")
	case block != nil:
		blocks.CIDRSets = append(blocks.CIDRSets, *block)
	case pod == nil && namespace == nil:
		d.errorf(n, "a peer needs podSelector, namespaceSelector or ipBlock")
	default:
		pods.Endpoints = append(pods.Endpoints, joined(pod, namespace, d.pos(n)))
	}
}

// joined makes one selector of pods and their namespaces. Without a selector of
// namespaces the policy's own is meant, as in Cilium's selectors.
func joined(pod, namespace *Selector, at Pos) Selector {
	s := Selector{Pos: at, Labels: map[string]string{}}
	for _, from := range []*Selector{pod, namespace} {
		if from == nil {
			continue
		}
		for k, v := range from.Labels {
			s.Labels[k] = v
		}
		s.Expressions = append(s.Expressions, from.Expressions...)
	}
	if namespace != nil && len(namespace.Labels)+len(namespace.Expressions) == 0 {
		s.Expressions = append(s.Expressions, Expression{Key: sourceK8s + ":" + namespaceKey, Operator: OpExists})
	}
	return s
}

func (d *decoder) namespaceSelector(n *yaml.Node) *Selector {
	s := d.selector(n)
	prefixKeys(s, func(key string) string {
		if key != namespaceNameLabel {
			d.errorf(n, "unsupported label %q: of a namespace weir knows its name alone, %s", key, namespaceNameLabel)
		}
		return sourceK8s + ":" + namespaceKey
	})
	return s
}

// k8sPort reads a port: TCP and every port are meant where nothing is said.
func (d *decoder) k8sPort(n *yaml.Node) Port {
	p := Port{Protocol: ProtoTCP}
	var end *yaml.Node
	if d.object(n, "a port", fields{
		"port":     func(v *yaml.Node) { d.portNumber(v, &p) },
		"endPort":  func(v *yaml.Node) { end = v; p.End = d.integer(v, "endPort", 65535) },
		"protocol": func(v *yaml.Node) { p.Protocol = word(d, v, "protocol", ProtoTCP, ProtoUDP, ProtoSCTP) },
	}, nil) && end != nil {
		d.checkRange(end, &p)
	}
	return p
}
