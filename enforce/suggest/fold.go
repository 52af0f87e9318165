package suggest

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/seed79351815/weir/enforce/baseline"
)

// side is a workload's peers in one direction.
type side struct {
	egress bool
	peers  map[baseline.Peer]*baseline.Contact
}

// fold puts an address to whom it is known to be of: to the host, or to the name
// that led there, as its flows were only older than what weir knows of the name.
// The baseline is not changed.
func fold(in map[baseline.Peer]*baseline.Contact, host []netip.Addr) map[baseline.Peer]*baseline.Contact {
	out := maps.Clone(in)
	for _, a := range host {
		move(out, a, baseline.Peer{Kind: baseline.PeerWorkload, Workload: baseline.HostKey})
	}
	for _, p := range slices.SortedFunc(maps.Keys(in), baseline.Peer.Compare) {
		if p.Kind != baseline.PeerName {
			continue
		}
		for _, a := range in[p].Addresses {
			move(out, a, p)
		}
	}
	return out
}

// move gives what is known of an address to a peer.
func move(peers map[baseline.Peer]*baseline.Contact, a netip.Addr, to baseline.Peer) {
	address := baseline.Peer{Kind: baseline.PeerAddress, Addr: a}
	from := peers[address]
	if from == nil {
		return
	}
	sum := &baseline.Contact{}
	if known := peers[to]; known != nil {
		sum.Add(known)
	}
	sum.Add(from)
	peers[to] = sum
	delete(peers, address)
}
