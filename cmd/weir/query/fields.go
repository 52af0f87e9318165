package query

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

type filter = flowpb.FlowFilter

// setter puts a flag's value into a filter, or says why it cannot be meant.
type setter func(f *filter, value string) error

// field is one line of the tables below.
type field struct {
	name, short, usage string
	bare               string // the value without an argument; empty where one is needed
	set                setter // of a field that has no ends
	from, to           setter // of a field of each end: it becomes three flags
}

// plainFields look at the flow as a whole.
func plainFields() []field {
	return []field{
		{name: "protocol", usage: "transport or application `protocol`: tcp, udp, icmp, http, …",
			set: text(func(f *filter) *[]string { return &f.Protocol })},
		{name: "verdict", usage: "`verdict`: forwarded, dropped, error, audit", set: setVerdict},
		{name: "traffic-direction", usage: "`direction` seen from the workload: ingress or egress", set: setDirection},
		{name: "type", short: "t", usage: "event `type[:subtype]`: trace, drop, l7, policy-verdict, trace-sock, or a number", set: setType},
		{name: "tcp-flags", usage: "TCP `flags` that are all set, such as syn,ack", set: setTCPFlags},
		{name: "drop-reason-desc", usage: "Hubble's `reason` of a drop, such as POLICY_DENIED", set: setDropReason},
		{name: "ipv4", short: "4", bare: "v4", usage: "only IPv4", set: setIPVersion},
		{name: "ipv6", short: "6", bare: "v6", usage: "only IPv6", set: setIPVersion},
		{name: "ip-version", usage: "`version` of IP: v4, v6 or none", set: setIPVersion},
		{name: "snat-ip", usage: "`address` or CIDR range that the source was translated to",
			set: address(func(f *filter) *[]string { return &f.SourceIpXlated })},
		{name: "http-status", usage: "HTTP status `code` or its beginning, 404 or 5+",
			set: text(func(f *filter) *[]string { return &f.HttpStatusCode })},
		{name: "http-method", usage: "HTTP `method`", set: text(func(f *filter) *[]string { return &f.HttpMethod })},
		{name: "http-path", usage: "regular `expression` for the HTTP path", set: text(func(f *filter) *[]string { return &f.HttpPath })},
		{name: "http-url", usage: "regular `expression` for the HTTP URL", set: text(func(f *filter) *[]string { return &f.HttpUrl })},
		{name: "http-header", usage: "HTTP header, `name:value`", set: setHeader},
		{name: "trace-id", usage: "trace `id` of a request", set: text(func(f *filter) *[]string { return &f.TraceId })},
		{name: "uuid", usage: "the flow with this `id`", set: text(func(f *filter) *[]string { return &f.Uuid })},
		{name: "node-name", usage: "host `name`, * for any part", set: text(func(f *filter) *[]string { return &f.NodeName })},
	}
}

// endFields look at the flow's ends.
func endFields() []field {
	return []field{
		{name: "pod", usage: "[namespace/]`name` of a pod, container, unit or process begins so",
			from: text(func(f *filter) *[]string { return &f.SourcePod }),
			to:   text(func(f *filter) *[]string { return &f.DestinationPod })},
		{name: containerFlag, usage: "`name` or id of a container",
			from: container(func(f *filter) *[]string { return &f.SourceLabel }),
			to:   container(func(f *filter) *[]string { return &f.DestinationLabel })},
		{name: "workload", usage: "[kind/]`name` of what manages it: Deployment, Compose service, unit, …",
			from: workload(func(f *filter) *[]*flowpb.Workload { return &f.SourceWorkload }),
			to:   workload(func(f *filter) *[]*flowpb.Workload { return &f.DestinationWorkload })},
		{name: "service", usage: "[namespace/]`name` of a service begins so",
			from: text(func(f *filter) *[]string { return &f.SourceService }),
			to:   text(func(f *filter) *[]string { return &f.DestinationService })},
		{name: labelFlag, short: "l", usage: "`label` as [source:]key[=value], several with commas",
			from: text(func(f *filter) *[]string { return &f.SourceLabel }),
			to:   text(func(f *filter) *[]string { return &f.DestinationLabel })},
		{name: "ip", usage: "`address` or CIDR range",
			from: address(func(f *filter) *[]string { return &f.SourceIp }),
			to:   address(func(f *filter) *[]string { return &f.DestinationIp })},
		{name: "port", usage: "`port` number",
			from: port(func(f *filter) *[]string { return &f.SourcePort }),
			to:   port(func(f *filter) *[]string { return &f.DestinationPort })},
		{name: "fqdn", usage: "DNS `name`, * for any part",
			from: text(func(f *filter) *[]string { return &f.SourceFqdn }),
			to:   text(func(f *filter) *[]string { return &f.DestinationFqdn })},
		{name: "identity", usage: "security `identity`: host, world, unknown or a number",
			from: identity(func(f *filter) *[]uint32 { return &f.SourceIdentity }),
			to:   identity(func(f *filter) *[]uint32 { return &f.DestinationIdentity })},
	}
}

// Containers are found by labels, so the two flags share a field.
const (
	containerFlag = "container"
	labelFlag     = "label"
)

func text(list func(*filter) *[]string) setter {
	return func(f *filter, v string) error {
		if v == "" {
			return fmt.Errorf("expected a value")
		}
		p := list(f)
		*p = append(*p, v)
		return nil
	}
}

func address(list func(*filter) *[]string) setter {
	return func(f *filter, v string) error {
		if _, err := netip.ParseAddr(v); err != nil {
			if _, err := netip.ParsePrefix(v); err != nil {
				return fmt.Errorf("expected an address or a CIDR range")
			}
		}
		return text(list)(f, v)
	}
}

func port(list func(*filter) *[]string) setter {
	return func(f *filter, v string) error {
		if _, err := strconv.ParseUint(v, 10, 16); err != nil {
			return fmt.Errorf("expected a number from 0 to 65535")
		}
		return text(list)(f, v)
	}
}

// container matches weir's own labels, by the name or the id as `docker ps`
// shows it.
func container(list func(*filter) *[]string) setter {
	const shown = 12
	return func(f *filter, v string) error {
		if v == "" || strings.ContainsAny(v, ",=!() ") {
			return fmt.Errorf("expected a container's name or id")
		}
		p := list(f)
		*p = append(*p, "container:name="+v)
		if len(v) >= shown && strings.Trim(v, "0123456789abcdef") == "" {
			*p = append(*p, "container:id="+v[:shown])
		}
		return nil
	}
}

func workload(list func(*filter) *[]*flowpb.Workload) setter {
	return func(f *filter, v string) error {
		if v == "" {
			return fmt.Errorf("expected a value")
		}
		w := &flowpb.Workload{Name: v}
		if kind, name, ok := strings.Cut(v, "/"); ok {
			w.Kind, w.Name = kind, name
		}
		p := list(f)
		*p = append(*p, w)
		return nil
	}
}

// reserved are Cilium's identities that weir gives.
var reserved = []string{"unknown", "host", "world"}

func identity(list func(*filter) *[]uint32) setter {
	return func(f *filter, v string) error {
		n := uint64(slices.Index(reserved, strings.ToLower(v)))
		if n == ^uint64(0) {
			var err error
			if n, err = strconv.ParseUint(v, 10, 32); err != nil {
				return fmt.Errorf("expected %s or a number", strings.Join(reserved, ", "))
			}
		}
		p := list(f)
		*p = append(*p, uint32(n))
		return nil
	}
}
