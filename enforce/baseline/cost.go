package baseline

import (
	"encoding"
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
)

// What things take at most in a file, in bytes, beside their names: a Baseline is
// bounded by them, so that what was kept can always be read again.
const (
	profileCost   = 160
	contactCost   = 100
	serviceCost   = 340
	operationCost = 160
	addressCost   = 50
)

func textCost(m encoding.TextMarshaler) int {
	b, _ := m.MarshalText() // of this package: they do not fail
	return len(b)
}

func (o Operation) cost() int { return operationCost + textCost(o) }

func (p Peer) cost() int { return contactCost + textCost(p) }

func labelsCost(labels []flow.Label) (n int) {
	for _, l := range labels {
		b, _ := json.Marshal(l) // strings alone
		n += len(b) + 1
	}
	return n
}

// cost is of the profile of a key.
func (p *Profile) cost(k Key) int {
	n := profileCost + textCost(k) + labelsCost(p.Labels)
	for _, m := range [...]map[Peer]*Contact{p.Ingress, p.Egress} {
		for peer, c := range m {
			n += peer.cost() + c.cost()
		}
	}
	return n
}

func (c *Contact) cost() int {
	n := serviceCost*(len(c.Services)+len(c.Attempts)) + addressCost*len(c.Addresses)
	for o := range c.Operations {
		n += o.cost()
	}
	return n
}

// cost is of all workloads.
func (b *Baseline) cost() (n int) {
	for k, p := range b.Profiles {
		n += p.cost(k)
	}
	return n
}

// room is what is left for new things, in bytes.
type room struct{ left int }

// take takes n bytes, or tells that they are not there.
func (r *room) take(n int) bool {
	if r.left < n {
		return false
	}
	r.left -= n
	return true
}

// insert adds an address to a sorted set of few, of which the lowest stay,
// whatever came first.
func (r *room) insert(set []netip.Addr, a netip.Addr) []netip.Addr {
	if _, found := slices.BinarySearchFunc(set, a, netip.Addr.Compare); found || len(set) < maxLed && !r.take(addressCost) {
		return set
	}
	return within(set, a)
}
