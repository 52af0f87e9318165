package ui

import (
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// workloadColumns are the columns of the workload table, from left to right. What
// is said of requests is of those that the workload is asked, in the protocol in
// which it is asked most.
func workloadColumns() []column[aggregate.WorkloadRow] {
	type row = aggregate.WorkloadRow
	return []column[row]{
		{ID: "workload", Title: "WORKLOAD", Min: 16, Width: 24, Max: 44, Priority: 100, Middle: true, Fixed: true,
			Cell: func(r *row, _ *env) cell { return workloadCell(r.Workload) },
			Key:  func(r *row) key { return key{text: r.Workload.String()} }},
		{ID: "ns", Title: "NAMESPACE", Min: 9, Width: 12, Max: 24, Priority: 61,
			Cell: func(r *row, _ *env) cell { return optional(namespaceOf(r.Workload)) },
			Key:  func(r *row) key { return key{text: string(namespaceOf(r.Workload))} }},
		{ID: "kind", Title: "KIND", Min: 10, Width: 12, Max: 26, Priority: 30,
			Cell: func(r *row, _ *env) cell { return kindCell(r.Workload) },
			Key:  func(r *row) key { return key{text: string(kindCell(r.Workload).Text)} }},
		{ID: "live", Title: "LIVE", Min: 5, Width: 7, Priority: 90, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(uint64(max(r.Live, 0)), plain) },
			Key:  func(r *row) key { return number(r.Live) }},
		{ID: "open/s", Title: "OPEN/S", Min: 7, Width: 7, Priority: 60, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(perSecond(r.OpenRate), plain) },
			Key:  func(r *row) key { return number(r.OpenRate) }},
		{ID: "req/s", Title: "REQ/S", Min: 6, Width: 6, Priority: 93, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(perSecond(busiest(&r.Served).Rate), plain) },
			Key:  func(r *row) key { return number(busiest(&r.Served).Rate) }},
		{ID: "err%", Title: "ERR%", Min: 5, Width: 5, Priority: 88, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return errorCell(busiest(&r.Served)) },
			Key:  func(r *row) key { return errorKey(busiest(&r.Served)) }},
		{ID: "p50", Title: "P50", Min: 6, Width: 7, Priority: 63, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(busiest(&r.Served).P50), plain) },
			Key:  func(r *row) key { return number(busiest(&r.Served).P50) }},
		{ID: "p99", Title: "P99", Min: 6, Width: 7, Priority: 86, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(busiest(&r.Served).P99), plain) },
			Key:  func(r *row) key { return number(busiest(&r.Served).P99) }},
		{ID: "requests", Title: "REQUESTS", Min: 8, Width: 10, Priority: 6, Right: true, Desc: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return countCell(busiest(&r.Served).Requests, plain) },
			Key:  func(r *row) key { return number(busiest(&r.Served).Requests) }},
		{ID: "errors", Title: "ERRORS", Min: 7, Width: 7, Priority: 7, Right: true, Desc: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return countCell(busiest(&r.Served).Errors, bad) },
			Key:  func(r *row) key { return number(busiest(&r.Served).Errors) }},
		{ID: "dns/s", Title: "DNS/S", Min: 6, Width: 6, Priority: 57, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(perSecond(r.Asked[flow.DNS].Rate), plain) },
			Key:  func(r *row) key { return number(r.Asked[flow.DNS].Rate) }},
		{ID: "speaks", Title: "SPEAKS", Min: 10, Width: 10, Max: 20, Priority: 62,
			Cell: func(r *row, _ *env) cell { return optional(spoken(r)) },
			Key:  func(r *row) key { return key{text: string(spoken(r))} }},
		{ID: "in/s", Title: "IN/S", Min: 6, Width: 9, Priority: 95, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return rateCell(r.ReceivedRate.Payload) },
			Key:  func(r *row) key { return number(r.ReceivedRate.Payload) }},
		{ID: "out/s", Title: "OUT/S", Min: 6, Width: 9, Priority: 94, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return rateCell(r.SentRate.Payload) },
			Key:  func(r *row) key { return number(r.SentRate.Payload) }},
		{ID: "in", Title: "IN", Min: 6, Width: 7, Priority: 50, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.Received.Payload) },
			Key:  func(r *row) key { return number(r.Received.Payload) }},
		{ID: "out", Title: "OUT", Min: 6, Width: 7, Priority: 49, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.Sent.Payload) },
			Key:  func(r *row) key { return number(r.Sent.Payload) }},
		{ID: "rtt", Title: "RTT", Min: 6, Width: 7, Priority: 70, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(r.RTT), plain) },
			Key:  func(r *row) key { return number(r.RTT) }},
		{ID: "retrans", Title: "RETR", Min: 5, Width: 6, Priority: 65, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Retransmits, warn) },
			Key:  func(r *row) key { return number(r.Retransmits) }},
		{ID: "failed", Title: "FAIL", Min: 5, Width: 6, Priority: 80, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Failed, bad) },
			Key:  func(r *row) key { return number(r.Failed) }},
		{ID: "drops", Title: "DROPS", Min: 6, Width: 6, Priority: 75, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Drops, bad) },
			Key:  func(r *row) key { return number(r.Drops) }},
		{ID: "peers", Title: "PEERS", Min: 6, Width: 6, Priority: 55, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(uint64(max(r.Peers, 0)), plain) },
			Key:  func(r *row) key { return number(r.Peers) }},
		{ID: "opened", Title: "OPENED", Min: 7, Width: 9, Priority: 20, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Opened, plain) },
			Key:  func(r *row) key { return number(r.Opened) }},
		{ID: "image", Title: "IMAGE", Min: 12, Width: 20, Max: 40, Priority: 10, Middle: true,
			Cell: func(r *row, _ *env) cell { return optional(imageOf(r.Workload)) },
			Key:  func(r *row) key { return key{text: string(imageOf(r.Workload))} }},
		{ID: "id", Title: "ID", Min: 12, Width: 12, Priority: 5, Wide: true,
			Cell: func(r *row, _ *env) cell { return optional(idOf(r.Workload)) },
			Key:  func(r *row) key { return key{text: string(idOf(r.Workload))} }},
	}
}

// pastWorkloadColumns are those of a window of the past: what was, not what lives.
func pastWorkloadColumns() []column[aggregate.WorkloadRow] {
	return picked(workloadColumns(), pick{"workload", 100}, pick{"ns", 40}, pick{"kind", 10}, pick{"opened", 90}, pick{"failed", 80},
		pick{"requests", 96}, pick{"req/s", 60}, pick{"errors", 94}, pick{"err%", 65}, pick{"p50", 70}, pick{"p99", 93}, pick{"speaks", 30},
		pick{"in", 92}, pick{"out", 91}, pick{"in/s", 50}, pick{"out/s", 49}, pick{"retrans", 45}, pick{"drops", 55}, pick{"image", 5})
}

// workloadCell marks a workload whose runtime has not answered yet.
func workloadCell(w *flow.Workload) cell {
	_, name := workloadName(w)
	switch {
	case w == nil || w.Runtime == flow.RuntimeWorld:
		return cell{Text: name, Role: dim}
	case w.Pending:
		return cell{Text: name + " ?", Role: dim}
	}
	return cell{Text: name}
}

func namespaceOf(w *flow.Workload) text {
	if w == nil {
		return ""
	}
	return clean(w.Namespace)
}

func imageOf(w *flow.Workload) text {
	if w == nil {
		return ""
	}
	return clean(w.Image)
}

func idOf(w *flow.Workload) text {
	if w == nil {
		return ""
	}
	return clean(w.ShortID())
}

// kindCell is the runtime and, where something manages the workload, what.
func kindCell(w *flow.Workload) cell {
	if w == nil {
		return optional("")
	}
	runtime := clean(string(w.Runtime))
	return cell{Text: join("/", runtime, clean(w.Owner.Kind)), Short: runtime}
}

// The cells of numbers: zero is quiet, anything else has the role given.

func countCell(n uint64, r role) cell {
	if n == 0 {
		return quiet(none, r)
	}
	return cell{Text: count(n), Short: shortCount(n), Role: r}
}

func rateCell(perSecond float64) cell {
	n := whole(perSecond)
	if n == 0 {
		return quiet(none, plain)
	}
	return cell{Text: rate(perSecond), Short: shortBytes(n)}
}

func bytesCell(n uint64) cell {
	if n == 0 {
		return quiet(none, plain)
	}
	return cell{Text: bytes(n), Short: shortBytes(n)}
}

func quiet(t text, r role) cell {
	if t == none {
		return cell{Text: none, Role: dim}
	}
	return cell{Text: t, Role: r}
}

func optional(t text) cell {
	if t == "" {
		return cell{Text: none, Role: dim}
	}
	return cell{Text: t}
}
