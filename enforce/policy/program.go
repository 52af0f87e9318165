package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A statement is one rule as Compile sees it: in one direction, for one set of
// peers, allow or deny.
type statement struct {
	id        RuleID
	policy    *Policy
	direction Direction
	deny      bool
	enforce   bool
	pos       Pos

	peers *Peers // nil: every peer
	local bool   // CIDRs are for local addresses too: a Guard's
	rest  bool   // whom the peers do not name: a Guard's denial at its destination
	l4    []l4
	named []Port
	asked []asked

	targets []target // what peers come to; see resolve.go
}

// l4 is a block of ports of a protocol; protocol 0 is everything.
type l4 struct {
	protocol uint8
	block
}

// asked are ports at which a statement speaks of questions of DNS, and of those for
// some names alone.
type asked struct {
	l4       []l4
	named    []Port
	patterns []string // in order, each once
	reject   Reject
}

// A subject is a Spec, ready to be given to the workloads that it selects.
type subject struct {
	policy     *Policy
	matcher    matcher
	pos        Pos
	statements []*statement
	posture    [2]Posture // by Direction
}

// A ward is a Guard, ready to be given to everyone.
type ward struct {
	policy      *Policy
	guard       *Guard
	allowedFrom []matcher
	deny, allow *statement // at whoever opens connections
	shut, open  *statement // at the destination, where it is a local workload
}

// A program is policies without workloads.
type program struct {
	subjects []*subject
	wards    []*ward
	rules    []Rule
	problems Problems
}

// newProgram takes the policies in an order of its own, so that theirs does not
// matter.
func newProgram(policies []*Policy) *program {
	p := &program{}
	for _, one := range slices.SortedStableFunc(slices.Values(policies), func(a, b *Policy) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	}) {
		if one.Guard != nil {
			p.guard(one)
		}
		for i := range one.Specs {
			p.spec(one, &one.Specs[i])
		}
	}
	return p
}

func (p *program) problem(s Severity, policy *Policy, at Pos, format string, args ...any) {
	p.problems = append(p.problems, Problem{Severity: s, Pos: at, Policy: policy.String(), Text: fmt.Sprintf(format, args...)})
}

func (p *program) spec(policy *Policy, s *Spec) {
	m, ok := subjectMatcher(s, policy.Namespace)
	if !ok {
		p.problem(Error, policy, s.Pos, "no endpointSelector")
		return
	}
	sub := &subject{policy: policy, matcher: m, pos: s.Pos}
	for _, section := range s.sections() {
		if len(section.rules) == 0 {
			continue
		}
		if s.denies(section.direction) {
			at := &sub.posture[section.direction]
			at.Audit, at.Enforce = true, at.Enforce || s.Mode == ModeEnforce
		}
		for i := range section.rules {
			sub.statements = append(sub.statements, p.rule(policy, s, section, i))
		}
	}
	p.subjects = append(p.subjects, sub)
}

func (p *program) rule(policy *Policy, s *Spec, section section, i int) *statement {
	r := &section.rules[i]
	st := &statement{
		policy: policy, direction: section.direction, deny: section.deny, enforce: s.Mode == ModeEnforce,
		peers: &r.Peers, pos: r.Pos,
	}
	st.id = p.add(Rule{
		Policy: policy.String(), Kind: policy.Kind, Mode: mode(st.enforce), Section: section.name, Index: i,
		Deny: section.deny, Description: r.describe(section.direction, section.deny), Pos: r.Pos,
	})
	if r.Peers.absent() {
		if len(r.Ports)+len(r.ICMPs) == 0 {
			return st // selects nothing: it is there for the posture alone
		}
		st.peers = nil
	}
	p.ports(st, r.Ports, r.ICMPs)
	return st
}

func (p *program) add(r Rule) RuleID {
	p.rules = append(p.rules, r)
	return RuleID(len(p.rules))
}

func mode(enforce bool) Mode {
	if enforce {
		return ModeEnforce
	}
	return ModeAudit
}

// ports fills in what of protocols and ports a statement is about.
func (p *program) ports(st *statement, ports []PortRule, icmps []ICMPRule) {
	if len(ports)+len(icmps) == 0 {
		st.l4 = []l4{{}}
	}
	for i := range ports {
		if p.requests(st, &ports[i]) {
			continue
		}
		to, named := &st.l4, &st.named
		if rules := ports[i].Rules; rules != nil && !rules.everyName() {
			st.asked = append(st.asked, asked{patterns: rules.patterns(), reject: rules.Reject})
			one := &st.asked[len(st.asked)-1]
			to, named = &one.l4, &one.named
		}
		for _, port := range ports[i].Ports {
			if port.Name != "" {
				*named = append(*named, port)
				continue
			}
			*to = append(*to, port.l4(0)...)
		}
	}
	for _, r := range icmps {
		for _, f := range r.Fields {
			number := protocolICMP
			if f.IPv6 {
				number = protocolICMPv6
			}
			st.l4 = append(st.l4, l4{number, block{uint16(f.Type), 16}})
		}
	}
}

// l4 is what a port covers; a named one has the number given.
func (p Port) l4(named uint16) (out []l4) {
	for _, number := range p.Protocol.numbers() {
		for _, b := range p.blocks(named) {
			out = append(out, l4{number, b})
		}
	}
	return out
}

// requests tells of rules for requests that are not judged yet, and whether the
// ports must be left out for them: a denial of some requests would become one of
// all.
func (p *program) requests(st *statement, r *PortRule) (leaveOut bool) {
	severity := Warning
	if st.enforce {
		severity = Error
	}
	if len(r.ServerNames) > 0 {
		p.problem(severity, st.policy, r.Pos, "not enforceable yet: serverNames")
		leaveOut = st.deny
	}
	if r.Rules != nil && len(r.Rules.DNS) == 0 {
		p.problem(severity, st.policy, r.Pos, "not enforceable yet: %s rules", r.Rules.protocol())
		leaveOut = st.deny
	}
	return leaveOut
}

// everyName tells whether the rules leave no question of DNS out. Rules of other
// protocols do not speak of any.
func (r *L7Rules) everyName() bool {
	return len(r.DNS) == 0 || slices.ContainsFunc(r.DNS, func(f FQDN) bool { return f.Pattern != "" && strings.Trim(f.Pattern, "*") == "" })
}

// patterns are those of the dns rules, in order, each once.
func (r *L7Rules) patterns() []string {
	out := make([]string, len(r.DNS))
	for i, f := range r.DNS {
		out[i] = f.pattern()
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (p *program) guard(policy *Policy) {
	g := policy.Guard
	w := &ward{policy: policy, guard: g}
	for i := range g.AllowedFrom {
		w.allowedFrom = append(w.allowedFrom, newMatcher(&g.AllowedFrom[i], policy.Namespace))
	}
	enforce := g.Mode == ModeEnforce
	what := g.describe()
	info := Rule{Policy: policy.String(), Kind: policy.Kind, Mode: mode(enforce), Section: "guard", Pos: g.Pos}
	info.Deny, info.Description = true, "deny everyone else to "+what
	deny := p.add(info)
	info.Index, info.Deny, info.Description = 1, false, "allow allowedFrom to "+what
	allow := p.add(info)

	base := statement{policy: policy, enforce: enforce, pos: g.Pos, peers: &g.To, local: true, direction: Egress}
	p.ports(&base, g.Ports, nil)
	as := func(id RuleID, isDeny bool, direction Direction) *statement {
		st := base
		st.id, st.deny, st.direction = id, isDeny, direction
		if direction == Ingress {
			st.asked = nil // questions are judged where they are asked
		}
		return &st
	}
	w.deny, w.allow = as(deny, true, Egress), as(allow, false, Egress)
	w.shut, w.open = as(deny, true, Ingress), as(allow, false, Ingress)
	from := &Peers{Endpoints: g.AllowedFrom}
	if from.Endpoints == nil {
		from.Endpoints = []Selector{}
	}
	w.open.peers, w.open.local = from, false
	w.shut.peers, w.shut.local, w.shut.rest = from, false, true
	p.wards = append(p.wards, w)
}
