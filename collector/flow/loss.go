package flow

// Loss names a place where observations can be lost. Stage and Reason are the
// labels of weir_lost_total and are never renamed.
type Loss struct {
	Stage  string // kernel, reader, collector, aggregate, sink name
	Reason string // ring_full, table_full, storage_failed, queue_full, decode, …
}

// CPUCounts reconcile what one processor produced with what became of it:
// Produced = Delivered + Lost + what is still in the ring.
type CPUCounts struct {
	Produced  uint64 // events that programs wanted to send
	Delivered uint64 // events that the reader took out of the ring
	Lost      uint64 // events for which the ring had no room
}

// SourceStats is a Source's own account. Counters only grow.
type SourceStats struct {
	PerCPU []CPUCounts
	Lost   map[Loss]uint64 // every loss the source knows, the rings' Lost included (kernel, ring_full)
	Unread uint64          // bytes that wait in the ring
	Ring   uint64          // size of the ring, bytes
	Tables []TableFill
	Unseen []Unseen // of connections whose protocol is read, what was not
}

// Total sums the processors' counts.
func (s SourceStats) Total() (t CPUCounts) {
	for _, c := range s.PerCPU {
		t.Produced += c.Produced
		t.Delivered += c.Delivered
		t.Lost += c.Lost
	}
	return t
}

// TableFill is how full a kernel table is.
type TableFill struct {
	Name    string
	Entries uint64
	Max     uint64
}
