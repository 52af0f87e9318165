package aggregate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	rebuildEvery = 500 * time.Millisecond
	keepEnded    = 30 * time.Second // a flow that has ended is shown for so long
	keepWorkload = 5 * time.Minute  // and a workload without flows
	maxEnded     = 16384            // of the ended flows, the newest
	maxWorkloads = 16384
)

// ViewConfig bounds a View. The zero value of a field means its default.
type ViewConfig struct {
	MaxFlows int              // living flows; DefaultMaxFlows
	Clock    func() time.Time // time.Now; only differences of its times are used
}

// View keeps what records tell and shows it as Snapshots. It is a collector.Sink.
// Consume is for one goroutine, Snapshot for any.
//
// Its time is that of the records, moved on by the clock since the latest came,
// so it serves a live pipeline, another host's records and a recording alike.
type View struct {
	clock     func() time.Time
	max       int
	current   atomic.Pointer[Snapshot]
	built     atomic.Int64 // when the current one was found right, by clock
	mu        sync.Mutex
	flows     map[uint64]*viewFlow
	live      int
	ended     fifo[endedFlow]
	workloads map[workloadKey]*viewWorkload
	l7        viewL7
	verdicts  viewVerdicts
	peers     map[peer]struct{} // for build, to be used again
	total     viewWorkload      // each flow once, seen from its client
	unshown   uint64
	round     uint64    // of build
	latest    int64     // time of the newest record
	heard     time.Time // when it came, by clock
	news      bool      // a record came since the current snapshot
	moving    bool      // the current snapshot is not at rest: it changes without records
}

type viewFlow struct {
	flow.Flow
	pace      pace
	workloads [2]*viewWorkload // by side; nil for one that had no room
	gone      bool
}

type endedFlow struct {
	id uint64
	at int64
}

// NewView makes an empty view.
func NewView(cfg ViewConfig) *View {
	if cfg.MaxFlows <= 0 {
		cfg.MaxFlows = DefaultMaxFlows
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	v := &View{
		clock: cfg.Clock, max: cfg.MaxFlows, flows: map[uint64]*viewFlow{},
		workloads: map[workloadKey]*viewWorkload{}, peers: map[peer]struct{}{}, l7: newViewL7(), verdicts: newViewVerdicts(),
	}
	now := v.clock()
	v.heard, v.latest = now, now.UnixNano()
	v.current.Store(&Snapshot{Time: v.latest})
	v.built.Store(now.Add(-rebuildEvery).UnixNano())
	return v
}

// Name is the stage of a view's losses.
func (v *View) Name() string { return "view" }

// Consume takes records; see collector.Sink. It never fails.
func (v *View) Consume(_ context.Context, batch []flow.Record) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range batch {
		v.take(&batch[i])
	}
	v.expire()
	v.news = v.news || len(batch) > 0
	return nil
}

// Snapshot is the present state. It is made when it is asked for, at most every
// 500 ms, and is the same as before where nothing changed. Never nil.
func (v *View) Snapshot() *Snapshot {
	now := v.clock()
	if now.UnixNano()-v.built.Load() < int64(rebuildEvery) {
		return v.current.Load()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.UnixNano()-v.built.Load() >= int64(rebuildEvery) {
		if v.news || v.moving {
			v.build()
			v.news = false
		}
		v.built.Store(now.UnixNano())
	}
	return v.current.Load()
}

// now is the view's time.
func (v *View) now() int64 { return v.latest + int64(v.clock().Sub(v.heard)) }

// take takes one record in.
func (v *View) take(r *flow.Record) {
	f := &r.Flow
	at := max(r.Time, f.Last)
	if at > v.latest || v.total.touched == 0 {
		v.latest, v.heard = at, v.clock()
	}
	if r.Kind == flow.RecordL7 {
		v.total.touched = at
		if r.L7 != nil {
			v.takeL7(r.L7, at)
		}
		return
	}
	if r.Kind == flow.RecordVerdict {
		v.total.touched = at
		if r.Judged != nil {
			v.takeVerdict(r, at)
		}
		return
	}
	v.total.count(client, r, at)
	c, s := v.workload(f.Client.Workload, at), v.workload(f.Server.Workload, at)
	c.count(client, r, at)
	if c != s {
		s.count(server, r, at)
	} else if c != nil {
		c.add(server, &r.Delta) // it sent both ways; all else is counted once
	}
	x := v.flow(r)
	if x == nil {
		v.unshown++
		return
	}
	over := r.Kind == flow.RecordEnd || f.Ended != 0
	x.Flow, x.workloads = *f, [2]*viewWorkload{c, s}
	since := r.Time
	if r.Kind != flow.RecordStart {
		since = at - int64(usualGap)
	}
	x.pace.add(at, since, &r.Delta)
	if over && !x.gone {
		x.gone = true
		v.live--
		v.ended.push(endedFlow{f.ID, at})
		// A living flow's rate is measured on it; this one's last bytes are not to vanish.
		last := x.pace.recent(at)
		v.total.flux.take(client, at, &last)
		if c != nil {
			c.flux.take(client, at, &last)
		}
		if s != nil {
			s.flux.take(server, at, &last)
		}
	}
}

// flow is the row of a record's flow; nil where there is no room for a new one.
func (v *View) flow(r *flow.Record) *viewFlow {
	x := v.flows[r.Flow.ID]
	if x == nil && v.live < v.max {
		x = &viewFlow{}
		v.flows[r.Flow.ID] = x
		v.live++
	}
	return x
}

// expire forgets the flows that ended long ago, or too many others ago.
func (v *View) expire() {
	now := v.now()
	for v.ended.len() > maxEnded || v.ended.len() > 0 && now-v.ended.front().at > int64(keepEnded) {
		delete(v.flows, v.ended.pop().id)
	}
}
