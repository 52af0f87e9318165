package enforcer

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/seed79351815/weir/enforce/kernel"
)

// Tables says how full the tables are. It reads some of them: milliseconds where
// they are full.
func (e *Enforcer) Tables() (kernel.Tables, error) {
	members, err := entries[uint64, enforceMember](e.maps["members"])
	if err != nil {
		return kernel.Tables{}, fmt.Errorf("count the members: %w", err)
	}
	known, err := entries[enforceKnownKey, enforceKnownNames](e.maps["known"])
	if err != nil {
		return kernel.Tables{}, fmt.Errorf("count the addresses of names: %w", err)
	}
	t := kernel.Tables{Homeless: atomic.LoadUint64(&e.regime.Homeless), Shut: atomic.LoadUint32(&e.regime.Shut) != 0}
	for _, f := range []struct {
		name, table string
		entries     int
	}{
		{"policy_cgroups", "members", members},
		{"policy_containers", "containers", len(e.containers.have)},
		{"policy_addresses", "hosts", len(e.hosts.have)},
		{"policy_blocks", "addresses", len(e.blocks.have)},
		{"policy_sets", "sets", len(e.sets.taken)},
		{"policy_names", "known", known},
	} {
		t.Fill = append(t.Fill, kernel.Fill{Table: f.name, Entries: uint64(f.entries), Max: uint64(e.maps[f.table].MaxEntries())})
	}
	return t, nil
}

// entries counts what is in a hash.
func entries[K, V any](m *ebpf.Map) (n int, err error) {
	err = read(m, func(K, V) { n++ })
	return n, err
}

// read calls fn for what is in a hash, some hundreds with each system call. What
// changes meanwhile may be missing.
func read[K, V any](m *ebpf.Map, fn func(K, V)) error {
	const batch = 512
	keys, values := make([]K, batch), make([]V, batch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			fn(keys[i], values[i])
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fits tells why a plan cannot be put in place; nil where it can.
func (e *Enforcer) fits(p *prepared, hold bool) error {
	for _, f := range []struct {
		what, table string
		entries     int
	}{
		{"cgroups with a workload's rules", "members", p.places.stay(hold)},
		{"containers", "containers", len(p.places.containers)},
		{"addresses", "hosts", len(p.hosts)},
		{"blocks of addresses", "addresses", len(p.blocks)},
	} {
		if room := int(e.maps[f.table].MaxEntries()); f.entries > room {
			return fmt.Errorf("%d %s: the table has room for %d", f.entries, f.what, room)
		}
	}
	return nil
}
