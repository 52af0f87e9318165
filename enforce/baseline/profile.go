package baseline

import (
	"net/netip"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
)

// Bounds of a Profile. What goes beyond the first two is not lost but put
// together: addresses to "world", ports to "any".
const (
	maxAddresses  = 256  // peers in one direction of which nothing but the address is known
	maxServices   = 64   // ports of one protocol at one peer
	maxContacts   = 1024 // other peers in one direction
	maxOperations = 512  // at one peer
	maxLed        = 64   // addresses of one name, and of the host
	maxLabels     = 64   // as collector/identity has it
)

// Profile is what is known of one workload, all its replicas together.
type Profile struct {
	Seen
	Labels  []flow.Label      `json:"labels,omitempty"` // that all replicas had at all times, sorted
	Ingress map[Peer]*Contact `json:"ingress,omitempty"`
	Egress  map[Peer]*Contact `json:"egress,omitempty"`
}

// Contact is what is known of a workload and one peer.
type Contact struct {
	Services   map[Service]*Traffic `json:"services,omitempty"`   // over which something passed
	Attempts   map[Service]*Traffic `json:"attempts,omitempty"`   // nothing but tries: refused, unanswered or dropped
	Operations map[Operation]*Count `json:"operations,omitempty"` // layer 7
	Addresses  []netip.Addr         `json:"addresses,omitempty"`  // where a name led, sorted, some of them
}

// contacts are the workload's peers in one direction; the map is there.
func (p *Profile) contacts(egress bool) map[Peer]*Contact {
	m := &p.Ingress
	if egress {
		m = &p.Egress
	}
	if *m == nil {
		*m = map[Peer]*Contact{}
	}
	return *m
}

// narrowLabels keeps those labels that w has too.
func (p *Profile) narrowLabels(w *flow.Workload) {
	has := cleanLabels(w.Labels)
	p.Labels = slices.DeleteFunc(p.Labels, func(l flow.Label) bool { return !slices.Contains(has, l) })
}

func cleanLabels(in []flow.Label) []flow.Label {
	out := make([]flow.Label, 0, min(len(in), maxLabels))
	for _, l := range in[:min(len(in), maxLabels)] {
		out = append(out, flow.Label{Source: clean(l.Source), Key: clean(l.Key), Value: clean(l.Value)})
	}
	return out
}

// within is a sorted set with an address, which keeps the lowest ones, whatever
// came first.
func within(set []netip.Addr, a netip.Addr) []netip.Addr {
	i, found := slices.BinarySearchFunc(set, a, netip.Addr.Compare)
	if found {
		return set
	}
	set = slices.Insert(set, i, a)
	return set[:min(len(set), maxLed)]
}

// Add adds what is known of another contact, which is not changed. Of the bounds it
// keeps that on addresses alone.
func (c *Contact) Add(o *Contact) {
	c.Services = mergeAll(c.Services, o.Services, (*Traffic).merge)
	c.Attempts = mergeAll(c.Attempts, o.Attempts, (*Traffic).merge)
	c.Operations = mergeAll(c.Operations, o.Operations, (*Count).merge)
	for _, a := range o.Addresses {
		c.Addresses = within(c.Addresses, a)
	}
}

func mergeAll[K comparable, V any](to, from map[K]*V, merge func(to, from *V)) map[K]*V {
	if to == nil {
		to = make(map[K]*V, len(from))
	}
	for k, v := range from {
		if to[k] == nil {
			to[k] = new(V)
		}
		merge(to[k], v)
	}
	return to
}

// narrow puts ports together where one protocol has too many, and keeps them
// together.
func narrow(services map[Service]*Traffic) {
	ports := map[flow.Protocol]int{}
	for s := range services {
		if s.Any {
			ports[s.Protocol] += maxServices
		}
		if s.Protocol.HasPorts() {
			ports[s.Protocol]++
		}
	}
	for s, t := range services {
		if s.Any || ports[s.Protocol] <= maxServices {
			continue
		}
		all := Service{Protocol: s.Protocol, Any: true}
		if services[all] == nil {
			services[all] = &Traffic{}
		}
		services[all].merge(t)
		delete(services, s)
	}
}
