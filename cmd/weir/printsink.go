package main

import (
	"context"
	"fmt"
	"math"

	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/filter"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

// printSink prints the flows of a pipeline of this process, chosen as the daemon
// would choose them.
type printSink struct {
	req     *observerpb.GetFlowsRequest
	convert *convert.Converter
	filters *filter.Set
	rest    *filter.Rest
	more    *more // nil for JSON
	out     *printer.Printer
	json    bool
	stop    func() // ends the pipeline: nobody wants more
	node    string

	printed uint64
	tail    []*observerpb.GetFlowsResponse // a ring of the newest, where only they are wanted
	next    int
	err     error
	over    bool
}

func newPrintSink(req *observerpb.GetFlowsRequest, format printer.Options, node string, stop func()) (*printSink, error) {
	filters, err := filter.Compile(req.Whitelist, req.Blacklist)
	if err != nil {
		return nil, err
	}
	if !req.First && req.Number != math.MaxUint64 && req.Number > maxTail {
		return nil, fmt.Errorf("--last %d: at most %d flows are kept without a daemon", req.Number, maxTail)
	}
	p := &printSink{
		req: req, convert: convert.New(node, thisBuild().Version), filters: filters, rest: filters.Rest(), node: node,
		out: printer.New(format), json: format.Format == printer.FormatJSON, stop: stop,
	}
	if !p.json && format.Err != nil {
		p.more = newMore(format.Err)
	}
	return p, nil
}

// maxTail bounds what --last keeps in memory.
const maxTail = 1 << 20

// Name is the stage of its losses.
func (p *printSink) Name() string { return "observe" }

// Consume prints; a reader that went away ends the pipeline, without an error.
func (p *printSink) Consume(_ context.Context, batch []flow.Record) error {
	for i := range batch {
		if p.over {
			return nil
		}
		switch r := &batch[i]; {
		case r.Kind == flow.RecordUpdate:
			// As in the daemon's ring: how a living flow's numbers grow is for weir top.
		case r.Kind != flow.RecordL7:
			p.take(r)
		case r.L7 == nil:
		case r.L7.Exchange != nil:
			p.take(r)
		case r.L7.Tally != nil && p.more != nil && p.wanted(r.Time):
			p.more.add(r.L7, p.rest.Of(r.L7.Tally))
		}
	}
	return nil
}

func (p *printSink) take(r *flow.Record) {
	f := p.convert.Flow(r)
	if !p.wanted(r.Time) || !p.filters.Match(f) {
		return
	}
	if p.json {
		p.convert.Extend(f, r)
	}
	if r.Kind == flow.RecordL7 {
		p.rest.Shown(r.L7.Exchange)
	}
	res := &observerpb.GetFlowsResponse{
		ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f}, NodeName: p.node, Time: f.Time,
	}
	if !p.req.First && p.req.Number != math.MaxUint64 && !p.req.Follow {
		p.keep(res)
		return
	}
	p.write(res)
	if p.printed++; p.req.First && p.printed >= p.req.Number {
		p.end(nil)
	}
}

// wanted tells whether a time is between --since and --until.
func (p *printSink) wanted(ns int64) bool {
	if s := p.req.Since; s != nil && ns < s.AsTime().UnixNano() {
		return false
	}
	u := p.req.Until
	return u == nil || ns <= u.AsTime().UnixNano()
}

func (p *printSink) keep(res *observerpb.GetFlowsResponse) {
	if uint64(len(p.tail)) < p.req.Number {
		p.tail = append(p.tail, res)
		return
	}
	p.tail[p.next] = res
	p.next = (p.next + 1) % len(p.tail)
}

func (p *printSink) write(res *observerpb.GetFlowsResponse) {
	if err := p.out.Write(res); err != nil {
		p.end(err)
	}
}

func (p *printSink) end(err error) {
	p.err, p.over = err, true
	p.stop()
}

// finish prints what was kept. It is called when the pipeline has ended.
func (p *printSink) finish() error {
	for i := range p.tail {
		if p.err != nil {
			break
		}
		p.write(p.tail[(p.next+i)%len(p.tail)])
	}
	if p.err != nil {
		return p.err
	}
	err := p.out.Close()
	if p.more != nil {
		p.more.close()
	}
	return err
}

// tellLosses says at the end what is missing in what was shown.
func (a *app) tellLosses(f *feed) {
	if lost := control.Losses(f.Health().Lost); len(lost) > 0 {
		fmt.Fprintf(a.err, "weir: lost on the way: %s\n", lostLine(lost))
	}
}
