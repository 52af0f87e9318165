package policy

import (
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What CiliumNetworkPolicy has and weir refuses, with the reason. The fields are
// those of github.com/cilium/cilium/pkg/policy/api, version 1.20.
var (
	refusedInRule = map[string]string{
		"fromRequires":   "Cilium has taken it out too; use matchExpressions in fromEndpoints",
		"toRequires":     "Cilium has taken it out too; use matchExpressions in toEndpoints",
		"fromGroups":     "weir asks no cloud for addresses; list them in fromCIDRSet",
		"toGroups":       "weir asks no cloud for addresses; list them in toCIDRSet",
		"fromNodes":      "weir knows one host; use fromEntities: [host], or the nodes' addresses in fromCIDR",
		"toNodes":        "weir knows one host; use toEntities: [host], or the nodes' addresses in toCIDR",
		"toServices":     "weir does not know Kubernetes services; use toEndpoints with the labels of their pods",
		"authentication": "weir does not authenticate peers",
	}
	refusedInPort = map[string]string{
		"terminatingTLS": "weir does not open TLS connections",
		"originatingTLS": "weir does not open TLS connections",
		"listener":       "weir has no proxy to redirect to",
	}
	refusedInCIDR = map[string]string{
		"cidrGroupRef":      "weir does not know CiliumCIDRGroup; list the blocks",
		"cidrGroupSelector": "weir does not know CiliumCIDRGroup; list the blocks",
	}
)

func (d *decoder) spec(n *yaml.Node) Spec {
	s := Spec{Mode: ModeAudit, Pos: d.pos(n)}
	section := func(to *[]RuleSpec, dir Direction, deny bool) func(*yaml.Node) {
		return func(v *yaml.Node) {
			*to = list(d, v, "a section", func(c *yaml.Node) RuleSpec { return d.rule(c, dir, deny) })
			if len(*to) == 0 {
				d.warnf(v, "empty section: it has no effect; %q selects the direction without allowing anything", "- {}")
			}
		}
	}
	isObject := d.object(n, "spec", fields{
		"endpointSelector":  func(v *yaml.Node) { s.Endpoints = d.selector(v) },
		"nodeSelector":      func(v *yaml.Node) { s.Nodes = d.selector(v) },
		"mode":              func(v *yaml.Node) { s.Mode = d.mode(v) },
		"description":       func(v *yaml.Node) { s.Description = d.text(v, "description") },
		"ingress":           section(&s.Ingress, Ingress, false),
		"ingressDeny":       section(&s.IngressDeny, Ingress, true),
		"egress":            section(&s.Egress, Egress, false),
		"egressDeny":        section(&s.EgressDeny, Egress, true),
		"enableDefaultDeny": func(v *yaml.Node) { d.defaultDeny(v, &s) },
		"labels":            func(v *yaml.Node) { s.Labels = list(d, v, "labels", d.specLabel) },
		"log": func(v *yaml.Node) {
			d.object(v, "log", fields{"value": func(v *yaml.Node) { s.Log = d.text(v, "log.value") }}, nil)
		},
	}, nil)
	switch {
	case !isObject:
	case s.Endpoints == nil && s.Nodes == nil:
		d.errorf(n, "no endpointSelector: write %q to select every workload", "endpointSelector: {}")
	case s.Endpoints != nil && s.Nodes != nil:
		d.errorf(n, "endpointSelector and nodeSelector: only one of them is allowed")
	case len(s.Ingress)+len(s.IngressDeny)+len(s.Egress)+len(s.EgressDeny) == 0:
		d.errorf(n, "no rules: at least one of ingress, ingressDeny, egress and egressDeny must have some")
	}
	return s
}

func (d *decoder) mode(n *yaml.Node) Mode {
	if m := word(d, n, "mode", ModeAudit, ModeEnforce); m != "" {
		return m
	}
	return ModeAudit
}

func (d *decoder) defaultDeny(n *yaml.Node, s *Spec) {
	d.object(n, "enableDefaultDeny", fields{
		"ingress": func(v *yaml.Node) { s.DefaultDeny.Ingress = d.boolean(v, "enableDefaultDeny.ingress") },
		"egress":  func(v *yaml.Node) { s.DefaultDeny.Egress = d.boolean(v, "enableDefaultDeny.egress") },
	}, nil)
}

// specLabel reads a label of a spec, which Cilium writes as text or as an object.
func (d *decoder) specLabel(n *yaml.Node) string {
	if r := d.resolve(n); r == nil || r.Kind != yaml.MappingNode {
		return d.text(n, "a label")
	}
	var source, key, value string
	d.object(n, "a label", fields{
		"source": func(v *yaml.Node) { source = d.text(v, "source") },
		"key":    func(v *yaml.Node) { key = d.text(v, "key") },
		"value":  func(v *yaml.Node) { value = d.text(v, "value") },
	}, nil)
	if source != "" {
		key = source + ":" + key
	}
	if value != "" {
		key += "=" + value
	}
	return key
}

func (d *decoder) rule(n *yaml.Node, dir Direction, deny bool) RuleSpec {
	if d.rules++; d.rules > maxRules {
		d.stop(n, "the file has too many rules")
	}
	r := RuleSpec{Pos: d.pos(n)}
	known := fields{
		"toPorts": func(v *yaml.Node) {
			r.Ports = list(d, v, "toPorts", func(c *yaml.Node) PortRule { return d.portRule(c, dir) })
		},
		"icmps": func(v *yaml.Node) { r.ICMPs = list(d, v, "icmps", d.icmpRule) },
	}
	side := "from"
	if dir == Egress {
		side = "to"
	}
	members := d.peers(known, side, &r.Peers)
	if !d.object(n, "a rule", known, refusedInRule) {
		return r
	}
	if got := members(); len(got) > 1 {
		d.errorf(n, "%s: only one kind of peer is allowed in a rule; write one rule for each", strings.Join(got, " and "))
	}
	if len(r.Ports) > 0 && len(r.ICMPs) > 0 {
		d.errorf(n, "toPorts and icmps: only one of them is allowed in a rule; write one rule for each")
	}
	if deny && r.Peers.absent() && len(r.Ports)+len(r.ICMPs) == 0 {
		d.warnf(n, "the rule selects nothing, and so denies nothing")
	}
	return r
}

// peers adds the fields that select peers. The function that it gives names
// those that were there, after they were read.
func (d *decoder) peers(known fields, side string, p *Peers) func() []string {
	known[side+"Endpoints"] = func(v *yaml.Node) {
		p.Endpoints = list(d, v, side+"Endpoints", func(c *yaml.Node) Selector { return *d.selector(c) })
	}
	known[side+"CIDR"] = func(v *yaml.Node) {
		p.CIDRs = list(d, v, side+"CIDR", func(c *yaml.Node) netip.Prefix { return d.prefix(c, true) })
	}
	known[side+"CIDRSet"] = func(v *yaml.Node) { p.CIDRSets = list(d, v, side+"CIDRSet", d.cidrSet) }
	known[side+"Entities"] = func(v *yaml.Node) { p.Entities = list(d, v, side+"Entities", d.entity) }
	if side == "to" {
		known["toFQDNs"] = func(v *yaml.Node) { p.FQDNs = list(d, v, "toFQDNs", d.fqdn) }
	}
	return func() (there []string) {
		for name, is := range map[string]bool{
			"Endpoints": p.Endpoints != nil, "CIDR": p.CIDRs != nil, "CIDRSet": p.CIDRSets != nil,
			"Entities": p.Entities != nil, "FQDNs": p.FQDNs != nil,
		} {
			if is {
				there = append(there, side+name)
			}
		}
		slices.Sort(there)
		return there
	}
}

// prefix reads a block of addresses; a bare address where mayBare allows it.
func (d *decoder) prefix(n *yaml.Node, mayBare bool) netip.Prefix {
	s := d.text(n, "a CIDR")
	p, err := netip.ParsePrefix(s)
	if a, e := netip.ParseAddr(s); e == nil && mayBare && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case s == "":
		return netip.Prefix{}
	case err != nil:
		d.errorf(n, "%q is no CIDR such as 10.0.0.0/8 or 2001:db8::/32", s)
		return netip.Prefix{}
	case p.Addr().Is4In6():
		d.errorf(n, "%q is IPv4 written as IPv6: write it as IPv4", s)
	case p.Masked() != p:
		d.warnf(n, "%q has bits beyond its length: it means %s", s, p.Masked())
	}
	return p.Masked()
}

func (d *decoder) cidrSet(n *yaml.Node) CIDRSet {
	var c CIDRSet
	isObject := d.object(n, "an element of a CIDRSet", fields{
		"cidr": func(v *yaml.Node) { c.CIDR = d.prefix(v, false) },
		"except": func(v *yaml.Node) {
			c.Except = list(d, v, "except", func(e *yaml.Node) netip.Prefix { return d.prefix(e, false) })
		},
	}, refusedInCIDR)
	if isObject && !c.CIDR.IsValid() {
		d.errorf(n, "no cidr")
	}
	for _, e := range c.Except {
		if e.IsValid() && c.CIDR.IsValid() && (e.Bits() < c.CIDR.Bits() || !c.CIDR.Contains(e.Addr())) {
			d.errorf(n, "except %s is not within %s", e, c.CIDR)
		}
	}
	return c
}

// Entities that Cilium knows and that mean nothing on one host.
var refusedEntities = map[Entity]string{
	"remote-node":    "weir knows one host; list the nodes' addresses in a CIDR rule",
	"kube-apiserver": "weir does not know where the API server is; list its addresses in a CIDR rule",
	"health":         "there are no health endpoints of Cilium here",
	"ingress":        "there is no ingress proxy of Cilium here",
	"unmanaged":      "every workload of the host is managed",
	"cluster-mesh":   "weir knows one host; list the addresses in a CIDR rule",
}

func (d *decoder) entity(n *yaml.Node) Entity {
	if why, ok := refusedEntities[Entity(d.text(n, "an entity"))]; ok {
		d.errorf(n, "unsupported entity %q: %s", n.Value, why)
		return EntityNone
	}
	e := word(d, n, "entity", EntityAll, EntityWorld, EntityWorldIPv4, EntityWorldIPv6, EntityHost, EntityCluster, EntityInit, EntityNone)
	if e == "" {
		return EntityNone
	}
	return e
}
