package suggest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/internal/words"
	"github.com/seed79351815/weir/enforce/policy"
)

// Suggestion is a policy and what is to be known of it.
type Suggestion struct {
	Policy   *policy.Policy // in mode audit, with its evidence as comments
	Unproven []string       // what rules rest on little, a line each
	LeftOut  []string       // what was seen and no rule allows, a line each
}

// YAML is the policy as a file.
func (s *Suggestion) YAML() []byte { return policy.Marshal(s.Policy) }

// ErrUnknown says that the baseline has no such workload, ErrNoLabels that no
// label tells it from others, so that no policy can select it.
var (
	ErrUnknown  = errors.New("not in the baseline")
	ErrNoLabels = errors.New("no label names it for good, so that no policy can select it; what runs in a container or as a systemd service has such labels, a login session has none")
)

// suggester is one suggestion in the making.
type suggester struct {
	baseline *baseline.Baseline
	keys     []baseline.Key
	labels   map[baseline.Key]map[string]string
	out      *Suggestion
}

// For suggests a policy for a workload. It reads the baseline only. The error is
// ErrUnknown or ErrNoLabels.
func For(b *baseline.Baseline, k baseline.Key) (*Suggestion, error) {
	s := &suggester{baseline: b, keys: b.Keys(), labels: map[baseline.Key]map[string]string{}, out: &Suggestion{}}
	for _, o := range s.keys {
		s.labels[o] = labelsOf(b.Profiles[o])
	}
	p := b.Profiles[k]
	if p == nil {
		return nil, fmt.Errorf("workload %s: %w", words.Plain(k.String()), ErrUnknown)
	}
	sel, ok := s.selection(k)
	if !ok {
		return nil, fmt.Errorf("workload %s: %w", words.Plain(k.String()), ErrNoLabels)
	}
	selector := sel.selector
	spec := policy.Spec{
		Endpoints: &selector, Mode: policy.ModeAudit,
		Ingress: s.section(side{false, fold(p.Ingress, b.Host)}),
		Egress:  s.section(side{true, fold(p.Egress, b.Host)}),
	}
	s.out.Policy = &policy.Policy{
		Kind: policy.KindCilium, Name: nameOf(k), Namespace: namespaceOf(&spec), Specs: []policy.Spec{spec}, Comments: s.header(k, p, &sel),
	}
	return s.out, nil
}

// namespaceOf is the namespace that a policy in Kubernetes is put into. One whose
// peers are not all of Kubernetes is for this host alone, and for every namespace.
func namespaceOf(s *policy.Spec) string {
	for _, rules := range [...][]policy.RuleSpec{s.Ingress, s.Egress} {
		for i := range rules {
			for _, e := range rules[i].Peers.Endpoints {
				if e.Labels[namespaceLabel] == "" {
					return ""
				}
			}
		}
	}
	return s.Endpoints.Labels[namespaceLabel]
}

// nameOf makes an object's name of a key: RFC 1123's letters and dashes.
func nameOf(k baseline.Key) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '.':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, strings.ReplaceAll(k.String(), "/", "-"))
	name = strings.Trim(name[:min(len(name), 253)], "-.")
	if name == "" {
		return "workload"
	}
	return name
}

const maxHeader = 40 // lines about what is left out

func (s *suggester) header(k baseline.Key, p *baseline.Profile, sel *selection) (lines []string) {
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	line("What %s was seen to do, suggested by weir.", words.Plain(k.String()))
	c := s.baseline.Completeness()
	if c.Windows > 0 {
		line("Learned in %s, %s. The workload was seen %s.", words.Plural(uint64(c.Windows), "window"), baseline.Span(c.Learned), words.Span(p.First, p.Last))
	}
	for _, gap := range c.Gaps() {
		line("not proven complete: %s", words.Plain(gap))
		s.out.Unproven = append(s.out.Unproven, "the policy as a whole: "+words.Plain(gap))
	}
	for _, o := range sel.also {
		line("not proven: the selector also selects %s", words.Plain(o.String()))
		s.out.Unproven = append(s.out.Unproven, "the selector: it also selects "+words.Plain(o.String()))
	}
	if sel.brief {
		line("not proven: the selector is the container's id, which is another when it is made again")
		s.out.Unproven = append(s.out.Unproven, "the selector: it is the container's id")
	}
	for i, l := range s.out.LeftOut {
		if i == maxHeader {
			line("left out: %d more", len(s.out.LeftOut)-i)
			break
		}
		line("left out: %s", l)
	}
	return lines
}
