package hubble

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/pack"
)

// stage is the observer's name among the pipeline's stages.
const stage = "observer"

// DefaultRing is how many records an Observer keeps.
const DefaultRing = 65_536

// Config is what an Observer needs to know. The zero value works.
type Config struct {
	Ring     int    // newest records to keep; 0 is DefaultRing
	NodeName string // of this host, in every flow
	Version  string // of weir
	Address  string // where a relay finds this observer: host:port or unix:///path

	// Health is the pipeline's account of itself: new losses in it are told to
	// the clients. It is called about once a second, from any goroutine. nil
	// tells none.
	Health func() collector.Health

	// Live gives the latest record of each living flow to yield, until that
	// returns false, for clients that ask for a snapshot. It is called from any
	// goroutine, and yield does not block. nil refuses such clients.
	Live func(yield func(*flow.Record) bool)

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Observer keeps the newest records and serves them: as collector.Sink it takes
// them, as observerpb.ObserverServer and by Flows it gives them. It is safe for
// many goroutines.
type Observer struct {
	observerpb.UnimplementedObserverServer

	cfg     Config
	started time.Time
	losses  *lossLog

	mu         sync.Mutex
	ring       ring
	seen       uint64
	rate       rate
	namespaces map[string]int64 // when a flow of it was last seen
	followers  []*follower
	scratch    pack.Packer

	requests atomic.Int64  // GetFlows that run
	slow     atomic.Uint64 // records that followers had no time for
}

var (
	_ collector.Sink            = (*Observer)(nil)
	_ observerpb.ObserverServer = (*Observer)(nil)
)

// NewObserver is an Observer that has seen nothing yet.
func NewObserver(cfg Config) *Observer {
	if cfg.Ring <= 0 {
		cfg.Ring = DefaultRing
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	// Strings that are not UTF-8 do not leave by protobuf.
	cfg.NodeName, cfg.Version = valid(cfg.NodeName), valid(cfg.Version)
	return &Observer{
		cfg: cfg, started: cfg.Now(), ring: newRing(cfg.Ring), losses: newLossLog(cfg.Health),
		namespaces: make(map[string]int64),
	}
}

// Name is the stage of the pipeline.
func (o *Observer) Name() string { return stage }

// batchSize is how many records a follower gets at once, at most.
const batchSize = 1024

// Consume keeps a batch and hands it to the followers. It does not block.
func (o *Observer) Consume(_ context.Context, batch []flow.Record) error {
	now := o.cfg.Now()
	for part := range slices.Chunk(batch, batchSize) {
		o.take(now, part)
	}
	o.losses.poll(now)
	return nil
}

func (o *Observer) take(now time.Time, batch []flow.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	updates := slices.ContainsFunc(o.followers, func(f *follower) bool { return f.updates })
	events := 0
	for i := range batch {
		r := &batch[i]
		if r.Kind != flow.RecordUpdate {
			events++
			o.ring.add(r)
			o.note(now, r)
		}
		if len(o.followers) > 0 && (updates || r.Kind != flow.RecordUpdate) {
			o.scratch.Add(r)
		}
	}
	o.seen += uint64(events)
	o.rate.add(now, events)
	if o.scratch.Len() == 0 {
		return
	}
	packed := o.scratch.Seal()
	for _, f := range o.followers {
		want := events
		if f.updates {
			want = packed.Len()
		}
		if want > 0 && !f.offer(packed, want, now) {
			o.slow.Add(uint64(want))
		}
	}
}

// maxNamespaces bounds the namespaces that are remembered.
const maxNamespaces = 4096

// note remembers the namespaces of a record's ends.
func (o *Observer) note(now time.Time, r *flow.Record) {
	for _, w := range [2]*flow.Workload{r.Flow.Client.Workload, r.Flow.Server.Workload} {
		if w == nil || w.Namespace == "" {
			continue
		}
		if _, known := o.namespaces[w.Namespace]; known || len(o.namespaces) < maxNamespaces {
			o.namespaces[w.Namespace] = now.UnixNano()
		}
	}
}

// Lost is what the observer could not deliver, by stage and reason. Counters
// only grow.
func (o *Observer) Lost() map[flow.Loss]uint64 {
	return map[flow.Loss]uint64{{Stage: stage, Reason: reasonSlow}: o.slow.Load()}
}

// attach adds a follower, if f is not nil, and gives the ring as it is at that
// moment: no record is in neither, and none in both.
func (o *Observer) attach(f *follower) view {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f != nil {
		o.followers = append(o.followers, f)
	}
	return o.ring.view()
}

func (o *Observer) detach(f *follower) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.followers = slices.DeleteFunc(o.followers, func(x *follower) bool { return x == f })
}
