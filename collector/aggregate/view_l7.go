package aggregate

import (
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

const (
	maxOperations = 4096
	shownStatuses = 5 // of an operation
)

// accounts are a workload's exchanges by protocol; nil where there were none.
type accounts [flow.L7Protocols]*l7.RED

func (a *accounts) of(p flow.L7Protocol) *l7.RED {
	if a[p] == nil {
		a[p] = new(l7.RED)
	}
	return a[p]
}

// viewL7 is what a View keeps of exchanges.
type viewL7 struct {
	operations map[operationKey]*operation
	total      accounts // each exchange once
	overflow   uint64   // exchanges of operations for which there was no room
	scratch    l7.Histogram
}

func newViewL7() viewL7 { return viewL7{operations: map[operationKey]*operation{}} }

// operationKey tells operations apart. That of the rest, for which there was no
// room, has neither client nor server.
type operationKey struct {
	client, server workloadKey
	remote         string // of a server that no workload stands behind
	protocol       flow.L7Protocol
	rest           bool
	method, route  string
}

// operation is the account of one operation between two workloads.
type operation struct {
	client, server *flow.Workload
	rule           string
	touched        int64
	red            l7.RED
	shown          uint64
	request        uint64 // bytes
	response       uint64
	outcomes       l7.Outcomes
	examples       l7.Examples
}

// takeL7 takes a tally, which counts, or an exchange, which is one of those that
// are counted and gives nothing but an example.
func (v *View) takeL7(l *flow.L7, at int64) {
	if l7.Of(l.Protocol) == nil {
		return
	}
	c, s := v.workload(l.Client.Workload, at), v.workload(l.Server.Workload, at)
	o, key := v.operation(l, at)
	if l.Exchange != nil {
		o.shown++
		if !key.rest {
			o.examples.Add(at, l)
		}
	}
	t := l.Tally
	if t == nil {
		return
	}
	o.red.Add(at, t, l.Error)
	o.request += t.RequestBytes
	o.response += t.ResponseBytes
	o.outcomes.Add(t.Status, t.Count)
	v.l7.total.of(l.Protocol).Add(at, t, l.Error)
	if c != nil && l.CountsFor(flow.RoleClient) {
		c.asked.of(l.Protocol).Add(at, t, l.Error)
	}
	if s != nil && l.CountsFor(flow.RoleServer) {
		s.served.of(l.Protocol).Add(at, t, l.Error)
	}
	if key.rest {
		v.l7.overflow += t.Count
	}
}

// operation is the account of a record's operation, or that of the rest.
func (v *View) operation(l *flow.L7, at int64) (*operation, operationKey) {
	key := operationKey{
		client: keyOf(l.Client.Workload), server: keyOf(l.Server.Workload), remote: remoteOf(&l.Server),
		protocol: l.Protocol, method: l.Method, route: l.Route,
	}
	o := v.l7.operations[key]
	if o == nil && len(v.l7.operations) >= maxOperations {
		key = operationKey{protocol: l.Protocol, rest: true}
		o = v.l7.operations[key]
	}
	if o == nil {
		o = &operation{}
		v.l7.operations[key] = o
	}
	o.touched = at
	if key.rest {
		o.rule = l7.RuleOther
		return o, key
	}
	o.rule = l.Rule
	if !worse(l.Client.Workload, o.client) {
		o.client = l.Client.Workload
	}
	if !worse(l.Server.Workload, o.server) {
		o.server = l.Server.Workload
	}
	return o, key
}

// remoteOf names a server that no workload stands behind. Clients without one are
// the world together: a public server has any number of them.
func remoteOf(p *flow.Endpoint) string {
	switch {
	case p.Workload != nil:
		return ""
	case len(p.Names) > 0:
		return p.Names[0]
	case p.Addr.Addr().IsValid():
		return p.Addr.Addr().String()
	}
	return ""
}

// buildOperations gives every operation its row, but for those of which nothing
// was told for long.
func (v *View) buildOperations(s *Snapshot, now int64) {
	s.Operations = make([]OperationRow, 0, len(v.l7.operations))
	for k, o := range v.l7.operations {
		if now-o.touched > int64(keepWorkload) {
			delete(v.l7.operations, k)
			continue
		}
		row := OperationRow{
			Client: o.client, Server: o.server, Remote: k.remote, Protocol: k.protocol, Method: k.method, Route: k.route,
			Rule: o.rule, L7Row: v.row(&o.red, now), Shown: o.shown, RequestBytes: o.request, ResponseBytes: o.response,
			Examples: o.examples.Newest(),
		}
		if k.rest {
			row.Route = l7.OtherRoute
		}
		for _, out := range o.outcomes.Top(shownStatuses) {
			row.Statuses = append(row.Statuses, StatusCount(out))
		}
		s.Operations = append(s.Operations, row)
	}
}

func (v *View) rows(a *accounts, now int64) (rows [flow.L7Protocols]L7Row) {
	for p, red := range a {
		if red != nil {
			rows[p] = v.row(red, now)
		}
	}
	return rows
}

func (v *View) row(red *l7.RED, now int64) L7Row {
	p := red.Present(now, &v.l7.scratch)
	v.moving = v.moving || p.Rate > 0
	return L7Row{red.Requests, red.Errors, p.Rate, p.ErrorRate, p.P50, p.P99}
}

// Lost is the view's account in weir_lost_total's terms: what it shows without its
// operation, or without who was denied what. It is safe to call from any goroutine.
func (v *View) Lost() map[flow.Loss]uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return map[flow.Loss]uint64{
		{Stage: "l7", Reason: "operations_full"}: v.l7.overflow,
		{Stage: "view", Reason: "verdicts_full"}: v.verdicts.overflow,
	}
}
