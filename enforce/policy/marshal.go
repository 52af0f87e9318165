package policy

import (
	"net/netip"

	"go.yaml.in/yaml/v3"
)

// Marshal writes policies as YAML documents that Parse reads as the same ones,
// with their comments: the same policies always give the same bytes. A
// NetworkPolicy is written as the CiliumNetworkPolicy that it means.
func Marshal(policies ...*Policy) []byte {
	var out []byte
	for i, p := range policies {
		if i > 0 {
			out = append(out, "---\n"...)
		}
		if len(p.Comments) > 0 {
			out = append(out, comment(p.Comments)+"\n"...)
		}
		out = append(out, encode(p.node())...)
	}
	return out
}

func (p *Policy) node() *yaml.Node {
	kind := p.Kind
	if kind == KindKubernetes || kind == "" {
		kind = KindCilium
	}
	o := newObject().text("apiVersion", apiVersions[kind]).text("kind", string(kind)).put("metadata", p.metadata())
	switch {
	case p.Guard != nil:
		o.put("spec", p.Guard.node())
	case len(p.Specs) == 1:
		o.put("spec", p.Specs[0].node())
	default:
		o.put("specs", listNode(p.Specs, func(s Spec) *yaml.Node { return s.node() }))
	}
	return o.node
}

func (p *Policy) metadata() *yaml.Node {
	annotations := map[string]string{}
	for k, v := range p.Annotations {
		if k != modeAnnotation { // each Spec has its mode
			annotations[k] = v
		}
	}
	return newObject().text("name", p.Name).text("namespace", p.Namespace).
		put("labels", mapNode(p.Labels)).put("annotations", mapNode(annotations)).node
}

func (s *Spec) node() *yaml.Node {
	o := newObject().text("description", s.Description)
	if s.Mode != "" {
		o.text("mode", string(s.Mode))
	}
	if s.Endpoints != nil {
		o.put("endpointSelector", s.Endpoints.node())
	}
	if s.Nodes != nil {
		o.put("nodeSelector", s.Nodes.node())
	}
	if d := s.DefaultDeny; d.Ingress != nil || d.Egress != nil {
		o.put("enableDefaultDeny", newObject().put("ingress", boolNode(d.Ingress)).put("egress", boolNode(d.Egress)).node)
	}
	for _, section := range s.sections() {
		o.put(section.name, someNode(section.rules, func(r RuleSpec) *yaml.Node { return r.node(section.direction) }))
	}
	o.put("labels", someNode(s.Labels, textNode))
	if s.Log != "" {
		o.put("log", newObject().text("value", s.Log).node)
	}
	return o.node
}

func (g *Guard) node() *yaml.Node {
	o := newObject().text("description", g.Description)
	if g.Mode != "" {
		o.text("mode", string(g.Mode))
	}
	g.To.put(o, "to")
	o.put("toPorts", someNode(g.Ports, portRuleNode))
	allowed := g.AllowedFrom
	if allowed == nil {
		allowed = []Selector{}
	}
	return o.put("allowedFrom", listNode(allowed, selectorNode)).node
}

func (r *RuleSpec) node(dir Direction) *yaml.Node {
	o := newObject()
	r.Peers.put(o, map[Direction]string{Ingress: "from", Egress: "to"}[dir])
	o.put("toPorts", someNode(r.Ports, portRuleNode))
	o.put("icmps", someNode(r.ICMPs, icmpNode))
	o.node.HeadComment = comment(r.Comments)
	return o.node
}

func (p *Peers) put(o object, side string) {
	o.put(side+"Endpoints", listNode(p.Endpoints, selectorNode))
	o.put(side+"CIDR", listNode(p.CIDRs, stringerNode[netip.Prefix]))
	o.put(side+"CIDRSet", listNode(p.CIDRSets, func(c CIDRSet) *yaml.Node {
		return newObject().text("cidr", c.CIDR.String()).put("except", someNode(c.Except, stringerNode[netip.Prefix])).node
	}))
	o.put(side+"Entities", listNode(p.Entities, func(e Entity) *yaml.Node { return textNode(string(e)) }))
	o.put(side+"FQDNs", listNode(p.FQDNs, fqdnNode))
}

func selectorNode(s Selector) *yaml.Node { return s.node() }

func (s *Selector) node() *yaml.Node {
	return newObject().put("matchLabels", mapNode(s.Labels)).
		put("matchExpressions", someNode(s.Expressions, func(e Expression) *yaml.Node {
			return newObject().text("key", e.Key).text("operator", string(e.Operator)).put("values", someNode(e.Values, textNode)).node
		})).node
}

func fqdnNode(f FQDN) *yaml.Node {
	return newObject().text("matchName", f.Name).text("matchPattern", f.Pattern).node
}

func portRuleNode(r PortRule) *yaml.Node {
	o := newObject().put("ports", someNode(r.Ports, portNode)).put("serverNames", someNode(r.ServerNames, textNode))
	if r.Rules != nil {
		o.put("rules", r.Rules.node())
	}
	return o.node
}

func portNode(p Port) *yaml.Node {
	o := newObject()
	switch {
	case p.Name != "":
		o.text("port", p.Name)
	case p.Port != 0 || p.Protocol.hasPorts():
		o.text("port", decimal(p.Port))
	}
	if p.End > p.Port {
		o.put("endPort", intNode(p.End))
	}
	return o.text("protocol", string(p.Protocol)).node
}

func icmpNode(r ICMPRule) *yaml.Node {
	return newObject().put("fields", someNode(r.Fields, func(f ICMPField) *yaml.Node {
		family := "IPv4"
		if f.IPv6 {
			family = "IPv6"
		}
		return newObject().text("family", family).put("type", intNode(uint16(f.Type))).node
	})).node
}

func (r *L7Rules) node() *yaml.Node {
	return newObject().
		put("http", someNode(r.HTTP, func(h HTTPRule) *yaml.Node {
			return newObject().text("method", h.Method).text("path", h.Path).text("host", h.Host).
				put("headers", someNode(h.Headers, textNode)).
				put("headerMatches", someNode(h.HeaderMatches, func(m HeaderMatch) *yaml.Node {
					return newObject().text("name", m.Name).text("value", m.Value).node
				})).node
		})).
		put("dns", someNode(r.DNS, fqdnNode)).
		text("dnsRejectResponseCode", string(r.Reject)).
		put("kafka", someNode(r.Kafka, func(k KafkaRule) *yaml.Node {
			return newObject().text("role", k.Role).text("apiKey", k.APIKey).text("apiVersion", k.APIVersion).
				text("clientID", k.ClientID).text("topic", k.Topic).node
		})).
		put("grpc", someNode(r.GRPC, func(g GRPCRule) *yaml.Node {
			return newObject().text("service", g.Service).text("method", g.Method).node
		})).
		text("l7proto", r.L7Proto).
		put("l7", someNode(r.L7, func(m map[string]string) *yaml.Node {
			if n := mapNode(m); n != nil {
				return n
			}
			return newObject().node
		})).node
}

// A section is one of a Spec's four lists of rules.
type section struct {
	name      string
	direction Direction
	deny      bool
	rules     []RuleSpec
}

func (s *Spec) sections() []section {
	return []section{
		{"ingress", Ingress, false, s.Ingress},
		{"ingressDeny", Ingress, true, s.IngressDeny},
		{"egress", Egress, false, s.Egress},
		{"egressDeny", Egress, true, s.EgressDeny},
	}
}
