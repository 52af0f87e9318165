package policy

import (
	"testing"

	"pgregory.net/rapid"
)

// spoken is a statement about a range of ports of one protocol, or of all.
type spoken struct {
	protocol    uint8
	first, last uint16
	st          statement
}

func (s *spoken) covers(protocol uint8, port uint16) bool {
	return s.protocol == 0 || (s.protocol == protocol && s.first <= port && port <= s.last)
}

var genSpoken = rapid.Custom(func(t *rapid.T) spoken {
	s := spoken{protocol: some(t, "protocol", []uint8{0, 6, 6, 6, 17}), last: 65535}
	if s.protocol != 0 {
		a, b := rapid.Uint16Range(0, 40).Draw(t, "a"), rapid.Uint16Range(0, 40).Draw(t, "b")
		s.first, s.last = min(a, b), max(a, b)
		if rapid.IntRange(0, 3).Draw(t, "all") == 0 {
			s.first, s.last = 0, 65535
		}
	}
	s.st = statement{deny: rapid.Bool().Draw(t, "deny"), enforce: rapid.Bool().Draw(t, "enforce")}
	return s
})

func TestMoreSpecificEntryHoldsWhatBroaderOnesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(genSpoken, 0, 6).Draw(t, "statements")
		e := expansion{rows: map[rowKey]row{}}
		for i := range all {
			all[i].st.id = RuleID(i + 1)
			for _, b := range blocks(all[i].first, all[i].last) {
				e.add(&all[i].st, 300, l4{all[i].protocol, b}, nil)
			}
		}
		set := e.set()
		for _, protocol := range []uint8{6, 17, 1} {
			for port := range uint16(45) {
				var enforced, audited said
				for i := range all {
					if s := &all[i]; s.covers(protocol, port) {
						audited.add(s.st.id, s.st.deny)
						if s.st.enforce {
							enforced.add(s.st.id, s.st.deny)
						}
					}
				}
				got, _ := set.Lookup(Ingress, 300, protocol, port)
				if got.Enforced != enforced.decision() || got.Audited != audited.decision() {
					t.Fatalf("%d/%d: %+v, want %+v %+v\n%+v", port, protocol, got, enforced.decision(), audited.decision(), set.Entries)
				}
			}
		}
	})
}

func TestBlocksAreTheRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint16().Draw(t, "a"), rapid.Uint16().Draw(t, "b")
		first, last := min(a, b), max(a, b)
		next := uint32(first)
		for _, b := range blocks(first, last) {
			size := uint32(1) << (16 - b.bits)
			if uint32(b.port) != next || b.port&uint16(size-1) != 0 {
				t.Fatalf("%d-%d: %+v", first, last, blocks(first, last))
			}
			next += size
		}
		if next != uint32(last)+1 || len(blocks(first, last)) > 30 {
			t.Fatalf("%d-%d: %+v", first, last, blocks(first, last))
		}
	})
}
