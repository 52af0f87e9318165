package enforcer

import (
	"net/netip"

	"github.com/seed79351815/weir/enforce/policy"
)

// addressLocal is ADDRESS_LOCAL of c/wire_rule.h.
const addressLocal = 1 << 31

// addressesOf are the kernel's tables of whose an address is: single ones, and
// blocks.
func addressesOf(t *policy.Tables) (hosts map[[16]byte]uint32, blocks map[enforceAddressKey]uint32) {
	local := map[policy.Identity]bool{policy.IdentityHost: true}
	for _, w := range t.Workloads {
		local[w.Identity] = true
	}
	hosts, blocks = make(map[[16]byte]uint32, len(t.Prefixes)), map[enforceAddressKey]uint32{}
	for prefix, identity := range t.Prefixes {
		value := uint32(identity)
		if local[identity] {
			value |= addressLocal
		}
		if prefix.IsSingleIP() {
			hosts[prefix.Addr().As16()] = value
		} else {
			blocks[addressKey(prefix)] = value
		}
	}
	return hosts, blocks
}

func addressKey(p netip.Prefix) enforceAddressKey {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return enforceAddressKey{Bits: uint32(bits), Addr: p.Masked().Addr().As16()}
}
