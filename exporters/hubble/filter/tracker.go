package filter

import (
	"fmt"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
)

// tracker collects the flags of one list. A flag such as --pod is about either
// end of a flow: it goes into left for the source and into right for the
// destination, and the list holds both. A flag about the whole flow or one
// named end goes into both alike; where they are equal in the end, one stays.
type tracker struct {
	left, right *flowpb.FlowFilter
	// Namespaces and containers narrow the pods, services and labels that other
	// flags name, in whatever order they come: they are applied last.
	namespaces, containers scope
	changed                []string
}

// scope is what was given for either end, for the source and the destination.
type scope struct{ any, from, to []string }

func (s *scope) empty() bool { return len(s.any)+len(s.from)+len(s.to) == 0 }

func newTracker() *tracker {
	return &tracker{left: &flowpb.FlowFilter{}, right: &flowpb.FlowFilter{}}
}

// both changes the filters of either end alike.
func (t *tracker) both(update func(*flowpb.FlowFilter)) {
	update(t.left)
	update(t.right)
}

// list is the tracker's filters. It is called once.
func (t *tracker) list() ([]*flowpb.FlowFilter, error) {
	if t == nil || len(t.changed) == 0 {
		return nil, nil
	}
	if err := t.checkNamespaces(); err != nil {
		return nil, err
	}
	if !t.namespaces.empty() {
		ns := t.namespaces
		t.both(func(f *flowpb.FlowFilter) {
			inNamespaces(&f.DestinationPod, &f.DestinationService, ns.to)
			inNamespaces(&f.SourcePod, &f.SourceService, ns.from)
		})
		inNamespaces(&t.left.SourcePod, &t.left.SourceService, ns.any)
		inNamespaces(&t.right.DestinationPod, &t.right.DestinationService, ns.any)
	}
	if !t.containers.empty() {
		c := t.containers
		t.both(func(f *flowpb.FlowFilter) {
			f.DestinationLabel = inContainers(f.DestinationLabel, c.to)
			f.SourceLabel = inContainers(f.SourceLabel, c.from)
		})
		t.left.SourceLabel = inContainers(t.left.SourceLabel, c.any)
		t.right.DestinationLabel = inContainers(t.right.DestinationLabel, c.any)
	}
	if proto.Equal(t.left, t.right) {
		return []*flowpb.FlowFilter{t.left}, nil
	}
	return []*flowpb.FlowFilter{t.left, t.right}, nil
}

// inNamespaces puts the namespaces before the names that have none; where there
// are no names, any pod of the namespaces is meant.
func inNamespaces(pods, services *[]string, namespaces []string) {
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

// inContainers adds the selectors of containers to every label selector: a
// field's values are alternatives, different flags are conditions.
func inContainers(selectors, containers []string) []string {
	if len(containers) == 0 {
		return selectors
	}
	if len(selectors) == 0 {
		return containers
	}
	var out []string
	for _, s := range selectors {
		for _, c := range containers {
			out = append(out, s+","+c)
		}
	}
	return out
}

// checkNamespaces refuses what can match nothing: a pod of one namespace
// together with another namespace, or with a service in another.
func (t *tracker) checkNamespaces() error {
	for _, f := range []*flowpb.FlowFilter{t.left, t.right} {
		for _, side := range []struct{ pods, services, namespaces []string }{
			{f.SourcePod, f.SourceService, slices.Concat(t.namespaces.any, t.namespaces.from)},
			{f.DestinationPod, f.DestinationService, slices.Concat(t.namespaces.any, t.namespaces.to)},
		} {
			for _, name := range slices.Concat(side.pods, side.services) {
				ns, _, _ := strings.Cut(name, "/")
				if strings.Contains(name, "/") && ns != "" && len(side.namespaces) > 0 && !slices.Contains(side.namespaces, ns) {
					return fmt.Errorf("namespace conflict: %q is in none of the namespaces %s", name, strings.Join(side.namespaces, ", "))
				}
			}
			for _, pod := range side.pods {
				ns, _, slash := strings.Cut(pod, "/")
				if !slash || ns == "" {
					continue
				}
				for _, svc := range side.services {
					if sns, _, _ := strings.Cut(svc, "/"); sns != ns {
						return fmt.Errorf("namespace conflict: service %q and pod %q", svc, pod)
					}
				}
			}
		}
	}
	return nil
}

// conflicts are groups of flags of which a list can hold one only, although
// each may be given more than once: Hubble's, and those of the container flags.
var conflicts = [][]string{
	{"from-fqdn", "from-ip", "ip", "fqdn", "from-namespace", "namespace", "from-all-namespaces", "all-namespaces"},
	{"from-fqdn", "from-ip", "ip", "fqdn", "from-pod", "pod"},
	{"to-fqdn", "to-ip", "ip", "fqdn", "to-namespace", "namespace", "to-all-namespaces", "all-namespaces"},
	{"to-fqdn", "to-ip", "ip", "fqdn", "to-pod", "pod"},
	{"to-pod", "namespace", "all-namespaces"},
	{"from-pod", "namespace", "all-namespaces"},
	{"to-service", "namespace", "all-namespaces"},
	{"from-service", "namespace", "all-namespaces"},
	{"label", "from-label"},
	{"label", "to-label"},
	{"service", "from-service"},
	{"service", "to-service"},
	{"port", "to-port"},
	{"port", "from-port"},
	{"identity", "to-identity"},
	{"identity", "from-identity"},
	{"workload", "to-workload"},
	{"workload", "from-workload"},
	{"container", "from-container"},
	{"container", "to-container"},
	{"encrypted", "unencrypted"},
	{"reply", "not-reply"},
}

// touch notes that a flag was given, and refuses it where an earlier one
// excludes it.
func (t *tracker) touch(name string) error {
	for _, group := range conflicts {
		if !slices.Contains(group, name) {
			continue
		}
		for _, other := range t.changed {
			if other != name && slices.Contains(group, other) {
				return fmt.Errorf("filters --%s and --%s cannot be combined", other, name)
			}
		}
	}
	if !slices.Contains(t.changed, name) {
		t.changed = append(t.changed, name)
	}
	return nil
}
