package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed79351815/weir/collector/spelling"
)

// ReadFile reads the policies of a file; see Parse.
func ReadFile(path string) ([]*Policy, Problems) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unread(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unread(path, err)
	}
	return Parse(path, data)
}

func unread(path string, err error) Problems {
	return Problems{{Severity: Error, Pos: Pos{File: path}, Text: cause(err), Unread: true}}
}

// cause leaves out the path, which the problem has already.
func cause(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Op + ": " + p.Err.Error()
	}
	return err.Error()
}

// ReadAll reads files, and those in directories that end in .yaml, .yml or
// .json, in order of name. Directories below are not read.
func ReadAll(paths ...string) ([]*Policy, Problems) {
	var all []*Policy
	var problems Problems
	for _, path := range paths {
		files := []string{path}
		if entries, err := os.ReadDir(path); err == nil {
			files = nil
			for _, e := range entries {
				if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml" || ext == ".json") {
					files = append(files, filepath.Join(path, e.Name()))
				}
			}
		}
		for _, f := range files {
			ps, found := ReadFile(f)
			all, problems = append(all, ps...), append(problems, found...)
		}
	}
	for _, p := range twice(all) {
		if !slices.Contains(problems, p) { // its file may have said so
			problems = append(problems, p)
		}
	}
	return all, problems
}

// twice finds policies of one kind and name.
func twice(all []*Policy) (problems Problems) {
	first := map[string]*Policy{}
	for _, p := range all {
		key := string(p.Kind) + " " + p.String()
		if f, ok := first[key]; ok {
			problems = append(problems, Problem{Severity: Error, Pos: p.Pos, Policy: p.String(),
				Text: fmt.Sprintf("%s %q is there twice, first in %s", p.Kind, p, f.Pos)})
			continue
		}
		first[key] = p
	}
	return problems
}

// Parse reads a file of YAML documents, each a policy or a Kubernetes List of
// them. name is for errors. The policies are only of use where problems.Err()
// is nil; all problems are told, up to a bound.
func Parse(name string, data []byte) ([]*Policy, Problems) {
	d := &decoder{file: name}
	top := &yaml.Node{Line: 1, Column: 1}
	if len(data) > maxFile {
		d.stop(top, fmt.Sprintf("the file is larger than %d bytes", maxFile))
		return nil, d.problems
	}
	var all []*Policy
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for !d.stopped {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			line, text := syntax(err)
			d.stop(&yaml.Node{Line: line, Column: 1}, text)
			break
		}
		root := doc.Content[0]
		if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
			continue // an empty document, or one of comments
		}
		all = append(all, d.document(root, true)...)
	}
	d.problems = append(d.problems, twice(all)...)
	d.problems.sort()
	return all, d.problems
}

// syntax takes the line out of yaml's text, which is all it gives.
func syntax(err error) (line int, text string) {
	text, line = strings.TrimPrefix(err.Error(), "yaml: "), 1
	if _, e := fmt.Sscanf(text, "line %d:", &line); e == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	return line, text
}

// apiVersions are those that each kind is read in.
var apiVersions = map[Kind]string{
	KindCilium:            "cilium.io/v2",
	KindCiliumClusterwide: "cilium.io/v2",
	KindKubernetes:        "networking.k8s.io/v1",
	KindGuard:             "weir.dev/v1alpha1",
}

func (d *decoder) document(n *yaml.Node, mayList bool) []*Policy {
	kind, version := d.child(n, "kind"), d.child(n, "apiVersion")
	if kind == nil {
		d.errorf(n, "no kind: a policy begins with apiVersion and kind")
		return nil
	}
	if kind.Value == "List" && mayList {
		var all []*Policy
		d.object(n, "a List", fields{"apiVersion": ignore, "kind": ignore, "metadata": ignore, "items": func(v *yaml.Node) {
			for _, ps := range list(d, v, "items", func(c *yaml.Node) []*Policy { return d.document(c, false) }) {
				all = append(all, ps...)
			}
		}}, nil)
		return all
	}
	want, ok := apiVersions[Kind(kind.Value)]
	if !ok {
		d.errorf(kind, "unknown kind %q%s", kind.Value, spelling.DidYouMean(kind.Value,
			[]string{string(KindCilium), string(KindCiliumClusterwide), string(KindKubernetes), string(KindGuard)}, ""))
		return nil
	}
	if version == nil {
		d.errorf(n, "no apiVersion: a %s has %q", kind.Value, want)
	} else if version.Value != want {
		d.errorf(version, "unknown apiVersion %q: a %s is read as %q", version.Value, kind.Value, want)
	}
	p := d.policy(n, Kind(kind.Value))
	if p == nil {
		return nil
	}
	return []*Policy{p}
}

// child finds a field's value before the object is read; nil without one.
func (d *decoder) child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && n.Content[i+1].Kind == yaml.ScalarNode {
			return n.Content[i+1]
		}
	}
	return nil
}

func ignore(*yaml.Node) {}

func (d *decoder) policy(n *yaml.Node, kind Kind) *Policy {
	p := &Policy{Kind: kind, Pos: d.pos(n)}
	spec, specs := 0, 0
	known := fields{"apiVersion": ignore, "kind": ignore, "status": ignore, "metadata": func(v *yaml.Node) { d.metadata(v, p) }}
	known["spec"] = func(v *yaml.Node) {
		spec++
		switch kind {
		case KindGuard:
			p.Guard = d.guard(v)
		case KindKubernetes:
			p.Specs = append(p.Specs, d.kubernetes(v))
		default:
			p.Specs = append(p.Specs, d.spec(v))
		}
	}
	if kind == KindCilium || kind == KindCiliumClusterwide {
		known["specs"] = func(v *yaml.Node) {
			specs++
			p.Specs = append(p.Specs, list(d, v, "specs", d.spec)...)
		}
	}
	if !d.object(n, "a policy", known, nil) {
		return nil
	}
	if spec == 0 && (specs == 0 || len(p.Specs) == 0) {
		d.errorf(n, "no spec")
	}
	if p.Name == "" {
		d.errorf(n, "no metadata.name")
	}
	d.settle(n, p)
	return p
}

// settle fills in what depends on the kind, and checks what goes together.
func (d *decoder) settle(n *yaml.Node, p *Policy) {
	switch {
	case p.Kind == KindKubernetes && p.Namespace == "":
		p.Namespace = "default"
	case p.Kind == KindCiliumClusterwide && p.Namespace != "":
		d.errorf(n, "a %s has no namespace", p.Kind)
	}
	for i := range p.Specs {
		s := &p.Specs[i]
		if s.Nodes != nil && p.Namespace != "" {
			d.errorf(n, "a policy with a namespace has no nodeSelector: the host is in none")
		}
		if s.Endpoints != nil {
			d.foreign(s.Endpoints, p.Namespace)
		}
		if m, ok := p.Annotations[modeAnnotation]; ok && p.Kind == KindKubernetes {
			p.Specs[i].Mode = Mode(m)
		}
	}
	for k, v := range p.Annotations {
		if k == modeAnnotation && (p.Kind != KindKubernetes || (v != string(ModeAudit) && v != string(ModeEnforce))) {
			d.errorf(n, "annotation %s is for a %s, and is %q or %q", modeAnnotation, KindKubernetes, ModeAudit, ModeEnforce)
		}
	}
}

// foreign finds a namespace in an endpointSelector that is not the policy's: it
// would select nothing.
func (d *decoder) foreign(s *Selector, namespace string) {
	for _, source := range []string{"", sourceK8s + ":", sourceAny + ":"} {
		if v, ok := s.Labels[source+namespaceKey]; ok && namespace != "" && v != namespace {
			d.errorf(&yaml.Node{Line: s.Pos.Line, Column: s.Pos.Col},
				"endpointSelector names namespace %q, but the policy is in namespace %q", v, namespace)
		}
	}
}

// modeAnnotation gives a NetworkPolicy its mode: its spec has no field for it.
const modeAnnotation = "weir.dev/mode"

// serverFields are made by an API server and say nothing about the policy.
var serverFields = []string{"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
	"deletionGracePeriodSeconds", "managedFields", "ownerReferences", "finalizers", "selfLink"}

var validName = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9._]{0,251}[a-zA-Z0-9])?$`).MatchString

func (d *decoder) metadata(n *yaml.Node, p *Policy) {
	name := func(to *string, what string) func(*yaml.Node) {
		return func(v *yaml.Node) {
			if *to = d.text(v, what); *to != "" && !validName(*to) {
				d.errorf(v, "%s %q: letters, digits, \"-\", \".\" and \"_\" are allowed, 253 at most", what, *to)
				*to = ""
			}
		}
	}
	known := fields{
		"name":        name(&p.Name, "name"),
		"namespace":   name(&p.Namespace, "namespace"),
		"labels":      func(v *yaml.Node) { p.Labels = d.labels(v, "label") },
		"annotations": func(v *yaml.Node) { p.Annotations = d.labels(v, "annotation") },
	}
	for _, f := range serverFields {
		known[f] = ignore
	}
	d.object(n, "metadata", known, map[string]string{"generateName": "a policy needs a name of its own"})
}

// String is "namespace/name", or the name alone.
func (p *Policy) String() string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}
