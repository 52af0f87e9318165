package bpf

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/seed79351815/weir/collector/flow"
)

// readMode says what a reading of a table passes on.
type readMode uint8

const (
	readOlder     readMode = iota // sockets that are older than weir: they are marked in the kernel
	readListeners                 // nothing but the listening sockets, into the decoder's set
	readAll                       // every living flow
	readChanged                   // flows with new packets
)

// telling is what the iterators' programs are asked for: enum telling in c/living.h.
func (m readMode) telling() uint32 {
	return map[readMode]uint32{readOlder: 0, readChanged: 1, readListeners: 2, readAll: 2}[m]
}

// sockTable is the kernel's TCP sockets, read by an iterator in one pass over all
// network namespaces: the socket storage, or the open files of all processes.
type sockTable struct {
	point   string // as the kernel names the iterator
	iter    *link.Iter
	telling *ebpf.Variable
	reader  reportReader
	pace    pace
}

func newSockTable(point string, it *link.Iter, telling *ebpf.Variable) *sockTable {
	return &sockTable{point: point, iter: it, telling: telling}
}

// read passes on what mode says. A reading of what changed is left out where the
// one before took so long that they would take more than their share of a processor.
func (t *sockTable) read(d *decoder, mode readMode, b *batcher) error {
	begun := time.Now()
	if mode == readChanged && !t.pace.due(begun) {
		return nil
	}
	if err := t.telling.Set(mode.telling()); err != nil {
		return fmt.Errorf("set what %s tells: %w", t.point, err)
	}
	now := begun.UnixNano()
	err := t.reader.each(t.iter, func(r *sharedSockReport) { t.report(d, r, mode, now, b) })
	if err != nil {
		return fmt.Errorf("%s: %w", t.point, err)
	}
	t.pace.took(begun, time.Since(begun))
	return nil
}

// pace keeps readings to a share of one processor's time.
type pace struct{ next time.Time }

// paceShare is one in so many.
const paceShare = 20

func (p *pace) due(now time.Time) bool { return !now.Before(p.next) }

func (p *pace) took(begun time.Time, d time.Duration) { p.next = begun.Add(paceShare * d) }

func (t *sockTable) report(d *decoder, r *sharedSockReport, mode readMode, now int64, b *batcher) {
	if mode == readOlder || mode == readListeners {
		if sharedSockRole(r.Role) == sharedSockRoleROLE_LISTENER {
			d.listeners.add(r)
		}
		return
	}
	ev := b.next()
	*ev = flow.Event{Kind: flow.KindUpdate, Time: now}
	if sharedSockRole(r.Role) == sharedSockRoleROLE_LISTENER {
		ev.Kind = flow.KindListen
	}
	d.socket(r, &ev.Socket)
}

// flowTable is the kernel's hash of connectionless flows.
type flowTable struct {
	m        *ebpf.Map
	idle     time.Duration
	keys     []sharedFlowKey
	values   []sharedFlowValue
	expired  []sharedFlowKey
	lastRead uint64 // CLOCK_BOOTTIME ns
	entries  atomic.Uint64
}

func newFlowTable(m *ebpf.Map, idle time.Duration) *flowTable {
	const batch = 512
	return &flowTable{m: m, idle: idle, keys: make([]sharedFlowKey, batch), values: make([]sharedFlowValue, batch)}
}

func (t *flowTable) read(d *decoder, mode readMode, b *batcher) error {
	now := time.Now().UnixNano()
	boot := uint64(now - d.offset)
	t.expired = t.expired[:0]
	var cursor ebpf.MapBatchCursor
	entries := uint64(0)
	for {
		n, err := t.m.BatchLookup(&cursor, t.keys, t.values, nil)
		entries += uint64(n)
		for i := range n {
			v := &t.values[i]
			switch {
			case v.Last != 0 && boot > v.Last && boot-v.Last > uint64(t.idle):
				t.expired = append(t.expired, t.keys[i])
			case mode == readAll || v.Last >= t.lastRead:
				t.report(d, &t.keys[i], v, flow.KindUpdate, now, b)
			}
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("read BPF map flows: %w", err)
		}
	}
	for i := range t.expired {
		// Taken out and read in one step, so that no packet between goes uncounted.
		var v sharedFlowValue
		if err := t.m.LookupAndDelete(&t.expired[i], &v); err != nil {
			continue
		}
		t.report(d, &t.expired[i], &v, flow.KindClose, now, b)
	}
	t.lastRead = boot
	t.entries.Store(entries - uint64(len(t.expired)))
	return nil
}

func (t *flowTable) report(d *decoder, k *sharedFlowKey, v *sharedFlowValue, kind flow.Kind, now int64, b *batcher) {
	r := sharedSockReport{
		Cookie: k.Cookie, Cgroup: v.Cgroup, Start: v.Start, Last: v.Last, Sent: v.Sent, Received: v.Received,
		Local: k.Local, Remote: k.Remote, Wire: v.Wire, Netns: v.Netns, Pid: v.Pid, Protocol: uint8(k.Protocol),
		Role: v.Role, Flags: v.Flags, IcmpType: v.IcmpType, IcmpCode: v.IcmpCode, Comm: v.Comm,
	}
	ev := b.next()
	*ev = flow.Event{Kind: kind, Time: now}
	if kind == flow.KindClose {
		r.End = uint8(flow.EndIdle)
		ev.Time = int64(v.Last) + d.offset
	}
	d.socket(&r, &ev.Socket)
}
