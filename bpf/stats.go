package bpf

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/seed79351815/weir/collector/flow"
)

// lossNames are the reasons of the stage "kernel", by enum loss of c/wire.h.
var lossNames = [...]string{
	sharedLossLOSS_RING_FULL:         "ring_full",
	sharedLossLOSS_FLOW_TABLE_FULL:   "flow_table_full",
	sharedLossLOSS_DROP_TABLE_FULL:   "drop_table_full",
	sharedLossLOSS_STORAGE_FAILED:    "storage_failed",
	sharedLossLOSS_PACKET_UNREADABLE: "packet_unreadable",
}

// account reconciles what the programs produced with what was read. The reader
// writes delivered and undecoded; stats may be called from any goroutine.
type account struct {
	buffer    []byte // of the ring's reader, kept between reads
	m         *ebpf.Map
	reader    *ringbuf.Reader
	cpus      []atomic.Uint64 // events delivered, by the processor that produced them
	undecoded atomic.Uint64

	mu     sync.Mutex // guards the rest
	last   []sharedCpuStats
	closed bool
}

func (a *account) open(stats *ebpf.Map, reader *ringbuf.Reader) error {
	n, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count processors: %w", err)
	}
	a.m, a.reader = stats, reader
	a.cpus = make([]atomic.Uint64, n)
	a.last = make([]sharedCpuStats, n)
	return nil
}

// delivered counts one sample that came out of the ring.
func (a *account) delivered(raw []byte, decodeErr error) {
	if decodeErr != nil {
		a.undecoded.Add(1)
	}
	if len(raw) < int(unsafe.Sizeof(sharedEventHdr{})) {
		return
	}
	h := (*sharedEventHdr)(unsafe.Pointer(unsafe.SliceData(raw)))
	if int(h.Cpu) < len(a.cpus) {
		a.cpus[h.Cpu].Add(1)
	}
}

// stats reads the kernel's side now. When that fails the reading before is given
// again: counters never go back.
func (a *account) stats(ring int) flow.SourceStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := flow.SourceStats{PerCPU: make([]flow.CPUCounts, len(a.cpus)), Lost: map[flow.Loss]uint64{}, Ring: uint64(ring)}
	// Delivered first: an event that arrives meanwhile is then "in the ring", never negative.
	for i := range a.cpus {
		s.PerCPU[i].Delivered = a.cpus[i].Load()
	}
	if !a.closed {
		a.look()
		s.Unread = uint64(a.reader.AvailableBytes())
	}
	for i := range min(len(a.last), len(s.PerCPU)) {
		s.PerCPU[i].Produced = a.last[i].Produced
		s.PerCPU[i].Lost = a.last[i].Lost[sharedLossLOSS_RING_FULL]
		for reason, name := range lossNames {
			if n := a.last[i].Lost[reason]; n > 0 {
				s.Lost[flow.Loss{Stage: "kernel", Reason: name}] += n
			}
		}
	}
	if n := a.undecoded.Load(); n > 0 {
		s.Lost[flow.Loss{Stage: "reader", Reason: "decode"}] = n
	}
	return s
}

func (a *account) look() {
	var now []sharedCpuStats
	if err := a.m.Lookup(uint32(0), &now); err == nil {
		a.last = now
	}
}

// close takes the last look: map and ring are gone afterwards.
func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed && a.m != nil {
		a.look()
	}
	a.closed = true
}
