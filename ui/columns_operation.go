package ui

import (
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// operationColumns are the columns of the operation table, from left to right.
func operationColumns() []column[aggregate.OperationRow] {
	type row = aggregate.OperationRow
	return []column[row]{
		{ID: "client", Title: "CLIENT", Min: 12, Width: 20, Max: 40, Full: 32, Priority: 88, Middle: true,
			Cell: func(r *row, _ *env) cell { return endCell(r.Client, r.Remote) },
			Key:  func(r *row) key { return endKey(r.Client, r.Remote) }},
		{ID: "server", Title: "SERVER", Min: 12, Width: 20, Max: 40, Full: 32, Priority: 97, Middle: true,
			Cell: func(r *row, _ *env) cell { return endCell(r.Server, r.Remote) },
			Key:  func(r *row) key { return endKey(r.Server, r.Remote) }},
		{ID: "protocol", Title: "PROTO", Min: 5, Width: 5, Priority: 65,
			Cell: func(r *row, _ *env) cell { return optional(protocolName(r.Protocol)) },
			Key:  func(r *row) key { return number(int(r.Protocol)) }},
		{ID: "method", Title: "METHOD", Min: 6, Width: 7, Priority: 92,
			Cell: func(r *row, _ *env) cell { return optional(clean(r.Method)) },
			Key:  func(r *row) key { return key{text: r.Method} }},
		{ID: "route", Title: "ROUTE", Min: 18, Width: 36, Max: 90, Priority: 100, Middle: true, Fixed: true,
			Cell: func(r *row, _ *env) cell { return routeCell(r.Route) },
			Key:  func(r *row) key { return key{text: r.Route} }},
		{ID: "req/s", Title: "REQ/S", Min: 6, Width: 6, Priority: 96, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(perSecond(r.Rate), plain) },
			Key:  func(r *row) key { return number(r.Rate) }},
		{ID: "err%", Title: "ERR%", Min: 5, Width: 5, Priority: 94, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return errorCell(&r.L7Row) },
			Key:  func(r *row) key { return errorKey(&r.L7Row) }},
		{ID: "p50", Title: "P50", Min: 6, Width: 7, Priority: 80, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(r.P50), plain) },
			Key:  func(r *row) key { return number(r.P50) }},
		{ID: "p99", Title: "P99", Min: 6, Width: 7, Priority: 93, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(r.P99), plain) },
			Key:  func(r *row) key { return number(r.P99) }},
		{ID: "errors", Title: "ERRORS", Min: 7, Width: 7, Priority: 72, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Errors, bad) },
			Key:  func(r *row) key { return number(r.Errors) }},
		{ID: "shown", Title: "IN FULL", Min: 7, Width: 7, Priority: 69, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(min(r.Shown, r.Requests), plain) },
			Key:  func(r *row) key { return number(r.Shown) }},
		{ID: "more", Title: "MORE", Min: 6, Width: 8, Priority: 70, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return moreCell(counted(r)) },
			Key:  func(r *row) key { return number(counted(r)) }},
		{ID: "outcomes", Title: "OUTCOMES", Min: 12, Width: 20, Max: 40, Priority: 60,
			Cell: func(r *row, _ *env) cell { return optional(outcomesText(r)) }},
		{ID: "requests", Title: "REQUESTS", Min: 8, Width: 9, Priority: 50, Right: true, Desc: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Requests, plain) },
			Key:  func(r *row) key { return number(r.Requests) }},
		{ID: "asked", Title: "ASKED", Min: 6, Width: 7, Priority: 40, Right: true, Desc: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.RequestBytes) },
			Key:  func(r *row) key { return number(r.RequestBytes) }},
		{ID: "answered", Title: "ANSWERED", Min: 8, Width: 8, Priority: 41, Right: true, Desc: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.ResponseBytes) },
			Key:  func(r *row) key { return number(r.ResponseBytes) }},
		{ID: "rule", Title: "RULE", Min: 9, Width: 9, Priority: 20, Wide: true,
			Cell: func(r *row, _ *env) cell { return optional(clean(r.Rule)) },
			Key:  func(r *row) key { return key{text: r.Rule} }},
	}
}

// pastOperationColumns are those of a window of the past, which knows no outcomes.
func pastOperationColumns() []column[aggregate.OperationRow] {
	return picked(operationColumns(), pick{"client", 88}, pick{"server", 97}, pick{"protocol", 65}, pick{"method", 92}, pick{"route", 100},
		pick{"requests", 98}, pick{"req/s", 70}, pick{"errors", 95}, pick{"err%", 75}, pick{"p50", 80}, pick{"p99", 94}, pick{"asked", 50}, pick{"answered", 51})
}

func endKey(w *flow.Workload, remote string) key {
	full, _ := endName(w, remote)
	return key{text: string(full)}
}

// routeCell is quiet where it is not known what was asked for.
func routeCell(route string) cell {
	if t := clean(route); t != "" {
		return cell{Text: t}
	}
	return cell{Text: "not known", Role: dim}
}

func moreCell(n uint64) cell {
	if n == 0 {
		return quiet(none, plain)
	}
	return cell{Text: "+" + count(n), Short: "+" + shortCount(n)}
}

// outcomesText lists how an operation went, the most frequent first.
func outcomesText(r *aggregate.OperationRow) (out text) {
	var sum uint64
	for _, s := range r.Statuses {
		sum += s.Count
	}
	for _, s := range r.Statuses {
		out = join(" ", out, statusText(r.Protocol, s.Status)+" "+percent(s.Count, max(sum, r.Requests)))
	}
	return out
}
