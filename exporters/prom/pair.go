package prom

import (
	"slices"
	"strings"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// identity is the labels that all series of a pair share.
type identity struct {
	ends     string // joined
	protocol string
}

// join makes a key of label values, which hold no control characters.
func join(values []string) string { return strings.Join(values, "\x00") }

// pair is two workloads that talk over one protocol, and the series made of it.
// It comes and goes as a whole: a counter that stands still while its flow runs
// must stay. Operations alone may go earlier, where room is short.
type pair struct {
	identity
	ends     []string // values of the labels that every metric of a pair begins with
	home     *pairs
	overflow bool      // takes what had no budget: has none itself, and stays
	last     time.Time // latest record
	counters map[counterKey]*series
	often    [oftenCount]*series // some of counters; nil until there is one
	rtt      *observed           // nil until there was a reading
	connect  *observed

	operations map[operationKey]*operation
	held       [recordMetrics]int // operations by metric
}

// counterKey is a series within its pair: the metric and the value of its last
// label (verdict, direction, cause, reason or why), which is empty where it has
// none; of policy verdicts the values of all that come after the protocol, joined.
type counterKey struct {
	metric id
	label  string
}

// often is a series of a pair that most records are counted in: it is found
// without looking at words.
type often uint8

const (
	oBegan often = iota
	oBytesSent
	oBytesReceived
	oWireSent
	oWireReceived
	oPacketsSent
	oPacketsReceived
	oRetransmits
	oRequests
	oAnswers
	oftenCount
)

var oftens = [oftenCount]counterKey{
	oBegan:           {mFlows, verdictLabel(flow.VerdictForwarded)},
	oBytesSent:       {mBytes, "sent"},
	oBytesReceived:   {mBytes, "received"},
	oWireSent:        {mWireBytes, "sent"},
	oWireReceived:    {mWireBytes, "received"},
	oPacketsSent:     {mPackets, "sent"},
	oPacketsReceived: {mPackets, "received"},
	oRetransmits:     {mRetransmits, ""},
	oRequests:        {mL7Bytes, "sent"},
	oAnswers:         {mL7Bytes, "received"},
}

// values are the label values of a metric of this pair, in the table's order.
func (p *pair) values(m id, label string) []string {
	v := slices.Clone(p.ends)
	switch {
	case m == mPolicy:
		v = append(append(v, p.protocol), strings.Split(label, "\x00")...)
	case len(metrics[m].labels) > len(ends):
		v = append(v, p.protocol, label)
	}
	return v
}

// pairKey finds a pair without looking at a workload's strings: workloads are
// immutable, so the same pointers mean the same labels.
type pairKey struct {
	client, server *flow.Workload
	protocol       uint8 // a flow.Protocol, or a flow.L7Protocol
}

// pairs are the pairs of flows, or those of exchanges.
type pairs struct {
	budget   int
	labels   *Labels
	protocol func(uint8) string // its label
	all      map[identity]*pair
	byKey    map[pairKey]*pair // a cache over all
	named    int               // pairs that count against the budget
}

func newPairs(budget int, labels *Labels, protocol func(uint8) string) *pairs {
	return &pairs{budget: budget, labels: labels, protocol: protocol, all: map[identity]*pair{}, byKey: map[pairKey]*pair{}}
}

// between finds or makes the pair of two workloads.
func (ps *pairs) between(client, server *flow.Workload, protocol uint8, now time.Time) *pair {
	key := pairKey{client, server, protocol}
	p := ps.byKey[key]
	if p == nil {
		p = ps.obtain(ps.labels.ends(client, server), ps.protocol(protocol))
		// Workloads that are told anew leave their old pointers behind.
		if len(ps.byKey) >= 4*ps.budget {
			clear(ps.byKey)
		}
		ps.byKey[key] = p
	}
	p.last = now
	return p
}

// overflow is the pair that takes what had no budget.
func (ps *pairs) overflow(protocol string) *pair {
	return ps.obtain(ps.labels.overflowEnds(), protocol)
}

func (ps *pairs) obtain(ends []string, protocol string) *pair {
	i := identity{join(ends), protocol}
	if p := ps.all[i]; p != nil {
		return p
	}
	isOther := slices.Equal(ends, ps.labels.overflowEnds())
	if !isOther && ps.named >= ps.budget {
		return ps.overflow(protocol)
	}
	if !isOther {
		ps.named++
	}
	p := &pair{
		identity: i, ends: ends, home: ps, overflow: isOther,
		counters: map[counterKey]*series{}, operations: map[operationKey]*operation{},
	}
	ps.all[i] = p
	return p
}

// expire removes the pairs of which nothing was seen since before, and tells
// gone of each.
func (ps *pairs) expire(before time.Time, gone func(*pair)) {
	n := len(ps.all)
	for i, p := range ps.all {
		if p.overflow || !p.last.Before(before) {
			continue
		}
		gone(p)
		delete(ps.all, i)
		ps.named--
	}
	if len(ps.all) < n {
		clear(ps.byKey)
	}
}
