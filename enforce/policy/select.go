package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed79351815/weir/collector/spelling"
)

// Sources of labels. A key without one is looked for in all of them.
const (
	sourceAny       = "any"
	sourceK8s       = "k8s"
	sourceContainer = "container"
	sourceSystemd   = "systemd"
	sourceReserved  = "reserved"
)

var sources = []string{sourceAny, sourceContainer, sourceK8s, sourceReserved, sourceSystemd}

// namespaceKey is how Cilium's selectors name a namespace. Here it also holds
// for namespaces that are none of Kubernetes.
const (
	namespaceKey       = "io.kubernetes.pod.namespace"
	namespaceLabels    = "io.cilium.k8s.namespace.labels."
	namespaceNameLabel = "kubernetes.io/metadata.name"
)

var refusedKeys = map[string]string{
	"io.cilium.k8s.policy.cluster":        "weir knows one host and no clusters",
	"io.cilium.k8s.policy.serviceaccount": "weir does not know service accounts",
}

// splitKey takes the source off a key: "k8s:app" is k8s and app, "app" is any.
func splitKey(s string) (source, key string) {
	if source, key, ok := strings.Cut(s, ":"); ok {
		return source, key
	}
	return sourceAny, s
}

func (d *decoder) selector(n *yaml.Node) *Selector {
	s := &Selector{Pos: d.pos(n)}
	d.object(n, "a selector", fields{
		"matchLabels":      func(v *yaml.Node) { s.Labels = d.matchLabels(v) },
		"matchExpressions": func(v *yaml.Node) { s.Expressions = list(d, v, "matchExpressions", d.expression) },
	}, nil)
	return s
}

func (d *decoder) matchLabels(n *yaml.Node) map[string]string {
	out := map[string]string{}
	pairs := d.mapping(n, "matchLabels")
	for i := 0; i+1 < len(pairs); i += 2 {
		key := d.key(pairs[i])
		value := d.text(pairs[i+1], fmt.Sprintf("label %q", pairs[i].Value))
		if key != "" {
			out[key] = value
		}
	}
	return out
}

func (d *decoder) expression(n *yaml.Node) Expression {
	var e Expression
	isObject := d.object(n, "an element of matchExpressions", fields{
		"key":      func(v *yaml.Node) { e.Key = d.key(v) },
		"operator": func(v *yaml.Node) { e.Operator = word(d, v, "operator", OpIn, OpNotIn, OpExists, OpDoesNotExist) },
		"values": func(v *yaml.Node) {
			e.Values = list(d, v, "values", func(c *yaml.Node) string { return d.text(c, "a value") })
		},
	}, nil)
	needs := e.Operator == OpIn || e.Operator == OpNotIn
	switch {
	case !isObject:
	case e.Key == "" || e.Operator == "":
		d.errorf(n, "a match expression needs a key and an operator")
	case needs && len(e.Values) == 0:
		d.errorf(n, "operator %s needs values", e.Operator)
	case !needs && len(e.Values) > 0:
		d.errorf(n, "operator %s has no values", e.Operator)
	}
	return e
}

// key reads a label's key. A namespace's name comes out as namespaceKey, however
// it was written.
func (d *decoder) key(n *yaml.Node) string {
	s := d.text(n, "a label's key")
	source, key := splitKey(s)
	switch {
	case s == "":
	case key == "":
		d.errorf(n, "label %q has no key", s)
	case !slices.Contains(sources, source):
		d.errorf(n, "unknown source %q of label %q%s", source, s, orElse(spelling.DidYouMean(source, sources, ""),
			"; a label whose key has a colon is written with its source: \"container:"+s+"\""))
	case refusedKeys[key] != "":
		d.errorf(n, "unsupported label %q: %s", key, refusedKeys[key])
	case strings.HasPrefix(key, namespaceLabels):
		if strings.TrimPrefix(key, namespaceLabels) == namespaceNameLabel {
			return sourceK8s + ":" + namespaceKey
		}
		d.errorf(n, "unsupported label %q: of a namespace weir knows its name alone, %s", key, namespaceNameLabel)
	default:
		return s
	}
	return ""
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// A matcher is a selector, ready to be compared with many workloads.
type matcher struct {
	requirements []requirement
	namespace    string // empty: any
	host         bool   // may match what runs on the host itself
	nodes        bool   // matches nothing else
	reserved     bool   // may match peers that are no workloads
}

type requirement struct {
	source, key string
	operator    Operator
	values      []string
}

// newMatcher makes the matcher of a selector in a policy of a namespace. A
// selector that names a namespace itself, or something reserved, is not bound to
// the policy's, as in Cilium.
func newMatcher(s *Selector, namespace string) matcher {
	m := matcher{namespace: namespace}
	add := func(key string, op Operator, values []string) {
		r := requirement{operator: op, values: values}
		r.source, r.key = splitKey(key)
		m.requirements = append(m.requirements, r)
		m.host = m.host || r.source == sourceReserved || r.source == sourceSystemd
		m.reserved = m.reserved || r.source == sourceReserved
		if m.reserved || r.key == namespaceKey {
			m.namespace = ""
		}
	}
	for _, k := range keys(s.Labels) {
		add(k, OpIn, []string{s.Labels[k]})
	}
	for _, e := range s.Expressions {
		add(e.Key, e.Operator, e.Values)
	}
	return m
}

// subjectMatcher makes the matcher of a Spec's own selector. Unlike a peer's it
// never reaches out of its namespace. ok is false where there is none.
func subjectMatcher(s *Spec, namespace string) (m matcher, ok bool) {
	switch {
	case s.Nodes != nil:
		m = newMatcher(s.Nodes, "")
		m.host, m.nodes = true, true
	case s.Endpoints != nil:
		m = newMatcher(s.Endpoints, namespace)
		m.namespace = namespace
	default:
		return m, false
	}
	return m, true
}

// matches tells whether a workload is selected.
func (m *matcher) matches(l *labels) bool {
	if (l.host && !m.host) || (m.nodes && !l.host) || (l.pseudo && !m.reserved) || (m.namespace != "" && m.namespace != l.namespace) {
		return false
	}
	for i := range m.requirements {
		if !m.requirements[i].holds(l) {
			return false
		}
	}
	return true
}

func (r *requirement) holds(l *labels) bool {
	switch r.operator {
	case OpIn:
		return l.has(r.source, r.key, r.values)
	case OpNotIn:
		return !l.has(r.source, r.key, r.values)
	case OpExists:
		return l.has(r.source, r.key, nil)
	case OpDoesNotExist:
		return !l.has(r.source, r.key, nil)
	}
	return false
}

// labels is what of a workload selectors are compared with.
type labels struct {
	namespace string
	host      bool                // runs on the host itself
	pseudo    bool                // no workload: the world, an unknown one
	values    map[string]string   // by "source:key"
	any       map[string][]string // by key, of all sources
}

func newLabels(namespace string, host bool, values map[string]string) *labels {
	l := &labels{namespace: namespace, host: host, values: values, any: map[string][]string{}}
	for _, k := range keys(values) {
		_, key := splitKey(k)
		l.any[key] = append(l.any[key], values[k])
	}
	// The namespace is what the runtime says, whatever labels a container has.
	delete(l.any, namespaceKey)
	if namespace != "" {
		l.any[namespaceKey] = []string{namespace}
	}
	return l
}

// has tells whether a label is there, with one of values unless that is nil. The
// namespace is a label wherever it comes from.
func (l *labels) has(source, key string, values []string) bool {
	if source == sourceAny || key == namespaceKey {
		found := l.any[key]
		return len(found) > 0 && (values == nil ||
			slices.ContainsFunc(found, func(v string) bool { return slices.Contains(values, v) }))
	}
	v, ok := l.values[source+":"+key]
	return ok && (values == nil || slices.Contains(values, v))
}

// String is the selector in few words, for telling people: "app=web,tier!=db".
func (s *Selector) String() string {
	var parts []string
	for _, k := range keys(s.Labels) {
		if v := s.Labels[k]; v != "" {
			parts = append(parts, k+"="+v)
		} else {
			parts = append(parts, k)
		}
	}
	for _, e := range s.Expressions {
		switch e.Operator {
		case OpIn:
			parts = append(parts, e.Key+" in ("+strings.Join(e.Values, ",")+")")
		case OpNotIn:
			parts = append(parts, e.Key+" not in ("+strings.Join(e.Values, ",")+")")
		case OpExists:
			parts = append(parts, e.Key+" exists")
		case OpDoesNotExist:
			parts = append(parts, e.Key+" does not exist")
		}
	}
	if parts == nil {
		return "every workload"
	}
	return strings.Join(parts, ",")
}
