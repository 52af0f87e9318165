package policy

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
)

// maxIdentity leaves the highest bit out: the kernel's table of addresses has a use
// for it.
const maxIdentity Identity = 1<<31 - 1

// allocate gives each key an identity that depends on the key alone, as far as
// no other key has the same hash: of those the first in order keeps it. Keys
// of different kinds have different identities because the kind chooses the
// residue.
func allocate(kind string, keys []string) map[string]Identity {
	residue := map[string]uint32{"workload": 0, "cidr": 1, "name": 2}[kind]
	const step = 4
	out := make(map[string]Identity, len(keys))
	taken := make(map[Identity]bool, len(keys))
	for _, k := range keys {
		h := fnv.New32a()
		_, _ = h.Write([]byte(k)) // never fails
		id := Identity(h.Sum32()&^(step-1)|residue) & maxIdentity
		for id < FirstIdentity || taken[id] {
			id = (id + step) & maxIdentity
		}
		taken[id] = true
		out[k] = id
	}
	return out
}

// prefixes are the blocks of addresses that rules speak of, in order of address,
// the wider before those within it.
type prefixes struct {
	all []netip.Prefix
	ids []Identity
}

func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits())
}

func newPrefixes(p *program) *prefixes {
	var all []netip.Prefix
	see := func(st *statement) {
		if st.peers == nil {
			return
		}
		all = append(all, st.peers.CIDRs...)
		for _, s := range st.peers.CIDRSets {
			all = append(append(all, s.CIDR), s.Except...)
		}
		for _, e := range st.peers.Entities {
			switch e {
			case EntityWorldIPv4:
				all = append(all, everyIPv4())
			case EntityWorldIPv6:
				all = append(all, everyIPv6())
			}
		}
	}
	for _, s := range p.subjects {
		for _, st := range s.statements {
			see(st)
		}
	}
	for _, w := range p.wards {
		see(w.deny)
	}
	slices.SortFunc(all, comparePrefix)
	all = slices.Compact(all)
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.String()
	}
	ids := allocate("cidr", slices.Sorted(slices.Values(names)))
	out := &prefixes{all: all, ids: make([]Identity, len(all))}
	for i, n := range names {
		out.ids[i] = ids[n]
	}
	return out
}

func everyIPv4() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }
func everyIPv6() netip.Prefix { return netip.PrefixFrom(netip.IPv6Unspecified(), 0) }

// within gives the range of prefixes that are part of c, which is one of them.
func (p *prefixes) within(c netip.Prefix) (from, to int) {
	from, _ = slices.BinarySearchFunc(p.all, c, comparePrefix)
	to = from
	for step := 1; step > 0; { // gallop: most blocks have few within them
		if next := to + step; next <= len(p.all) && c.Contains(p.all[next-1].Addr()) {
			to, step = next, step*2
		} else {
			step /= 2
		}
	}
	return from, to
}

// in adds the identities of c without those in except.
func (p *prefixes) in(out []Identity, c netip.Prefix, except []netip.Prefix) []Identity {
	from, to := p.within(c)
	type span struct{ from, to int }
	var holes []span
	for _, e := range except {
		if a, b := p.within(e); a < b {
			holes = append(holes, span{a, b})
		}
	}
	slices.SortFunc(holes, func(a, b span) int { return a.from - b.from })
	for _, h := range holes {
		if h.from > from {
			out = append(out, p.ids[from:min(h.from, to)]...)
		}
		from = max(from, h.to)
	}
	if from < to {
		out = append(out, p.ids[from:to]...)
	}
	return out
}
