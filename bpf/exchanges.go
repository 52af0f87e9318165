package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/seed79351815/weir/collector/flow"
)

// exchangeTable is the kernel's count of exchanges, and that of those for which it
// had no room, without their operations. There are two tables behind each: for
// each reading the programs are given the other, and the kernel returns
// from that when none of them uses the one before any more. It is then read and
// emptied in peace: no count is ever lost between.
type exchangeTable struct {
	outer      *ebpf.Map
	inner      [2]exchangeTables
	active     int
	operations *ebpf.Map
	cpus       int
	keys       []sharedExchangeKey
	values     []sharedExchangeValue // of all processors, key by key
	hashes     []uint64
	marks      []uint8
	announced  time.Time
	entries    atomic.Uint64
	room       []flow.Tally // for those to come: whoever keeps one keeps all of them
}

// exchangeTables are in use at one time, by enum exchange_table of c/l7_count.h.
type exchangeTables [sharedExchangeTableEXCHANGES_TABLES]*ebpf.Map

// restEntries bounds the keys of exchanges without operations.
const restEntries = 2048

// exchangeEntries bounds the keys of one table: as many as fit into 16 MiB of the
// kernel's memory, which has a value for each processor.
func exchangeEntries(cpus int) uint32 {
	const memory, key, value = 16 << 20, 128, 32
	entries := uint32(1) << 16
	for entries > 4096 && int(entries)*(key+value*cpus) > memory {
		entries /= 2
	}
	return entries
}

// announceEvery is how often every operation that is in use is told in full
// again: whoever begins to listen later knows them all after that time.
const announceEvery = time.Minute

func newExchangeTable(maps map[string]*ebpf.Map) (*exchangeTable, error) {
	const batch = 256
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count processors: %w", err)
	}
	spec, err := loadShared()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF object shared: %w", err)
	}
	t := &exchangeTable{
		outer: maps["exchanges"], operations: maps["operations"], cpus: cpus, announced: time.Now(),
		keys: make([]sharedExchangeKey, batch), values: make([]sharedExchangeValue, batch*cpus),
		hashes: make([]uint64, batch), marks: make([]uint8, batch),
	}
	for i := range t.inner {
		for table := range t.inner[i] {
			inner := spec.Maps["exchanges"].InnerMap.Copy()
			inner.MaxEntries = exchangeEntries(cpus)
			if sharedExchangeTable(table) == sharedExchangeTableEXCHANGES_REST {
				inner.MaxEntries = restEntries
			}
			if t.inner[i][table], err = ebpf.NewMap(inner); err != nil {
				t.close()
				return nil, explain("create BPF map exchanges", err)
			}
		}
	}
	if err := t.use(); err != nil {
		t.close()
		return nil, explain("fill BPF map exchanges", err)
	}
	return t, nil
}

func (t *exchangeTable) close() {
	for _, tables := range t.inner {
		for _, m := range tables {
			if m != nil {
				m.Close()
			}
		}
	}
}

// use gives the programs the active tables; when it returns none of them uses the
// others any more.
func (t *exchangeTable) use() error {
	for table, m := range t.inner[t.active] {
		if err := t.outer.Put(uint32(table), m); err != nil {
			return err
		}
	}
	return nil
}

// read hands out what was counted since the reading before.
func (t *exchangeTable) read(b *batcher) error {
	full := t.inner[t.active]
	t.active ^= 1
	if err := t.use(); err != nil {
		return fmt.Errorf("change BPF map exchanges: %w", err)
	}
	entries := uint64(0)
	for _, m := range full {
		n, err := t.drain(m, b)
		if err != nil {
			return err
		}
		entries += n
	}
	t.entries.Store(entries)
	if time.Since(t.announced) >= announceEvery {
		t.announced = time.Now()
		return t.forget()
	}
	return nil
}

// drain hands out what a table holds, and empties it.
func (t *exchangeTable) drain(m *ebpf.Map, b *batcher) (entries uint64, err error) {
	now := time.Now().UnixNano()
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookupAndDelete(&cursor, t.keys, t.values, nil)
		entries += uint64(n)
		for i := range n {
			t.tell(&t.keys[i], t.values[i*t.cpus:(i+1)*t.cpus], now, b)
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return entries, nil
		}
		if err != nil {
			return entries, fmt.Errorf("read BPF map exchanges: %w", err)
		}
	}
}

func (t *exchangeTable) tell(k *sharedExchangeKey, cpus []sharedExchangeValue, now int64, b *batcher) {
	if len(t.room) == 0 {
		t.room = make([]flow.Tally, 64)
	}
	tally := &t.room[0]
	*tally = flow.Tally{Counted: counted(k), Status: k.Status, Bucket: k.Bucket}
	for i := range cpus {
		tally.Count += cpus[i].Count
		tally.Latency += cpus[i].Latency
		tally.RequestBytes += cpus[i].RequestBytes
		tally.ResponseBytes += cpus[i].ResponseBytes
	}
	if tally.Count > 0 {
		t.room = t.room[1:]
		*b.next() = flow.Event{Kind: flow.KindTally, Time: now, Tally: tally}
	}
}

// forget empties the set of operations that were told of.
func (t *exchangeTable) forget() error {
	var cursor ebpf.MapBatchCursor
	for {
		_, err := t.operations.BatchLookupAndDelete(&cursor, t.hashes, t.marks, nil)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("empty BPF map operations: %w", err)
		}
	}
}

func counted(k *sharedExchangeKey) flow.Counted {
	c := flow.Counted{
		Protocol: flow.L7Protocol(k.Protocol), Role: flow.Role(k.Role), Cgroup: k.Cgroup, Peer: k.Peer, Port: k.Port,
		Operation: flow.Operation(k.Operation),
	}
	if k.Remote != [16]uint8{} {
		c.Remote = netip.AddrFrom16(k.Remote).Unmap()
	}
	return c
}
