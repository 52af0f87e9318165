package enforce

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// applied is a plan with what is needed to say what came of it.
type applied struct {
	plan      *kernel.Plan
	policies  []*policy.Policy
	workloads []policy.Workload
	rules     map[uint32]policy.Rule // by the kernel's number
	postures  map[*policy.Policy]*policy.Tables
	before    *applied // its rules spoke until a moment ago
}

// same tells whether the kernel holds just that.
func (a *applied) same(o *applied) bool {
	return a != nil && reflect.DeepEqual(a.plan, o.plan)
}

// rule is what the kernel's number stands for.
func (a *applied) rule(number uint32) policy.Rule {
	if r, ok := a.rules[number]; ok || a.before == nil {
		return r
	}
	return a.before.rules[number]
}

// policies reads the policies of a revision, each in its mode.
func (m *Manager) policies(stored []Stored) ([]*policy.Policy, error) {
	out := make([]*policy.Policy, 0, len(stored))
	for i := range stored {
		s := &stored[i]
		if _, ok := m.texts[s.Source]; !ok {
			text, err := m.store.source(s.Source)
			if err != nil {
				return nil, fmt.Errorf("policy %q: %w", s.Name, err)
			}
			all, problems := policy.Parse(s.File, text)
			if err := problems.Err(); err != nil {
				return nil, err
			}
			m.texts[s.Source] = all
		}
		at := slices.IndexFunc(m.texts[s.Source], func(p *policy.Policy) bool { return p.String() == s.Name && p.Kind == s.Kind })
		if at < 0 {
			return nil, fmt.Errorf("policy %q: it is not in the text that was kept", s.Name)
		}
		out = append(out, InMode(m.texts[s.Source][at], s.Mode))
	}
	return out, nil
}

// InMode is a policy with all of it in one mode. p stays as it is.
func InMode(p *policy.Policy, mode policy.Mode) *policy.Policy {
	c := *p
	c.Specs = slices.Clone(p.Specs)
	for i := range c.Specs {
		c.Specs[i].Mode = mode
	}
	if p.Guard != nil {
		g := *p.Guard
		g.Mode = mode
		c.Guard = &g
	}
	return &c
}

// plan compiles policies for the workloads of this moment.
func (m *Manager) plan(policies []*policy.Policy) (*applied, policy.Problems) {
	a := &applied{policies: policies, plan: &kernel.Plan{
		Containers: map[string]uint64{}, OwnNetwork: map[uint64]bool{}, HoldOrphans: m.cfg.HoldOrphans,
	}}
	live, coming := m.cfg.Workloads.Roster()
	for _, w := range live {
		// One without a name waits: whose rules it has is not known.
		if w.Pending && w.Container != "" {
			continue
		}
		a.workloads = append(a.workloads, policy.FromFlow(w))
		if m.cfg.Workloads.OwnNetwork(w) {
			a.plan.OwnNetwork[w.CgroupID] = true
		}
	}
	for _, w := range coming {
		c := policy.FromFlow(w)
		c.Cgroup, c.Addrs = comingKey(w.Container), nil // which it had, another may have by now
		a.workloads = append(a.workloads, c)
		a.plan.Containers[w.Container] = c.Cgroup
	}
	slices.SortFunc(a.workloads, func(x, y policy.Workload) int { return cmp.Compare(x.Cgroup, y.Cgroup) })
	tables, problems := policy.Compile(policies, a.workloads, policy.Limits{})
	problems = append(problems, m.nameRules(policies)...)
	if problems.Err() != nil {
		return nil, problems
	}
	a.plan.Tables, a.plan.Hold = tables, concernsContainers(policies)
	a.rules = make(map[uint32]policy.Rule, len(tables.Rules))
	for _, r := range tables.Rules {
		a.rules[kernel.RuleNumber(r)] = r
	}
	a.postures = make(map[*policy.Policy]*policy.Tables, len(policies))
	return a, problems
}

// comingKey stands for the cgroup of a container that has none yet. The kernel's
// ids are far below.
func comingKey(container string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(container)) // never fails
	return h.Sum64() | 1<<63
}

// concernsContainers tells whether it matters who a new container is.
func concernsContainers(policies []*policy.Policy) bool {
	return slices.ContainsFunc(policies, func(p *policy.Policy) bool {
		return p.Guard != nil || slices.ContainsFunc(p.Specs, func(s policy.Spec) bool { return s.Endpoints != nil })
	})
}

// nameRules tells of rules of DNS names where the kernel's side has none.
func (m *Manager) nameRules(policies []*policy.Policy) (out policy.Problems) {
	if m.kernel != nil && m.kernel.EnforcesNames() {
		return nil
	}
	for _, p := range policies {
		if at, mode, ok := firstName(p); ok {
			one := policy.Problem{Severity: policy.Warning, Pos: at, Policy: p.String(), Text: "not enforceable yet: names, in toFQDNs and in dns rules"}
			if mode == policy.ModeEnforce {
				one.Severity = policy.Error
			}
			out = append(out, one)
		}
	}
	return out
}

func firstName(p *policy.Policy) (policy.Pos, policy.Mode, bool) {
	if g := p.Guard; g != nil && (len(g.To.FQDNs) > 0 || slices.ContainsFunc(g.Ports, asksNames)) {
		return g.Pos, g.Mode, true
	}
	for i := range p.Specs {
		for _, rules := range [][]policy.RuleSpec{p.Specs[i].Egress, p.Specs[i].EgressDeny} {
			for j := range rules {
				if len(rules[j].Peers.FQDNs) > 0 || slices.ContainsFunc(rules[j].Ports, asksNames) {
					return rules[j].Pos, p.Specs[i].Mode, true
				}
			}
		}
	}
	return policy.Pos{}, "", false
}

func asksNames(r policy.PortRule) bool { return r.Rules != nil && len(r.Rules.DNS) > 0 }

// selecting gives the policies that put a workload into default deny.
func (a *applied) selecting(w *flow.Workload, d policy.Direction, denied bool) (out []*policy.Policy) {
	for _, p := range a.policies {
		t, ok := a.postures[p]
		if !ok {
			t, _ = policy.Compile([]*policy.Policy{p}, a.workloads, policy.Limits{})
			a.postures[p] = t
		}
		if t == nil {
			continue
		}
		e, ok := t.Workloads[w.CgroupID]
		if !ok {
			continue
		}
		posture := t.Sets[e.Set].Ingress
		if d == policy.Egress {
			posture = t.Sets[e.Set].Egress
		}
		if denied && posture.Enforce || !denied && posture.Audit {
			out = append(out, p)
		}
	}
	return out
}
