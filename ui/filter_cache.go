package ui

import (
	"encoding/binary"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// flowFilter applies one filter to one snapshot after another. What it found
// for a flow holds until something of the flow changed that a filter can see, so
// that a snapshot costs what is new in it. It belongs to one goroutine.
type flowFilter struct {
	filter  *filter
	matcher matcher
	found   map[uint64]finding
	round   uint32
}

// finding is a result and all that it may have been made of; a flow's addresses
// and protocol never change.
type finding struct {
	client, server endpointFacts
	clientX        bool // the address after NAT is known
	serverX        bool
	ended          bool
	end            flow.End
	matches        bool
	round          uint32
}

type endpointFacts struct {
	workload *flow.Workload
	names    *string
	pid      uint32
	comm     uint64 // its first letters
}

func factsOf(e *flow.Endpoint) endpointFacts {
	f := endpointFacts{workload: e.Workload, pid: e.PID, comm: binary.NativeEndian.Uint64(e.Comm[:8])}
	if len(e.Names) > 0 {
		f.names = &e.Names[0]
	}
	return f
}

// match is a test for the rows of one snapshot, nil when every row matches.
func (c *flowFilter) match(f *filter, rows int) func(*aggregate.FlowRow) bool {
	if f.empty() {
		*c = flowFilter{}
		return nil
	}
	if c.filter != f {
		*c = flowFilter{filter: f, matcher: matcher{filter: f}, found: make(map[uint64]finding)}
	}
	if len(c.found) > 2*rows+1000 { // most are of flows that have gone
		for id, e := range c.found {
			if e.round != c.round {
				delete(c.found, id)
			}
		}
	}
	c.round++
	return c.flow
}

func (c *flowFilter) flow(r *aggregate.FlowRow) bool {
	now := finding{client: factsOf(&r.Client), server: factsOf(&r.Server), clientX: r.ClientXlated.IsValid(), serverX: r.ServerXlated.IsValid(),
		ended: r.Ended != 0, end: r.End, round: c.round}
	if was, ok := c.found[r.ID]; ok {
		now.matches = was.matches
		was.round = c.round
		if was == now {
			c.found[r.ID] = now
			return now.matches
		}
	}
	now.matches = c.matcher.flow(r)
	c.found[r.ID] = now
	return now.matches
}
