package simulate

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
)

// Bounds of a Gatherer.
const (
	maxConversations = 65536
	maxWorkloads     = 65536
	maxNamed         = 65536 // addresses of which names are known
	maxNames         = 32    // of one address
)

// Gatherer is a collector.Sink that keeps what is needed for judging: who talked
// with whom over which service and asked for which names, not each flow. It is safe for concurrent use.
type Gatherer struct {
	mu            sync.Mutex
	conversations map[conversationKey]*conversation
	questions     map[questionKey]*question
	workloads     map[uint64]*flow.Workload
	names         map[namedKey][]string
	missed        uint64
}

// conversationKey tells apart what a policy can.
type conversationKey struct {
	client, server         uint64     // cgroups; 0: elsewhere
	clientAddr, serverAddr netip.Addr // each as the other end sees it, where that is judged
	protocol               flow.Protocol
	port, real             uint16 // that was asked for, and that is listened on; the type for ICMP
}

// conversation is the flows of one key together.
type conversation struct {
	example       flow.Flow
	at            int64 // of the example
	traffic       bool  // something passed: it was more than an attempt
	started       uint64
	ended         uint64
	bytes         uint64
	first, latest int64
}

type namedKey struct {
	workload baseline.Key
	addr     netip.Addr
}

// NewGatherer makes an empty Gatherer.
func NewGatherer() *Gatherer {
	return &Gatherer{
		conversations: map[conversationKey]*conversation{}, questions: map[questionKey]*question{}, workloads: map[uint64]*flow.Workload{}, names: map[namedKey][]string{},
	}
}

// Name is the stage of its losses.
func (g *Gatherer) Name() string { return "simulate" }

// Consume takes records in. It keeps what they point to, and never fails.
func (g *Gatherer) Consume(_ context.Context, batch []flow.Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range batch {
		switch batch[i].Kind {
		case flow.RecordL7:
			g.ask(&batch[i])
		case flow.RecordVerdict: // of no flow
		default:
			g.take(&batch[i])
		}
	}
	return nil
}

func (g *Gatherer) take(r *flow.Record) {
	f := &r.Flow
	sides, n := baseline.Sides(f)
	if n == 0 {
		return
	}
	key := conversationKey{protocol: f.Protocol}
	for i := range sides[:n] {
		s := &sides[i]
		g.meet(s.Workload)
		g.name(s)
		if s.Egress {
			key.client, key.serverAddr, key.port = s.Workload.CgroupID, s.Addr, s.Port
		} else {
			key.server, key.clientAddr, key.real = s.Workload.CgroupID, s.Addr, s.Port
		}
	}
	if key.client != 0 && f.Client.Seen {
		key.clientAddr = netip.Addr{} // the socket tells more
	}
	c := g.conversations[key]
	if c == nil {
		if len(g.conversations) >= maxConversations {
			g.missed++
			return
		}
		c = &conversation{first: r.Time}
		g.conversations[key] = c
	}
	c.take(r)
}

func (c *conversation) take(r *flow.Record) {
	passed := baseline.Passed(r)
	// The example is the first flow of those that show the most.
	earlier := cmp.Or(cmp.Compare(r.Time, c.at), cmp.Compare(r.Flow.ID, c.example.ID)) < 0
	if c.at == 0 || passed && !c.traffic || passed == c.traffic && earlier {
		c.example, c.at = r.Flow, r.Time
	}
	c.traffic = c.traffic || passed
	switch r.Kind {
	case flow.RecordStart:
		c.started++
	case flow.RecordEnd:
		c.ended++
	}
	c.bytes += r.Delta.Sent.Payload + r.Delta.Received.Payload
	c.first, c.latest = min(c.first, r.Time), max(c.latest, r.Time)
}

func (c *conversation) flows() uint64 { return max(c.started, c.ended, 1) }

// Meet tells the Gatherer of a workload whose flows it may not see: of the host,
// whose addresses name whoever shares them.
func (g *Gatherer) Meet(w *flow.Workload) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.meet(w)
}

// meet keeps a workload as it is best known.
func (g *Gatherer) meet(w *flow.Workload) {
	old := g.workloads[w.CgroupID]
	switch {
	case old == nil && len(g.workloads) >= maxWorkloads:
		g.missed++
	case old == nil, old.Pending, !w.Pending && len(w.Labels) >= len(old.Labels):
		g.workloads[w.CgroupID] = w
	}
}

// name keeps what an address was called, for all replicas of a workload.
func (g *Gatherer) name(s *baseline.Side) {
	if !s.Egress || len(s.Far.Names) == 0 {
		return
	}
	k := namedKey{s.Key, s.Addr}
	known, ok := g.names[k]
	if !ok && len(g.names) >= maxNamed {
		g.missed++
		return
	}
	for _, n := range s.Far.Names {
		if len(known) < maxNames && !slices.Contains(known, n) {
			known = append(known, n)
		}
	}
	g.names[k] = known
}
