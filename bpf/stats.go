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
	// The exchanges are in the totals: lost is with whom and about what they were.
	sharedLossLOSS_EXCHANGE_TABLE_FULL: "exchange_table_full",
	sharedLossLOSS_LOOKUP_TABLE_FULL:   "lookup_table_full",
}

// unseenNames are the causes by enum unseen of c/wire_l7.h.
var unseenNames = [...]string{
	sharedUnseenUNSEEN_GAP:        "gap",
	sharedUnseenUNSEEN_MID_STREAM: "mid_stream",
	sharedUnseenUNSEEN_BUSY:       "busy",
	sharedUnseenUNSEEN_ERROR:      "error",
	sharedUnseenUNSEEN_PIPELINED:  "pipelined",
	sharedUnseenUNSEEN_STORAGE:    "storage_failed",
	sharedUnseenUNSEEN_LISTENER:   "listener",
}

// account reconciles what the programs produced with what was read. The reader
// writes delivered and undecoded; stats may be called from any goroutine.
type account struct {
	buffer    []byte // of the ring's reader, kept between reads
	m, l7     *ebpf.Map
	reader    *ringbuf.Reader
	cpus      []atomic.Uint64 // events delivered, by the processor that produced them
	undecoded atomic.Uint64

	mu     sync.Mutex // guards the rest
	last   []sharedCpuStats
	lastL7 []sharedL7Cpu
	closed bool
}

func (a *account) open(stats, l7 *ebpf.Map, reader *ringbuf.Reader) error {
	n, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count processors: %w", err)
	}
	a.m, a.l7, a.reader = stats, l7, reader
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
	s.Unseen = a.unseen()
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
	var l7 []sharedL7Cpu
	if err := a.l7.Lookup(uint32(0), &l7); err == nil {
		a.lastL7 = l7
	}
}

// unseen sums what was not read of connections whose protocol is read.
func (a *account) unseen() (list []flow.Unseen) {
	for protocol := range flow.L7Protocols {
		for reason, name := range unseenNames {
			u := flow.Unseen{Protocol: flow.L7Protocol(protocol), Reason: name}
			for i := range a.lastL7 {
				c := &a.lastL7[i].Unseen[protocol*int(sharedUnseenUNSEEN_MAX)+reason]
				u.Stretches += c.Stretches
				u.Bytes += c.Bytes
			}
			if u.Stretches > 0 || u.Bytes > 0 {
				list = append(list, u)
			}
		}
	}
	return list
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
