package pack

import (
	"slices"

	"github.com/seed79351815/weir/collector/flow"
)

// Packer builds Batches. The zero value is ready. It is used by one goroutine
// at a time; the Batches that it gives away may be read by others meanwhile.
type Packer struct {
	b         Batch
	workloads map[*flow.Workload]uint32
	names     map[nameKey]uint32
	texts     map[string]uint32
	written   int  // bytes that the tables take when they are written
	viewed    bool // a View reads the buffers of b
}

// nameKey tells one shared list of names from another without comparing the
// strings: lists are never changed once published.
type nameKey struct {
	first *string
	n     int
}

// Add packs r at the end. Nothing of r is changed; its workloads and names are
// kept by reference. A RecordL7 must have an L7, a
// RecordVerdict a Judged.
func (p *Packer) Add(r *flow.Record) {
	if p.workloads == nil {
		p.workloads = make(map[*flow.Workload]uint32)
		p.names = make(map[nameKey]uint32)
		p.texts = make(map[string]uint32)
	}
	p.b.data = p.record(p.b.data, r)
	p.b.ends = append(p.b.ends, uint32(len(p.b.data)))
	if len(p.b.ends) == 1 || r.Time < p.b.first {
		p.b.first = r.Time
	}
	if len(p.b.ends) == 1 || r.Time > p.b.last {
		p.b.last = r.Time
	}
}

// Len is the number of records packed since the last Seal.
func (p *Packer) Len() int { return len(p.b.ends) }

// Size is about how many bytes Append would write of what was packed since the last
// Seal.
func (p *Packer) Size() int { return len(p.b.data) + p.written }

// View is what was packed so far. Later Adds do not show in it: they write
// only behind its end.
func (p *Packer) View() *Batch {
	p.viewed = true
	b := p.b
	return &b
}

// Seal gives what was packed so far, without slack, and starts anew.
func (p *Packer) Seal() *Batch {
	b := p.b
	b.workloads = slices.Clip(b.workloads)
	b.names = slices.Clip(b.names)
	b.texts = slices.Clip(b.texts)
	// The next batch is about as large.
	p.b = Batch{workloads: make([]*flow.Workload, 0, len(b.workloads)), names: make([][]string, 0, len(b.names)), texts: make([]string, 0, len(b.texts))}
	if !p.viewed { // else a reader may still look at the buffers: leave them to it
		p.b.data, p.b.ends = b.data[:0], b.ends[:0]
	}
	b.data = append(make([]byte, 0, len(b.data)), b.data...)
	b.ends = append(make([]uint32, 0, len(b.ends)), b.ends...)
	p.viewed, p.written = false, 0
	clear(p.workloads)
	clear(p.names)
	clear(p.texts)
	return &b
}

// Index 0 means none in all three tables.

func (p *Packer) workload(w *flow.Workload) uint64 {
	if w == nil {
		return 0
	}
	n := len(p.b.workloads)
	i := place(p.workloads, w, &p.b.workloads, w)
	if len(p.b.workloads) > n {
		p.written += len(appendWorkload(nil, w))
	}
	return i
}

func (p *Packer) nameList(names []string) uint64 {
	if len(names) == 0 {
		return 0
	}
	n := len(p.b.names)
	i := place(p.names, nameKey{&names[0], len(names)}, &p.b.names, names)
	if len(p.b.names) > n {
		for _, s := range names {
			p.written += len(s)
		}
	}
	return i
}

func (p *Packer) text(s string) uint64 {
	if s == "" {
		return 0
	}
	n := len(p.b.texts)
	i := place(p.texts, s, &p.b.texts, s)
	if len(p.b.texts) > n {
		p.written += len(s)
	}
	return i
}

// place is where v is in a table, from 1 on; it is put there where its key is new.
func place[K comparable, V any](index map[K]uint32, key K, table *[]V, v V) uint64 {
	i, ok := index[key]
	if !ok {
		*table = append(*table, v)
		i = uint32(len(*table))
		index[key] = i
	}
	return uint64(i)
}
