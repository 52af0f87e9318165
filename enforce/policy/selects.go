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
		m, ok := subjectMatcher(&s, p.Namespace)
		return ok && m.matches(l)
	})
}
