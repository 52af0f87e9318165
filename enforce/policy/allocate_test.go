package policy

import (
	"fmt"
	"testing"
)

// The kernel's table of addresses has a use for the highest bit.
func TestIdentitiesLeaveTheHighestBit(t *testing.T) {
	var keys []string
	for i := range 2000 {
		keys = append(keys, fmt.Sprintf("10.0.%d.%d/32", i/250, i%250))
	}
	seen := map[Identity]bool{}
	for _, kind := range []string{"workload", "cidr", "name"} {
		for key, id := range allocate(kind, keys) {
			if id > maxIdentity || id < FirstIdentity || seen[id] {
				t.Fatalf("%s %s has identity %#x", kind, key, uint32(id))
			}
			seen[id] = true
		}
	}
}
