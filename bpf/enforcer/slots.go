package enforcer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
)

// slots says which places of the kernel's array of tables are taken, and by what.
type slots struct {
	taken  map[uint32]filled
	by     map[[sha256.Size]byte]uint32
	wanted map[uint32]bool // by the last plan
}

// filled is what is in a place: the zero value where an earlier daemon filled it.
type filled struct {
	digest [sha256.Size]byte
	ruled  deviceRulings
}

var errNoRoom = errors.New("no room for another set of rules")

// adopt marks the places in which an earlier daemon left something, by whomever it
// is used. Before Linux 6.8 each look into a table of tables waits for the kernel as a
// change does (bpf_map_copy_value() in kernel/bpf/syscall.c), so that thousands are
// taken side by side.
func (s *slots) adopt(arrays ...*ebpf.Map) error {
	s.taken, s.by = map[uint32]filled{}, map[[sha256.Size]byte]uint32{}
	const first = uint32(enforceRuleSetSET_FIRST)
	var mu sync.Mutex
	for _, array := range arrays {
		err := sideBySide(int(array.MaxEntries()-first), func(i int) error {
			slot := first + uint32(i)
			var id uint32
			err := array.Lookup(slot, &id)
			if errors.Is(err, ebpf.ErrKeyNotExist) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read where rules are: %w", err)
			}
			mu.Lock()
			defer mu.Unlock()
			s.taken[slot] = filled{}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// find gives the place of a table: one that has it already, or a free one.
func (s *slots) find(d [sha256.Size]byte, limit uint32) (slot uint32, there bool, err error) {
	if slot, ok := s.by[d]; ok {
		return slot, true, nil
	}
	for slot := uint32(enforceRuleSetSET_FIRST); slot < limit; slot++ {
		if _, taken := s.taken[slot]; !taken {
			return slot, false, nil
		}
	}
	return 0, false, fmt.Errorf("%w: all %d are in use", errNoRoom, limit)
}

func (s *slots) take(slot uint32, f filled) {
	s.taken[slot], s.by[f.digest] = f, slot
}

// left are the places that the last plan does not want.
func (s *slots) left() map[uint32]bool {
	left := map[uint32]bool{}
	for slot := range s.taken {
		if !s.wanted[slot] {
			left[slot] = true
		}
	}
	return left
}

// doubt takes a place whose contents are about to change: until they are known it is
// nobody's.
func (s *slots) doubt(slot uint32) {
	delete(s.by, s.taken[slot].digest)
	s.taken[slot] = filled{}
}

// empty takes tables out of places that nobody is in any more. Where it fails all of
// them stay taken.
func (s *slots) empty(places map[uint32]bool, arrays ...*ebpf.Map) error {
	all := slices.Collect(maps.Keys(places))
	for _, slot := range all {
		s.doubt(slot)
	}
	n := len(arrays)
	err := sideBySide(n*len(all), func(i int) error {
		slot := all[i/n]
		if err := arrays[i%n].Delete(slot); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("empty the set of rules %d: %w", slot, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, slot := range all {
		delete(s.taken, slot)
	}
	return nil
}

func (s *slots) copy() *slots {
	return &slots{taken: maps.Clone(s.taken), by: maps.Clone(s.by)}
}
