package baseline

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
)

// Bounds of a whole Baseline.
const (
	maxProfiles = 4096     // workloads
	maxCost     = 16 << 20 // bytes of all workloads in a file, see cost
	maxWindows  = 64       // older ones are put together
)

// Baseline is what was learned. One that a Learner gave is nobody else's.
type Baseline struct {
	Version  int               `json:"version"`
	Windows  []Window          `json:"windows"` // in order; the last may be open
	Profiles map[Key]*Profile  `json:"profiles"`
	Host     []netip.Addr      `json:"host,omitempty"`   // the host's addresses, sorted: workloads may share them
	Missed   map[string]uint64 `json:"missed,omitempty"` // what found no room or no name, by reason
}

// The reasons of Missed.
const (
	MissedProfiles   = "workloads_full"  // records of workloads beyond the bound
	MissedContacts   = "peers_full"      // records of peers, services and addresses beyond the bound
	MissedOperations = "operations_full" // records of operations beyond the bound
	MissedNameless   = "nameless"        // records with a workload of this host whose name did not come
)

func newBaseline() *Baseline {
	return &Baseline{Version: version, Profiles: map[Key]*Profile{}, Missed: map[string]uint64{}}
}

// Keys are the workloads in order.
func (b *Baseline) Keys() []Key {
	return slices.SortedFunc(maps.Keys(b.Profiles), Key.Compare)
}

// Find gives the workloads that a person may mean by text: "namespace/name", else a
// name alone, in order. More than one is to be asked about.
func (b *Baseline) Find(text string) (found []Key) {
	for _, by := range [...]func(Key) string{Key.String, func(k Key) string { return k.Name }} {
		for _, k := range b.Keys() {
			if by(k) == text {
				found = append(found, k)
			}
		}
		if found != nil {
			break
		}
	}
	return found
}

// sorted gives a map's keys in their order.
func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}

func sortedText[V any](m map[string]V) []string { return sorted(m, cmp.Compare[string]) }
