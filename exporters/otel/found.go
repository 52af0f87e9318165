package otel

import (
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// maxFound bounds the pairs and the operations whose series are at hand.
const maxFound = 4096

// found has the series of who talks to whom at hand: to look one up takes a hash of
// all that it is named by. Workloads are immutable, so that the same pointers mean
// the same names. It is a cache over a store, which is forgotten when series go.
type found struct {
	pairs      map[pairKey]*pair
	operations map[operationKey]*operation
}

func newFound() found {
	return found{map[pairKey]*pair{}, map[operationKey]*operation{}}
}

func (f *found) forget() {
	clear(f.pairs)
	clear(f.operations)
}

// remember puts one into a cache, which begins anew where it is full.
func remember[K comparable, V any](cache map[K]*V, key K, one *V) *V {
	if len(cache) >= maxFound {
		clear(cache)
	}
	cache[key] = one
	return one
}

// pair is two workloads and a transport that they talk over.
type pair struct {
	ends      names
	transport string
	series    [slots]*series // nil until there was something to count
}

type pairKey struct {
	client, server *flow.Workload
	transport      flow.Protocol
}

func (f *found) pair(x *flow.Flow) *pair {
	key := pairKey{x.Client.Workload, x.Server.Workload, x.Protocol}
	if p := f.pairs[key]; p != nil {
		return p
	}
	return remember(f.pairs, key, &pair{ends: bothNames(key.client, key.server), transport: x.Protocol.String()})
}

// slot is a series of a pair.
type slot uint8

const (
	sentBytes slot = iota
	receivedBytes
	sentWire
	receivedWire
	sentPackets
	receivedPackets
	retransmits
	roundTrips
	connects
	flowsBegun // by verdict
	slots      = flowsBegun + slot(flow.VerdictAudit) + 1
)

// slotMetrics are what a pair's series are of, and in which direction.
var slotMetrics = [flowsBegun + 1]struct {
	metric    metricID
	direction string
}{
	sentBytes: {mBytes, transmit}, receivedBytes: {mBytes, receive}, sentWire: {mWireBytes, transmit}, receivedWire: {mWireBytes, receive},
	sentPackets: {mPackets, transmit}, receivedPackets: {mPackets, receive}, retransmits: {metric: mRetransmits}, roundTrips: {metric: mRTT},
	connects: {metric: mConnect}, flowsBegun: {metric: mFlows},
}

// begun is the slot of flows that began with a verdict.
func begun(v flow.Verdict) slot {
	if v > flow.VerdictAudit {
		v = flow.VerdictUnknown
	}
	return flowsBegun + slot(v)
}

// of is a pair's series.
func (f *folder) of(p *pair, s slot, now time.Time) *series {
	x := p.series[s]
	if x == nil {
		row := &slotMetrics[min(s, flowsBegun)]
		values := p.ends[:]
		switch {
		case s >= flowsBegun:
			values = p.ends.with(p.transport, verdictName(flow.Verdict(s-flowsBegun)))
		case row.direction != "":
			values = p.ends.with(p.transport, row.direction)
		}
		x = f.series(row.metric, nil, now, values...)
		p.series[s] = x
	}
	x.last = now
	return x
}

func (f *folder) count(p *pair, s slot, n uint64, now time.Time) {
	if n > 0 {
		f.of(p, s, now).value += n
	}
}

// operation is what a client asks of a server, with an outcome.
type operation struct {
	sent, received *series // nil until there was something to count
	client, server *series // nil where it is not counted for that end
}

type operationKey struct {
	client, server *flow.Workload
	protocol       flow.L7Protocol
	seen           flow.Role
	both           bool
	status, port   uint16
	method, route  string
	name           string // of a server that is no workload
}

// operation finds or makes what a tally counts for. Its latencies' series are there.
func (f *folder) operation(row *l7.Protocol, l *flow.L7, now time.Time) *operation {
	t := l.Tally
	key := operationKey{l.Client.Workload, l.Server.Workload, l.Protocol, l.Seen, l.Both, t.Status, t.Port, l.Method, l.Route, ""}
	if key.server == nil && len(l.Server.Names) > 0 {
		key.name = l.Server.Names[0]
	}
	o := f.operations[key]
	if o == nil {
		o = &operation{}
		m := l7Metrics[l.Protocol]
		if l.Both || l.Seen != flow.RoleServer {
			o.client = f.series(m.client, l.Client.Workload, now, tallyValues(m.client, row, l)...)
		}
		if server := l.Both || l.Seen == flow.RoleServer; server && !(o.client != nil && m.client == m.server) {
			o.server = f.series(m.server, l.Server.Workload, now, tallyValues(m.server, row, l)...)
		}
		remember(f.operations, key, o)
	}
	return o
}
