package suggest

import (
	"slices"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/policy"
)

// maxQuestions are the names of one rule. Who asks for more, asks for whatever comes.
const maxQuestions = 24

// anyQuestion is a rule for every name.
var anyQuestion = policy.FQDN{Pattern: "*"}

// isQuestion tells whether an operation is a question of those that a rule for DNS
// judges.
func isQuestion(o baseline.Operation) bool { return o.Protocol == flow.DNS && o.Port == dnsPort }

// questionsOf are the names that a peer was asked for, in order, and those that led to
// other peers: each where all of them are known and few, else every name.
func (s *suggester) questionsOf(d side, c *baseline.Contact) []policy.FQDN {
	var names []policy.FQDN
	for o := range c.Operations {
		if isQuestion(o) {
			names = append(names, question(o.Route))
		}
	}
	if names == nil || s.baseline.Missed[baseline.MissedOperations] > 0 {
		return []policy.FQDN{anyQuestion}
	}
	for p := range d.peers {
		if p.Kind == baseline.PeerName {
			names = append(names, question(p.Name))
		}
	}
	return questions(names)
}

// question is the rule for a name as the baseline has it. Those of addresses are one
// for each tree: which addresses are looked up depends on who comes by.
func question(name string) policy.FQDN {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for _, tree := range [...]string{".in-addr.arpa", ".ip6.arpa"} { // RFC 1035 §3.5, RFC 3596 §2.5
		if strings.HasSuffix(name, tree) {
			return policy.FQDN{Pattern: "**" + tree}
		}
	}
	if policy.IsName(name) {
		return policy.FQDN{Name: name}
	}
	return anyQuestion
}

// questions puts names into the form of a rule.
func questions(names []policy.FQDN) []policy.FQDN {
	slices.SortFunc(names, func(a, b policy.FQDN) int {
		return strings.Compare(a.Name+a.Pattern, b.Name+b.Pattern)
	})
	names = slices.Compact(names)
	if len(names) > maxQuestions || slices.Contains(names, anyQuestion) {
		return []policy.FQDN{anyQuestion}
	}
	return names
}

// alsoAsked lets a rule's peers be asked for another rule's names too.
func (r *rule) alsoAsked(o *rule) {
	if to, from := r.asking(), o.asking(); to != nil && from != nil {
		to.DNS = questions(slices.Concat(to.DNS, from.DNS))
	}
}

// asking is what a rule says of questions; nil where it says nothing.
func (r *rule) asking() *policy.L7Rules {
	for _, p := range r.ports {
		if p.Rules != nil {
			return p.Rules // portsOf makes no more than one
		}
	}
	return nil
}
