package policy

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Change is one difference between two lists of policies.
type Change struct {
	Kind   Kind
	Policy string // "namespace/name"
	What   string // what changed, in words; for a rule "egress: allow to …"
	Sign   byte   // '+' added, '-' removed, '~' changed
	Pos    Pos    // in the new file; in the old one for what was removed
}

func (c Change) String() string {
	return fmt.Sprintf("%c %s %s: %s", c.Sign, c.Kind, c.Policy, c.What)
}

// Diff tells what is different between two lists of policies in what they mean:
// comments and places do not count, nor does the order of rules. Changes are
// ordered by kind and name.
func Diff(before, after []*Policy) []Change {
	type pair struct{ a, b *Policy }
	all := map[string]*pair{}
	at := func(p *Policy) *pair {
		key := string(p.Kind) + " " + p.String()
		if all[key] == nil {
			all[key] = &pair{}
		}
		return all[key]
	}
	for _, p := range before {
		at(p).a = p
	}
	for _, p := range after {
		at(p).b = p
	}
	var out []Change
	for _, key := range keys(all) {
		switch p := all[key]; {
		case p.a == nil:
			out = append(out, Change{p.b.Kind, p.b.String(), "new policy", '+', p.b.Pos})
		case p.b == nil:
			out = append(out, Change{p.a.Kind, p.a.String(), "policy is gone", '-', p.a.Pos})
		default:
			out = append(out, diffPolicy(p.a, p.b)...)
		}
	}
	return out
}

// fact is one thing that a policy says.
type fact struct {
	words string
	pos   Pos
}

func diffPolicy(a, b *Policy) (out []Change) {
	old, now := facts(a), facts(b)
	add := func(sign byte, f fact) {
		out = append(out, Change{b.Kind, b.String(), f.words, sign, f.pos})
	}
	for _, k := range keys(old) {
		n, both := now[k]
		switch {
		case !both:
			add('-', old[k])
		case n.words != old[k].words:
			add('~', fact{old[k].words + " → " + n.words, n.pos})
		}
	}
	for _, k := range keys(now) {
		if _, both := old[k]; !both {
			add('+', now[k])
		}
	}
	return out
}

// facts gives what a policy says by keys that are the same where the same is
// meant. A rule's key is its own text, so that its order does not matter; a rule
// that is there twice says no more than one.
func facts(p *Policy) map[string]fact {
	out := map[string]fact{}
	if p.Guard != nil {
		return guardFacts(p.Guard)
	}
	for i := range p.Specs {
		s := &p.Specs[i]
		who := ""
		if len(p.Specs) > 1 {
			who = decimal(uint16(i)) + " "
		}
		out[who+"mode"] = fact{"mode " + string(s.Mode), s.Pos}
		if s.Endpoints != nil {
			out[who+"selector"] = fact{"selects " + s.Endpoints.String(), s.Pos}
		}
		if s.Nodes != nil {
			out[who+"selector"] = fact{"selects the host: " + s.Nodes.String(), s.Pos}
		}
		for _, section := range s.sections() {
			for j := range section.rules {
				r := section.rules[j]
				r.Comments = nil
				out[who+section.name+" "+text(r.node(section.direction))] = fact{section.name + ": " + r.describe(section.direction, section.deny), r.Pos}
			}
			if d := s.denies(section.direction); len(section.rules) > 0 {
				out[who+"default "+section.direction.String()] = fact{fmt.Sprintf("default deny of %s: %v", section.direction, d), s.Pos}
			}
		}
	}
	return out
}

// denies tells whether the Spec denies what its rules in a direction do not allow.
func (s *Spec) denies(d Direction) bool {
	chosen, rules := s.DefaultDeny.Ingress, len(s.Ingress)+len(s.IngressDeny)
	if d == Egress {
		chosen, rules = s.DefaultDeny.Egress, len(s.Egress)+len(s.EgressDeny)
	}
	return rules > 0 && (chosen == nil || *chosen)
}

func guardFacts(g *Guard) map[string]fact {
	out := map[string]fact{}
	out["mode"] = fact{"mode " + string(g.Mode), g.Pos}
	for i := range g.Ports {
		out["port "+text(portRuleNode(g.Ports[i]))] = fact{"toPorts:" + onPorts(g.Ports[i:i+1], nil), g.Ports[i].Pos}
	}
	for i := range g.AllowedFrom {
		out["from "+text(g.AllowedFrom[i].node())] = fact{"allowedFrom: " + g.AllowedFrom[i].String(), g.AllowedFrom[i].Pos}
	}
	if len(g.Ports) == 0 {
		out["every port"] = fact{"every port", g.Pos}
	}
	o := newObject()
	g.To.put(o, "to")
	out["to "+text(o.node)] = fact{"destination " + g.To.String(), g.Pos}
	return out
}

func text(n *yaml.Node) string { return strings.TrimSpace(string(encode(n))) }
