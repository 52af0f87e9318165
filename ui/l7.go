package ui

import (
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// byProtocol are the sums of exchanges that a row or the totals hold.
type byProtocol = [flow.L7Protocols]aggregate.L7Row

// protocolName is empty for a protocol that this weir does not know.
func protocolName(p flow.L7Protocol) text {
	if row := l7.Of(p); row != nil {
		return text(row.Name)
	}
	return ""
}

// statusText writes an outcome as its protocol does: 503, NXDOMAIN, unknown_ca.
func statusText(p flow.L7Protocol, status uint16) text {
	if row := l7.Of(p); row != nil {
		return text(row.Status(status))
	}
	return number16(status)
}

// outcomeRole marks what failed, and less what only the client did wrong. known is
// true where whoever counted it called it an error.
func outcomeRole(p flow.L7Protocol, status uint16, known bool) role {
	row := l7.Of(p)
	switch {
	case known || row != nil && row.Fails(status):
		return bad
	case row != nil && row.FailsClient(status):
		return warn
	}
	return plain
}

// busiest is the row of the protocol that is spoken most now, else that was
// spoken most: quantiles of different protocols cannot be summed up.
func busiest(rows *byProtocol) *aggregate.L7Row {
	best := &rows[flow.L7None]
	for p := range rows {
		if r := &rows[p]; r.Rate > best.Rate || r.Rate == best.Rate && r.Requests > best.Requests {
			best = r
		}
	}
	return best
}

// errorCell is the share of the requests of the last seconds that failed.
func errorCell(r *aggregate.L7Row) cell {
	return quiet(errorShare(r), bad)
}

// errorShare is never 0 % where something failed, nor 100 % where something did not.
func errorShare(r *aggregate.L7Row) text {
	if !(r.ErrorRate > 0) || !(r.Rate > 0) {
		return none
	}
	switch share := 100 * r.ErrorRate / r.Rate; {
	case share >= 100:
		return "100%"
	case share < 1:
		return "<1%"
	default:
		return count(min(99, whole(share))) + "%"
	}
}

func errorKey(r *aggregate.L7Row) key {
	if !(r.Rate > 0) {
		return key{}
	}
	return number(r.ErrorRate / r.Rate)
}

// spoken lists a workload's protocols: what it serves, and after an arrow what it
// only asks others in.
func spoken(r *aggregate.WorkloadRow) text {
	var out text
	for p := range flow.L7Protocol(flow.L7Protocols) {
		if r.Served[p].Requests > 0 {
			out = join(" ", out, protocolName(p))
		}
	}
	for p := range flow.L7Protocol(flow.L7Protocols) {
		if r.Asked[p].Requests > 0 && r.Served[p].Requests == 0 {
			out = join(" ", out, "→"+protocolName(p))
		}
	}
	return out
}

// requestSegs say how much of each protocol there is, those that were ever seen.
// The numbers have a fixed place.
func requestSegs(rows *byProtocol, priority int) (out []seg) {
	for p := range flow.L7Protocol(flow.L7Protocols) {
		if r := &rows[p]; r.Requests > 0 {
			out = append(out, seg{priority, line{{protocolName(p) + " ", dim}, {perSecond(r.Rate).pad(4, true), plain}, {"/s", dim}}})
			priority--
		}
	}
	return out
}

// counted is how many exchanges were counted and not told in full.
func counted(r *aggregate.OperationRow) uint64 {
	if r.Shown >= r.Requests {
		return 0
	}
	return r.Requests - r.Shown
}

// shownText says how much of an operation is known in full.
func shownText(r *aggregate.OperationRow) text {
	more := counted(r)
	switch {
	case r.Requests == 0:
		return none
	case r.Shown == 0:
		return "all " + count(r.Requests) + " only counted"
	case more == 0:
		return "all " + count(r.Requests) + " told in full"
	}
	return count(r.Shown) + " told in full, " + count(more) + " more like this only counted"
}

// endName is who is at one end of an operation.
func endName(w *flow.Workload, remote string) (full, brief text) {
	if (w == nil || w.Runtime == flow.RuntimeWorld) && remote != "" {
		t := clean(remote)
		return t, t
	}
	return workloadName(w)
}

func endCell(w *flow.Workload, remote string) cell {
	full, brief := endName(w, remote)
	c := cell{Text: full, Short: brief}
	if w == nil || w.Runtime == flow.RuntimeWorld {
		c.Role = dim
	}
	return c
}

// sameOperation tells whether two rows are the same operation, of two snapshots.
func sameOperation(a, b *aggregate.OperationRow) bool {
	return a.Protocol == b.Protocol && a.Route == b.Route && a.Method == b.Method && a.Remote == b.Remote &&
		sameEnd(a.Client, b.Client) && sameEnd(a.Server, b.Server)
}

func sameEnd(a, b *flow.Workload) bool { return a == b || workloadKey(a) == workloadKey(b) }

func operationKey(r *aggregate.OperationRow) string {
	return workloadKey(r.Client) + "\x00" + workloadKey(r.Server) + "\x00" + r.Remote + "\x00" + r.Protocol.String() +
		"\x00" + r.Method + "\x00" + r.Route
}
