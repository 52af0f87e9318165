package hubble

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"

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

	// Address and ServerName are where a relay finds this observer and by whose
	// name it verifies the certificate, as in Peer.
	Address, ServerName string

	// Peers are the other nodes that a relay is told of. One of NodeName says
	// of this node what Address and ServerName would.
	Peers []Peer

	// Health is the pipeline's account of itself: new losses in it are told to
	// the clients. It is called about once a second, from any goroutine. nil
	// tells none.
	Health func() collector.Health

	// Live gives the latest record of each living flow to yield, until that
	// returns false, for clients that ask for a snapshot. It is called from any
	// goroutine, and yield does not block. nil refuses such clients.
	Live func(yield func(*flow.Record) bool)

	// Past is what is kept beyond the ring. It takes the same records as the
	// Observer, with the same NodeName. nil keeps nothing.
	Past Past

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
	agent   *agentLog

	mu         sync.Mutex
	ring       ring
	seen       uint64
	rate       rate
	namespaces map[string]int64               // when a flow of it was last seen
	noted      [notedWorkloads]*flow.Workload // whose namespaces have the time of the batch at work
	followers  []*follower
	scratch    pack.Packer

	requests atomic.Int64  // GetFlows that run
	slow     atomic.Uint64 // records and events that followers had no time for
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
	o := &Observer{
		cfg: cfg, started: cfg.Now(), ring: newRing(cfg.Ring), losses: newLossLog(cfg.Health), agent: newAgentLog(),
		namespaces: make(map[string]int64),
	}
	o.Tell(&flowpb.AgentEvent{
		Type:         flowpb.AgentEventType_AGENT_STARTED,
		Notification: &flowpb.AgentEvent_AgentStart{AgentStart: &flowpb.TimeNotification{Time: timestamppb.New(o.started)}},
	})
	return o
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
	var asked counts // what any follower asks for
	for _, f := range o.followers {
		asked.events++
		asked.updates += f.of(counts{updates: 1})
		asked.tallies += f.of(counts{tallies: 1})
	}
	var n counts
	clear(o.noted[:])
	for i := range batch {
		r := &batch[i]
		wanted := asked.events
		switch classOf(r) {
		case classEvent:
			n.events++
			o.ring.add(r)
			o.note(now, r)
		case classUpdate:
			n.updates++
			wanted = asked.updates
		case classTally:
			n.tallies++
			wanted = asked.tallies
		default:
			continue
		}
		if wanted > 0 {
			o.scratch.Add(r)
		}
	}
	o.seen += uint64(n.events)
	o.rate.add(now, n.events)
	if o.scratch.Len() == 0 {
		return
	}
	packed := o.scratch.Seal()
	for _, f := range o.followers {
		if want := f.of(n); want > 0 && !f.offer(packed, want, now) {
			o.slow.Add(uint64(want))
		}
	}
}

const (
	maxNamespaces  = 4096 // that are remembered
	notedWorkloads = 64   // a power of two
)

// note remembers the namespaces of a record's ends.
func (o *Observer) note(now time.Time, r *flow.Record) {
	client, server := &r.Flow.Client, &r.Flow.Server
	if r.Kind == flow.RecordL7 {
		client, server = &r.L7.Client, &r.L7.Server
	}
	for _, w := range [2]*flow.Workload{client.Workload, server.Workload} {
		if w == nil || w.Namespace == "" {
			continue
		}
		at := &o.noted[w.CgroupID%notedWorkloads]
		if *at == w {
			continue
		}
		*at = w
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
