package enforcer

import (
	"net/netip"

	"github.com/seed79351815/weir/enforce/policy"
)

// addressLocal is ADDRESS_LOCAL of c/wire_rule.h.
const addressLocal = 1 << 31

// addressesOf is the kernel's table of whose an address is.
func addressesOf(t *policy.Tables) map[enforceAddressKey]uint32 {
	local := map[policy.Identity]bool{policy.IdentityHost: true}
	for _, w := range t.Workloads {
		local[w.Identity] = true
	}
	all := make(map[enforceAddressKey]uint32, len(t.Prefixes))
	for prefix, identity := range t.Prefixes {
		value := uint32(identity)
		if local[identity] {
			value |= addressLocal
		}
		all[addressKey(prefix)] = value
	}
	return all
}

func addressKey(p netip.Prefix) enforceAddressKey {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return enforceAddressKey{Bits: uint32(bits), Addr: p.Masked().Addr().As16()}
}
