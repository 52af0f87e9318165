package ui

import (
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// Past is what a history tells of a window of time. The words in it may come from
// anywhere: they are made harmless where they are shown.
type Past struct {
	Since, Until time.Time
	First        time.Time     // from when on there is anything at all; zero: nothing is kept yet
	Watched      time.Duration // how much of the window was seen: rates are over it
	Gaps         int           // stretches after First in which nobody looked
	Gap          time.Duration // how long they were together
	Lost         uint64        // events lost in the window
	Beyond       uint64        // exchanges whose operation is summed up as other
	Total        PastWorkload  // each connection once; its exchanges are those of Operations
	Workloads    []PastWorkload
	Operations   []PastOperation
}

// PastWorkload is what the connections and exchanges of a workload came to, seen from
// it.
type PastWorkload struct {
	Name                               string // as flow.Workload's String; empty: the world
	Opened, Failed, Drops, Retransmits uint64
	Sent, Received                     uint64 // bytes of payload
	Served, Asked                      []PastExchanges
}

// PastExchanges are exchanges of one protocol.
type PastExchanges struct {
	Protocol         flow.L7Protocol
	Requests, Errors uint64
	Sent, Received   uint64 // bytes of requests and of answers
	P50, P99         int64  // ns
}

// PastOperation is what one asked of another. Client and Server are names of
// Workloads; an empty Client is the world, another Server a name or an address.
type PastOperation struct {
	Client, Server, Method, Route string
	PastExchanges
}

// On is a snapshot of the window, as if it were the present: counts are of the window,
// rates are means over what was watched of it. Workloads are those of live where they
// have the same name; what the history does not know (flows, verdicts) is live's. It
// may be nil, and is not changed.
func (p *Past) On(live *aggregate.Snapshot) *aggregate.Snapshot {
	s := &aggregate.Snapshot{Time: p.Until.UnixNano()}
	names := make(map[string]*flow.Workload, len(p.Workloads))
	for i := range p.Workloads {
		if n := p.Workloads[i].Name; n != "" {
			names[n] = &flow.Workload{Name: n}
		}
	}
	if live != nil {
		s.Flows, s.Verdicts = live.Flows, live.Verdicts
		for i := range live.Workloads {
			w := live.Workloads[i].Workload
			if at := names[w.String()]; at != nil && at.Runtime == "" {
				names[w.String()] = w
			}
		}
	}
	s.Workloads = make([]aggregate.WorkloadRow, 0, len(p.Workloads))
	for i := range p.Workloads {
		s.Workloads = append(s.Workloads, p.workload(&p.Workloads[i], names))
	}
	all := p.workload(&p.Total, nil)
	s.Totals = aggregate.Totals{Opened: all.Opened, Failed: all.Failed, Drops: all.Drops, Retransmits: all.Retransmits,
		SentRate: all.SentRate, ReceivedRate: all.ReceivedRate, OpenRate: all.OpenRate}
	s.Operations = make([]aggregate.OperationRow, 0, len(p.Operations))
	for i := range p.Operations {
		row := p.operation(&p.Operations[i], names)
		if row.Protocol < flow.L7Protocols {
			t := &s.Totals.L7[row.Protocol]
			t.Requests += row.Requests
			t.Errors += row.Errors
		}
		s.Operations = append(s.Operations, row)
	}
	return s
}

func (p *Past) workload(w *PastWorkload, names map[string]*flow.Workload) aggregate.WorkloadRow {
	r := aggregate.WorkloadRow{Workload: names[w.Name], Opened: w.Opened, Failed: w.Failed, Drops: w.Drops, Retransmits: w.Retransmits,
		Sent: flow.Counters{Payload: w.Sent}, Received: flow.Counters{Payload: w.Received},
		SentRate: aggregate.Rates{Payload: p.rate(w.Sent)}, ReceivedRate: aggregate.Rates{Payload: p.rate(w.Received)}, OpenRate: p.rate(w.Opened)}
	for _, x := range w.Served {
		p.put(&r.Served, &x)
	}
	for _, x := range w.Asked {
		p.put(&r.Asked, &x)
	}
	return r
}

func (p *Past) put(to *byProtocol, x *PastExchanges) {
	if x.Protocol < flow.L7Protocols {
		to[x.Protocol] = p.exchanges(x)
	}
}

func (p *Past) exchanges(x *PastExchanges) aggregate.L7Row {
	return aggregate.L7Row{Requests: x.Requests, Errors: x.Errors, Rate: p.rate(x.Requests), ErrorRate: p.rate(x.Errors), P50: x.P50, P99: x.P99}
}

func (p *Past) operation(o *PastOperation, names map[string]*flow.Workload) aggregate.OperationRow {
	r := aggregate.OperationRow{Client: names[o.Client], Server: names[o.Server], Protocol: o.Protocol, Method: o.Method, Route: o.Route,
		L7Row: p.exchanges(&o.PastExchanges), RequestBytes: o.Sent, ResponseBytes: o.Received}
	if r.Server == nil {
		r.Remote = o.Server
	}
	return r
}

// rate is per second of what was watched.
func (p *Past) rate(n uint64) float64 { return float64(n) / max(p.Watched.Seconds(), 1) }
