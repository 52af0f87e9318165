package enforcer

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// mirror is a table of the kernel that user space alone writes to, and what it
// holds: only what changes costs a system call.
type mirror[K, V comparable] struct {
	table *ebpf.Map
	have  map[K]V
}

func newMirror[K, V comparable](table *ebpf.Map) (*mirror[K, V], error) {
	m := &mirror[K, V]{table: table, have: map[K]V{}}
	var k K
	var v V
	it := table.Iterate()
	for it.Next(&k, &v) {
		m.have[k] = v
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read what is pinned: %w", err)
	}
	return m, nil
}

// forget takes out what is not wanted.
func (m *mirror[K, V]) forget(want map[K]V) error {
	for k := range m.have {
		if _, ok := want[k]; ok {
			continue
		}
		if err := m.table.Delete(&k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		delete(m.have, k)
	}
	return nil
}

// put puts in what is wanted and is not there as it should be.
func (m *mirror[K, V]) put(want map[K]V) error {
	for k, v := range want {
		if have, ok := m.have[k]; ok && have == v {
			continue
		}
		if err := m.table.Put(&k, &v); err != nil {
			return err
		}
		m.have[k] = v
	}
	return nil
}
