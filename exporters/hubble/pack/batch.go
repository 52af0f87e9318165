package pack

import "github.com/seed79351815/weir/collector/flow"

// Batch is a sequence of packed records. It is immutable: any number of
// goroutines may read it, and it may be kept.
type Batch struct {
	data      []byte
	ends      []uint32 // where each record ends in data
	workloads []*flow.Workload
	names     [][]string
	texts     []string
	first     int64
	last      int64
}

// Len is the number of records.
func (b *Batch) Len() int { return len(b.ends) }

// Times are the earliest and the latest Time of the records; 0 when empty.
func (b *Batch) Times() (first, last int64) { return b.first, b.last }

// At unpacks record i into r, which is overwritten whole. Workloads and names
// are those that were packed, not copies. It allocates for drops, exchanges
// and tallies only.
func (b *Batch) At(i int, r *flow.Record) {
	c := cursor{data: b.data[b.start(i):b.ends[i]]}
	c.record(r, b)
}

// Kind is record i's kind, without the cost of unpacking it.
func (b *Batch) Kind(i int) flow.RecordKind { return flow.RecordKind(b.data[b.start(i)]) }

// Tally tells whether record i is a tally of exchanges, without the cost of
// unpacking it.
func (b *Batch) Tally(i int) bool {
	const flags = 2 // where record and l7 write them
	return b.Kind(i) == flow.RecordL7 && b.data[b.start(i)+flags]&l7Tally != 0
}

func (b *Batch) start(i int) uint32 {
	if i == 0 {
		return 0
	}
	return b.ends[i-1]
}

// Size is the memory that the packed records take, in bytes. What the
// workloads and names themselves take is not counted: they are shared.
func (b *Batch) Size() int {
	return cap(b.data) + 4*cap(b.ends) + 8*cap(b.workloads) + 24*cap(b.names) + 16*cap(b.texts)
}
