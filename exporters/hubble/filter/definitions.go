package filter

import (
	"fmt"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// definition is one filter flag.
type definition struct {
	name, short string
	bare        bool // takes no value
	usage       string
	set         func(*tracker, string) error
	values      func() []string // for completion
}

// list appends a value to one field of a filter.
type list = func(*flowpb.FlowFilter, string) error

// whole is a flag about the flow as such, or about one named end.
func whole(add list) func(*tracker, string) error {
	return either(add, add)
}

// either is a flag about the source or the destination.
func either(src, dst list) func(*tracker, string) error {
	return func(t *tracker, s string) error {
		if err := src(t.left, s); err != nil {
			return err
		}
		return dst(t.right, s)
	}
}

func texts(field func(*flowpb.FlowFilter) *[]string) list {
	return func(f *flowpb.FlowFilter, s string) error {
		p := field(f)
		*p = append(*p, s)
		return nil
	}
}

// parsed appends what parse makes of the value.
func parsed[T any](field func(*flowpb.FlowFilter) *[]T, parse func(string) (T, error)) list {
	return func(f *flowpb.FlowFilter, s string) error {
		v, err := parse(s)
		if err != nil {
			return err
		}
		p := field(f)
		*p = append(*p, v)
		return nil
	}
}

// fixed appends v, whatever the value.
func fixed[T any](field func(*flowpb.FlowFilter) *[]T, v T) list {
	return parsed(field, func(string) (T, error) { return v, nil })
}

func sourceIPs(f *flowpb.FlowFilter) *[]string                 { return &f.SourceIp }
func destinationIPs(f *flowpb.FlowFilter) *[]string            { return &f.DestinationIp }
func sourcePods(f *flowpb.FlowFilter) *[]string                { return &f.SourcePod }
func destinationPods(f *flowpb.FlowFilter) *[]string           { return &f.DestinationPod }
func sourceFQDNs(f *flowpb.FlowFilter) *[]string               { return &f.SourceFqdn }
func destinationFQDNs(f *flowpb.FlowFilter) *[]string          { return &f.DestinationFqdn }
func sourceLabel(f *flowpb.FlowFilter) *[]string               { return &f.SourceLabel }
func destinationLabel(f *flowpb.FlowFilter) *[]string          { return &f.DestinationLabel }
func sourceServices(f *flowpb.FlowFilter) *[]string            { return &f.SourceService }
func destinationServices(f *flowpb.FlowFilter) *[]string       { return &f.DestinationService }
func sourcePorts(f *flowpb.FlowFilter) *[]string               { return &f.SourcePort }
func destinationPorts(f *flowpb.FlowFilter) *[]string          { return &f.DestinationPort }
func sourceClusters(f *flowpb.FlowFilter) *[]string            { return &f.SourceClusterName }
func destinationClusters(f *flowpb.FlowFilter) *[]string       { return &f.DestinationClusterName }
func sourceIDs(f *flowpb.FlowFilter) *[]uint32                 { return &f.SourceIdentity }
func destinationIDs(f *flowpb.FlowFilter) *[]uint32            { return &f.DestinationIdentity }
func sourceWork(f *flowpb.FlowFilter) *[]*flowpb.Workload      { return &f.SourceWorkload }
func destinationWork(f *flowpb.FlowFilter) *[]*flowpb.Workload { return &f.DestinationWorkload }
func ipVersions(f *flowpb.FlowFilter) *[]flowpb.IPVersion      { return &f.IpVersion }

func namespace(pick func(*scope) *[]string) func(*tracker, string) error {
	return func(t *tracker, s string) error {
		if strings.Contains(s, "/") {
			return fmt.Errorf("namespace %q has a slash in it", s)
		}
		p := pick(&t.namespaces)
		*p = append(*p, s)
		return nil
	}
}

func allNamespaces(pick func(*scope) *[]string) func(*tracker, string) error {
	return func(t *tracker, _ string) error {
		p := pick(&t.namespaces)
		*p = append(*p, "")
		return nil
	}
}

func container(pick func(*scope) *[]string) func(*tracker, string) error {
	return func(t *tracker, s string) error {
		selectors, err := containerSelectors(s)
		p := pick(&t.containers)
		*p = append(*p, selectors...)
		return err
	}
}

func scopeAny(s *scope) *[]string  { return &s.any }
func scopeFrom(s *scope) *[]string { return &s.from }
func scopeTo(s *scope) *[]string   { return &s.to }

// containerSelectors are label selectors for a container's name or id, of which
// one must match. An id needs the 12 digits that "docker ps" shows; more are
// cut, as the label container:id has no more.
func containerSelectors(s string) ([]string, error) {
	if s == "" || strings.ContainsAny(s, " \t\r\n,()!=<>") {
		return nil, fmt.Errorf("container %q: neither a name nor an id", s)
	}
	const short = 12
	if len(s) < short || strings.Trim(s, "0123456789abcdef") != "" {
		return []string{"container:name=" + s}, nil
	}
	return []string{"container:name=" + s, "container:id=" + s[:short]}, nil
}

// parseWorkload reads "name", "Kind/name" or "Kind/".
func parseWorkload(s string) (*flowpb.Workload, error) {
	kind, name, slash := strings.Cut(s, "/")
	if !slash {
		kind, name = "", s
	}
	return &flowpb.Workload{Kind: kind, Name: name}, nil
}

// parsePort checks before the server would: its error comes without a flag.
func parsePort(s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 16); err != nil {
		return "", fmt.Errorf("%q is no port", s)
	}
	return s, nil
}

func parseIP(s string) (string, error) {
	_, err := ips([]string{s}, sourceIP)
	return s, err
}

func parseLabel(s string) (string, error) {
	_, err := parseSelector(s)
	return s, err
}
