package prom

import (
	"context"
	"sync"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// Build says which weir this is.
type Build struct {
	Version  string
	Revision string
	Go       string
}

// Config is what an Exporter needs. Only Health must be given.
type Config struct {
	Health func() collector.Health // called once for each scrape, from any goroutine
	Build  Build
	Labels Labels           // which to add and which to leave empty
	Budget int              // series for each metric; 2000 when 0
	TTL    time.Duration    // how long the series of silent workloads stay; 5 minutes when 0
	Now    func() time.Time // time.Now when nil
}

const (
	defaultBudget = 2000
	defaultTTL    = 5 * time.Minute
	maxAwaiting   = 4096
)

// Exporter is a collector.Sink, and serves what it made of the records. It is safe
// for concurrent use; Consume waits at most for a scrape to copy the series.
type Exporter struct {
	cfg   Config
	descs descriptors

	mu    sync.Mutex
	store *store
	swept time.Time
	// awaiting holds the flows whose first record had no connect latency: the
	// server's socket may report before the client's.
	awaiting map[uint64]struct{}
}

// New makes an Exporter. It starts nothing and holds nothing that needs closing.
func New(cfg Config) *Exporter {
	if cfg.Budget <= 0 {
		cfg.Budget = defaultBudget
	}
	if cfg.TTL <= 0 {
		cfg.TTL = defaultTTL
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Exporter{cfg: cfg, swept: cfg.Now(), awaiting: map[uint64]struct{}{}}
	e.descs, e.store = descs(&e.cfg.Labels), newStore(cfg.Budget, &e.cfg.Labels)
	return e
}

// Name is the stage of the exporter's losses.
func (e *Exporter) Name() string { return "prom" }

// Consume folds records into series. It keeps none of them and never fails.
func (e *Exporter) Consume(_ context.Context, batch []flow.Record) error {
	now := e.cfg.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range batch {
		e.fold(&batch[i], now)
	}
	e.sweep(now)
	return nil
}

func (e *Exporter) fold(r *flow.Record, now time.Time) {
	s := e.store
	e.decided(r, now)
	if r.Kind == flow.RecordL7 {
		if r.L7 != nil {
			s.fold(r.L7, now)
		}
		return
	}
	f := &r.Flow
	p := s.flows.between(f.Client.Workload, f.Server.Workload, uint8(f.Protocol), now)
	switch r.Kind {
	case flow.RecordStart:
		if r.Verdict == flow.VerdictForwarded {
			s.count(p, oBegan, 1, now)
		} else {
			s.add(p, mFlows, verdictLabel(r.Verdict), 1, now)
		}
	case flow.RecordDrop:
		if r.Drop != nil {
			s.add(p, mDrops, clean(r.Drop.Reason), r.Drop.Packets, now)
		}
	case flow.RecordEnd:
		if f.End.Failed() {
			s.add(p, mFailures, causeLabel(f.End), 1, now)
		}
	}
	d := &r.Delta
	s.count(p, oBytesSent, d.Sent.Payload, now)
	s.count(p, oBytesReceived, d.Received.Payload, now)
	s.count(p, oWireSent, d.Sent.Wire, now)
	s.count(p, oWireReceived, d.Received.Wire, now)
	s.count(p, oPacketsSent, d.Sent.Packets, now)
	s.count(p, oPacketsReceived, d.Received.Packets, now)
	if f.Protocol != flow.TCP {
		return
	}
	s.count(p, oRetransmits, uint64(d.Retransmits), now)
	// A flow that rests keeps its last RTT: only packets make it a new reading.
	if f.RTT > 0 && d.Received.Packets > 0 {
		s.observe(p, mRTT, f.RTT)
	}
	e.connected(p, r)
}

// connected observes a connection's latency once.
func (e *Exporter) connected(p *pair, r *flow.Record) {
	f := &r.Flow
	_, awaited := e.awaiting[f.ID]
	first := r.Kind == flow.RecordStart
	switch {
	case f.ConnectLatency > 0 && (first || awaited):
		e.store.observe(p, mConnect, f.ConnectLatency)
		delete(e.awaiting, f.ID)
	case awaited && r.Kind == flow.RecordEnd:
		delete(e.awaiting, f.ID)
	case first && !f.Preexisting && len(e.awaiting) < maxAwaiting:
		e.awaiting[f.ID] = struct{}{}
	}
}

// sweep removes what was silent for the TTL, looking ten times in its length.
func (e *Exporter) sweep(now time.Time) {
	if now.Sub(e.swept) < e.cfg.TTL/10 {
		return
	}
	e.swept = now
	e.store.expire(now.Add(-e.cfg.TTL))
}
