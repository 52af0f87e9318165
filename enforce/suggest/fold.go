package suggest

import (
	"maps"
	"slices"

	"github.com/seed79351815/weir/enforce/baseline"
)

// side is a workload's peers in one direction.
type side struct {
	egress bool
	peers  map[baseline.Peer]*baseline.Contact
}

// fold puts an address to the name that led there: its flows were only older than
// what weir knows of the name. The baseline is not changed.
func fold(in map[baseline.Peer]*baseline.Contact) map[baseline.Peer]*baseline.Contact {
	out := maps.Clone(in)
	for _, p := range slices.SortedFunc(maps.Keys(in), baseline.Peer.Compare) {
		if p.Kind != baseline.PeerName {
			continue
		}
		for _, a := range in[p].Addresses {
			address := baseline.Peer{Kind: baseline.PeerAddress, Addr: a}
			if out[address] == nil {
				continue
			}
			sum := &baseline.Contact{}
			sum.Add(out[p])
			sum.Add(out[address])
			out[p] = sum
			delete(out, address)
		}
	}
	return out
}
