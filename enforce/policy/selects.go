package policy

import "slices"

// Selects tells whether a policy is about a workload: whether one of its Specs
// selects it, or a Guard lets it through.
func Selects(p *Policy, w *Workload) bool {
	l := newLabels(w.Namespace, w.Host, w.Labels)
	if p.Guard != nil {
		return slices.ContainsFunc(p.Guard.AllowedFrom, func(s Selector) bool {
			m := newMatcher(&s, p.Namespace)
			return m.matches(l)
		})
	}
	return slices.ContainsFunc(p.Specs, func(s Spec) bool {
		if s.Nodes != nil {
			m := newMatcher(s.Nodes, "")
			return w.Host && m.matches(l)
		}
		if s.Endpoints == nil {
			return false
		}
		m := newMatcher(s.Endpoints, p.Namespace)
		m.namespace = p.Namespace // it never reaches out of its namespace
		return m.matches(l)
	})
}
