package ui

import (
	"cmp"
	"strconv"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// exchangeRow is an exchange that was kept as an example of its operation.
type exchangeRow struct {
	*flow.Exchange
	of  *flow.L7
	row *aggregate.OperationRow
}

// exchangesOf are the examples of the operations that are wanted.
func exchangesOf(s *aggregate.Snapshot, wanted func(*aggregate.OperationRow) bool) (out []exchangeRow) {
	for i := range s.Operations {
		r := &s.Operations[i]
		if len(r.Examples) == 0 || !wanted(r) {
			continue
		}
		for _, x := range r.Examples {
			if x != nil && x.Exchange != nil {
				out = append(out, exchangeRow{x.Exchange, x, r})
			}
		}
	}
	return out
}

func (r *exchangeRow) key() string {
	return strconv.FormatInt(r.Start, 16) + "/" + strconv.FormatUint(r.Cookie, 16) + "/" + strconv.FormatUint(uint64(r.Operation), 16) +
		"/" + strconv.FormatInt(r.Latency, 16)
}

// exchangeColumns are the columns of exchanges told in full, from left to right.
func exchangeColumns(location func() *time.Location) []column[exchangeRow] {
	type row = exchangeRow
	return []column[row]{
		{ID: "time", Title: "TIME", Min: 12, Width: 12, Priority: 99, Fixed: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return cell{Text: instant(r.Start, location())} },
			Key:  func(r *row) key { return number(r.Start) }},
		{ID: "status", Title: "STATUS", Min: 9, Width: 10, Max: 20, Priority: 98,
			Cell: func(r *row, _ *env) cell { return outcomeCell(r) },
			Key:  func(r *row) key { return number(uint32(r.Status)) }},
		{ID: "latency", Title: "LATENCY", Min: 7, Width: 8, Priority: 97, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(r.Latency), plain) },
			Key:  func(r *row) key { return number(r.Latency) }},
		{ID: "why", Title: "WHY", Min: 6, Width: 6, Priority: 60,
			Cell: func(r *row, _ *env) cell { return optional(text(r.Why.String())) },
			Key:  func(r *row) key { return number(int(r.Why)) }},
		{ID: "client", Title: "CLIENT", Min: 14, Width: 20, Max: 40, Full: 32, Priority: 70, Middle: true,
			Cell: func(r *row, _ *env) cell { return endpointCell(&r.of.Client, r.Transport, true) },
			Key:  func(r *row) key { return endpointKey(&r.of.Client) }},
		{ID: "server", Title: "SERVER", Min: 14, Width: 20, Max: 40, Full: 32, Priority: 71, Middle: true,
			Cell: func(r *row, _ *env) cell { return endpointCell(&r.of.Server, r.Transport, false) },
			Key:  func(r *row) key { return endpointKey(&r.of.Server) }},
		{ID: "method", Title: "METHOD", Min: 6, Width: 7, Priority: 90,
			Cell: func(r *row, _ *env) cell { return optional(clean(r.of.Method)) },
			Key:  func(r *row) key { return key{text: r.of.Method} }},
		{ID: "path", Title: "PATH", Min: 20, Width: 36, Max: 90, Priority: 100, Middle: true,
			Cell: func(r *row, _ *env) cell { return pathCell(r) },
			Key:  func(r *row) key { return key{text: pathOf(r.of)} }},
		{ID: "asked", Title: "ASKED", Min: 6, Width: 7, Priority: 40, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.RequestBytes) },
			Key:  func(r *row) key { return number(r.RequestBytes) }},
		{ID: "answered", Title: "ANSWERED", Min: 8, Width: 8, Priority: 41, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.ResponseBytes) },
			Key:  func(r *row) key { return number(r.ResponseBytes) }},
		{ID: "trace", Title: "TRACE", Min: 32, Width: 32, Priority: 20, Wide: true,
			Cell: func(r *row, _ *env) cell { return optional(clean(r.of.TraceID)) },
			Key:  func(r *row) key { return key{text: r.of.TraceID} }},
	}
}

// instant writes a time of day to the millisecond.
func instant(ns int64, at *time.Location) text {
	if ns == 0 {
		return none
	}
	return text(time.Unix(0, ns).In(at).Format("15:04:05.000"))
}

func outcomeCell(r *exchangeRow) cell {
	return cell{Text: statusText(r.Protocol, r.Status), Role: outcomeRole(r.Protocol, r.Status, r.of.Error)}
}

// pathOf is what was asked for in the exchange's own words: the path before it
// became a template. It is hostile.
func pathOf(x *flow.L7) string {
	switch e := x.Exchange; {
	case e.HTTP != nil && e.HTTP.Path != "":
		return e.HTTP.Path
	case e.DNS != nil:
		return cmp.Or(e.DNS.Name, x.Route)
	case e.TLS != nil:
		return cmp.Or(e.TLS.ServerName, x.Route)
	}
	return x.Route
}

// pathCell marks what was cut, and a query, which is never kept.
func pathCell(r *exchangeRow) cell {
	c := routeCell(pathOf(r.of))
	if h := r.HTTP; h != nil && h.Path != "" {
		if h.Cut {
			c.Text += ellipsis
		}
		if h.Query {
			c.Text += "?"
		}
	}
	return c
}
