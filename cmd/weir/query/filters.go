package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Filters collects what the flags say, in their order. The zero value is ready.
type Filters struct {
	allow, deny side
	not         bool // the next flag goes to deny
	rawAllow    []*filter
	rawDeny     []*filter
}

// side is what is allowed, or denied. A flow matches if it matches left or right:
// --pod means the source in the one and the destination in the other.
type side struct {
	left, right      filter
	used             []string
	ns, fromNS, toNS []string
}

// value is one flag of Filters.
type value struct {
	set func(string) error
	typ string
}

func (v value) Set(s string) error { return v.set(s) }
func (v value) String() string     { return "" }
func (v value) Type() string       { return v.typ }

// Flags adds the filter flags to fs.
func (q *Filters) Flags(fs *pflag.FlagSet) {
	q.flag(fs, "not", "", "true", "turn the next filter round: --not --port 53", func(string) error {
		if q.not {
			return errors.New("two of them in a row")
		}
		q.not = true
		return nil
	})
	for _, f := range endFields() {
		q.flag(fs, f.name, f.short, "", "either end: "+f.usage, q.ends(f.name, f.from, f.to, true, true))
		q.flag(fs, "from-"+f.name, "", "", "source: "+f.usage, q.ends("from-"+f.name, f.from, f.to, true, false))
		q.flag(fs, "to-"+f.name, "", "", "destination: "+f.usage, q.ends("to-"+f.name, f.from, f.to, false, true))
	}
	const usage = "Kubernetes `namespace`, Compose project, Swarm stack or Nomad namespace"
	q.flag(fs, "namespace", "n", "", "either end: "+usage, q.namespace("namespace", func(s *side) *[]string { return &s.ns }))
	q.flag(fs, "from-namespace", "", "", "source: "+usage, q.namespace("from-namespace", func(s *side) *[]string { return &s.fromNS }))
	q.flag(fs, "to-namespace", "", "", "destination: "+usage, q.namespace("to-namespace", func(s *side) *[]string { return &s.toNS }))
	for _, f := range plainFields() {
		q.flag(fs, f.name, f.short, f.bare, f.usage, q.plain(f.name, f.set))
	}
	q.flag(fs, "allowlist", "", "", "Hubble's FlowFilter in `JSON`: flows that match one are shown", raw(&q.rawAllow))
	q.flag(fs, "denylist", "", "", "Hubble's FlowFilter in `JSON`: flows that match one are left out", raw(&q.rawDeny))
}

func (q *Filters) flag(fs *pflag.FlagSet, name, short, bare, usage string, set func(string) error) {
	typ := "string"
	if bare != "" {
		typ = "bool" // pflag's help shows no argument for it
	}
	fs.VarPF(value{set, typ}, name, short, usage).NoOptDefVal = bare
}

// turn is the side that the next flag goes to.
func (q *Filters) turn(name string) (*side, error) {
	s := &q.allow
	if q.not {
		s, q.not = &q.deny, false
	}
	s.used = append(s.used, name)
	return s, s.conflict(name)
}

func (q *Filters) ends(name string, from, to setter, source, destination bool) func(string) error {
	return func(v string) error {
		s, err := q.turn(name)
		switch {
		case err != nil:
			return err
		case source && destination:
			return errors.Join(from(&s.left, v), to(&s.right, v))
		case source:
			return errors.Join(from(&s.left, v), from(&s.right, v))
		}
		return errors.Join(to(&s.left, v), to(&s.right, v))
	}
}

func (q *Filters) plain(name string, set setter) func(string) error {
	return func(v string) error {
		s, err := q.turn(name)
		if err != nil {
			return err
		}
		return errors.Join(set(&s.left, v), set(&s.right, v))
	}
}

func (q *Filters) namespace(name string, list func(*side) *[]string) func(string) error {
	return func(v string) error {
		s, err := q.turn(name)
		if err != nil {
			return err
		}
		if v == "" || strings.Contains(v, "/") {
			return errors.New("expected a namespace")
		}
		p := list(s)
		*p = append(*p, v)
		return nil
	}
}

func raw(list *[]*filter) func(string) error {
	return func(v string) error {
		f := new(filter)
		if err := protojson.Unmarshal([]byte(v), f); err != nil {
			return fmt.Errorf("expected Hubble's FlowFilter in JSON: %w", err)
		}
		*list = append(*list, f)
		return nil
	}
}

// conflict finds flags that cannot both be meant: --ip with --from-ip, and
// --container with --label, which ask the same field.
func (s *side) conflict(name string) error {
	for _, other := range s.used {
		a, b := trimEnd(name), trimEnd(other)
		mixed := a == b && name != other && (a == name || b == other)
		labels := a != b && slices.Contains([]string{a, b}, containerFlag) && slices.Contains([]string{a, b}, labelFlag)
		if mixed || labels {
			return fmt.Errorf("cannot be combined with --%s", other)
		}
	}
	return nil
}

func trimEnd(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "from-"), "to-")
}

// Build gives the filters: a flow is shown when it matches one of allow, or there
// is none, and none of deny.
func (q *Filters) Build() (allow, deny []*flowpb.FlowFilter, err error) {
	if q.not {
		return nil, nil, errors.New("--not stands before no filter")
	}
	return append(q.allow.filters(), q.rawAllow...), append(q.deny.filters(), q.rawDeny...), nil
}

func (s *side) filters() []*filter {
	if len(s.used) == 0 {
		return nil
	}
	left, right := proto.Clone(&s.left).(*filter), proto.Clone(&s.right).(*filter)
	for _, f := range []*filter{left, right} {
		inNamespaces(s.fromNS, &f.SourcePod, &f.SourceService)
		inNamespaces(s.toNS, &f.DestinationPod, &f.DestinationService)
	}
	inNamespaces(s.ns, &left.SourcePod, &left.SourceService)
	inNamespaces(s.ns, &right.DestinationPod, &right.DestinationService)
	if proto.Equal(left, right) {
		return []*filter{left}
	}
	return []*filter{left, right}
}

// inNamespaces puts the namespaces before the names that have none. In Hubble's
// schema a namespace alone is the prefix of a pod: "shop/".
func inNamespaces(namespaces []string, pods, services *[]string) {
	if len(namespaces) == 0 {
		return
	}
	if len(*pods) == 0 && len(*services) == 0 {
		*pods = []string{""}
	}
	for _, list := range []*[]string{pods, services} {
		var out []string
		for _, name := range *list {
			if strings.Contains(name, "/") {
				out = append(out, name)
				continue
			}
			for _, ns := range namespaces {
				out = append(out, ns+"/"+name)
			}
		}
		*list = out
	}
}
