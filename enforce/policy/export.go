package policy

import (
	"fmt"

	"github.com/seed79351815/weir/collector/spelling"
)

// Format is a format that policies are exported to.
type Format string

// The formats of other programs. What they cannot say is an error, never left out.
const (
	FormatCilium     Format = "cilium"
	FormatKubernetes Format = "k8s"
)

// Export writes policies for Cilium or Kubernetes to take as they are. The text
// is nil where a problem is an Error: there is no export of a part. What changes
// its meaning there, such as the mode, is a warning and a comment in the text.
func Export(policies []*Policy, f Format) ([]byte, Problems) {
	e := &exporter{}
	var out []byte
	for _, p := range policies {
		e.policy = p
		if p.Guard != nil {
			e.refuse(p.Pos, "a Guard speaks of everyone on a host: no policy of %s can", f)
			continue
		}
		var text []byte
		switch f {
		case FormatCilium:
			text = e.cilium()
		case FormatKubernetes:
			text = e.kubernetes()
		default:
			return nil, Problems{{Severity: Error, Text: fmt.Sprintf("unknown format %q%s", f,
				orElse(spelling.DidYouMean(string(f), []string{"cilium", "k8s"}, ""), "; it is cilium or k8s"))}}
		}
		if len(out) > 0 {
			out = append(out, "---\n"...)
		}
		out = append(out, text...)
	}
	e.problems.sort()
	if e.problems.Err() != nil {
		return nil, e.problems
	}
	return out, e.problems
}

type exporter struct {
	policy   *Policy
	problems Problems
}

func (e *exporter) refuse(at Pos, format string, args ...any) {
	e.problems = append(e.problems, Problem{Severity: Error, Pos: at, Policy: e.policy.String(), Text: fmt.Sprintf(format, args...)})
}

func (e *exporter) warn(at Pos, format string, args ...any) {
	e.problems = append(e.problems, Problem{Severity: Warning, Pos: at, Policy: e.policy.String(), Text: fmt.Sprintf(format, args...)})
}

// enforced says that the other program has no audit mode.
func (e *exporter) enforced(comments []string) []string {
	for i := range e.policy.Specs {
		if s := &e.policy.Specs[i]; s.Mode != ModeEnforce {
			e.warn(s.Pos, "mode audit is lost: what is exported is enforced")
			return append(comments[:len(comments):len(comments)], "In weir this policy is in mode audit; here it is enforced.")
		}
	}
	return comments
}

// ciliumPorts is the most that Cilium takes in one element of toPorts.
const ciliumPorts = 40

func (e *exporter) cilium() []byte {
	p := *e.policy
	p.Kind = KindCilium
	if p.Namespace == "" {
		p.Kind = KindCiliumClusterwide
	}
	p.Comments = e.enforced(p.Comments)
	p.Specs = append([]Spec(nil), p.Specs...)
	for i := range p.Specs {
		s := &p.Specs[i]
		s.Mode = ""
		for _, one := range []*Selector{s.Endpoints, s.Nodes} {
			if one != nil {
				e.ciliumSelector(one, s.Pos)
			}
		}
		for _, section := range []*[]RuleSpec{&s.Ingress, &s.IngressDeny, &s.Egress, &s.EgressDeny} {
			rules := append([]RuleSpec(nil), *section...)
			for j := range rules {
				e.ciliumRule(&rules[j], section == &s.IngressDeny || section == &s.EgressDeny)
			}
			*section = rules
		}
	}
	return Marshal(&p)
}

func (e *exporter) ciliumSelector(s *Selector, at Pos) {
	check := func(key string) {
		if source, _ := splitKey(key); source == sourceSystemd {
			e.refuse(at, "label %q: Cilium knows no systemd units", key)
		}
	}
	for k := range s.Labels {
		check(k)
	}
	for _, x := range s.Expressions {
		check(x.Key)
	}
}

func (e *exporter) ciliumRule(r *RuleSpec, deny bool) {
	for i := range r.Peers.Endpoints {
		e.ciliumSelector(&r.Peers.Endpoints[i], r.Pos)
	}
	if deny && len(r.Peers.FQDNs) > 0 {
		e.refuse(r.Pos, "toFQDNs in a denial: Cilium has none")
	}
	if r.Peers.FQDNs != nil && len(r.Peers.FQDNs) == 0 {
		e.refuse(r.Pos, "an empty toFQDNs is nobody here and everybody in Cilium")
	}
	var ports []PortRule
	for _, one := range r.Ports {
		if one.Rules != nil && one.Rules.Reject != RejectDrop {
			e.warn(one.Pos, "dnsRejectResponseCode: Cilium has it for the whole agent (dnsProxy.dnsRejectResponseCode: %s)", one.Rules.Reject)
			rules := *one.Rules
			rules.Reject, one.Rules = RejectDrop, &rules
		}
		if one.Rules != nil {
			switch {
			case deny:
				e.refuse(one.Pos, "rules in a denial: Cilium has none")
			case len(one.Rules.HTTP)+len(one.Rules.DNS) == 0:
				e.refuse(one.Pos, "%s rules: Cilium has none", one.Rules.protocol())
			}
		}
		for _, p := range one.Ports {
			if !p.Protocol.hasPorts() {
				e.warn(one.Pos, "protocol %s: Cilium takes it with --enable-extended-ip-protocols only", p.Protocol)
			}
		}
		for len(one.Ports) > ciliumPorts {
			part := one
			part.Ports, one.Ports = one.Ports[:ciliumPorts], one.Ports[ciliumPorts:]
			ports = append(ports, part)
		}
		ports = append(ports, one)
	}
	r.Ports = ports
}

// plainKey takes the source off a key that Kubernetes could have.
func (e *exporter) plainKey(key string, at Pos) string {
	source, plain := splitKey(key)
	if source != sourceAny && source != sourceK8s {
		e.refuse(at, "label %q: Kubernetes knows the labels of pods alone", key)
	}
	return plain
}
