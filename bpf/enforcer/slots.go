package enforcer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
)

// slots says which places of the kernel's array of tables are taken, and by what.
type slots struct {
	taken map[uint32][sha256.Size]byte // the zero digest: by an earlier daemon's hand
	by    map[[sha256.Size]byte]uint32
}

// adopt marks the places that members of an earlier daemon's are in, and everyone's.
func (s *slots) adopt(members *ebpf.Map, everyone uint32) error {
	s.taken, s.by = map[uint32][sha256.Size]byte{}, map[[sha256.Size]byte]uint32{}
	s.taken[everyone] = [sha256.Size]byte{}
	var id uint64
	var m enforceMember
	it := members.Iterate()
	for it.Next(&id, &m) {
		s.taken[m.Set] = [sha256.Size]byte{}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read who has which rules: %w", err)
	}
	return nil
}

// find gives the place of a table: one that has it already, or a free one.
func (s *slots) find(d [sha256.Size]byte, limit uint32) (slot uint32, filled bool, err error) {
	if slot, ok := s.by[d]; ok {
		return slot, true, nil
	}
	for slot := uint32(enforceRuleSetSET_FIRST); slot < limit; slot++ {
		if _, taken := s.taken[slot]; !taken {
			return slot, false, nil
		}
	}
	return 0, false, fmt.Errorf("no room for another set of rules: all %d are in use", limit)
}

func (s *slots) take(slot uint32, d [sha256.Size]byte) {
	s.taken[slot], s.by[d] = d, slot
}

// release empties the places that nobody is in any more.
func (s *slots) release(used map[uint32]bool, arrays ...*ebpf.Map) error {
	var left []uint32
	for slot := range s.taken {
		if !used[slot] && slot >= uint32(enforceRuleSetSET_FIRST) {
			left = append(left, slot)
		}
	}
	n := len(arrays)
	err := sideBySide(n*len(left), func(i int) error {
		slot := left[i/n]
		if err := arrays[i%n].Delete(slot); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("empty the set of rules %d: %w", slot, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, slot := range left {
		delete(s.by, s.taken[slot])
		delete(s.taken, slot)
	}
	return nil
}

func (s *slots) copy() *slots {
	return &slots{maps.Clone(s.taken), maps.Clone(s.by)}
}
