package ui

import (
	"strconv"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// flowColumns are the columns of the flow table, from left to right. Arrows
// point from the client (>) and from the server (<).
func flowColumns() []column[aggregate.FlowRow] {
	type row = aggregate.FlowRow
	return []column[row]{
		{ID: "client", Title: "CLIENT", Min: 16, Width: 24, Max: 40, Full: 32, Priority: 100, Middle: true, Fixed: true,
			Cell: func(r *row, _ *env) cell { return endpointCell(&r.Client, r.Protocol, true) },
			Key:  func(r *row) key { return endpointKey(&r.Client) }},
		{ID: "server", Title: "SERVER", Min: 20, Width: 26, Max: 44, Full: 34, Priority: 99, Middle: true,
			Cell: func(r *row, _ *env) cell { return endpointCell(&r.Server, r.Protocol, false) },
			Key:  func(r *row) key { return endpointKey(&r.Server) }},
		{ID: "proto", Title: "PROTO", Min: 5, Width: 6, Priority: 85,
			Cell: func(r *row, _ *env) cell { return cell{Text: text(r.Protocol.String())} },
			Key:  func(r *row) key { return number(int(r.Protocol)) }},
		{ID: "process", Title: "PROCESS", Min: 8, Width: 12, Max: 15, Priority: 60,
			Cell: func(r *row, _ *env) cell { return optional(clean(processOf(&r.Flow).Comm.String())) },
			Key:  func(r *row) key { return key{text: processOf(&r.Flow).Comm.String()} }},
		{ID: "sent/s", Title: "→ B/S", Min: 6, Width: 9, Priority: 95, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return rateCell(r.SentRate.Payload) },
			Key:  func(r *row) key { return number(r.SentRate.Payload) }},
		{ID: "recv/s", Title: "← B/S", Min: 6, Width: 9, Priority: 94, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return rateCell(r.ReceivedRate.Payload) },
			Key:  func(r *row) key { return number(r.ReceivedRate.Payload) }},
		{ID: "sent", Title: "→ BYTES", Min: 7, Width: 8, Priority: 50, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.Sent.Payload) },
			Key:  func(r *row) key { return number(r.Sent.Payload) }},
		{ID: "recv", Title: "← BYTES", Min: 7, Width: 8, Priority: 49, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.Received.Payload) },
			Key:  func(r *row) key { return number(r.Received.Payload) }},
		{ID: "rtt", Title: "RTT", Min: 6, Width: 7, Priority: 70, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(r.RTT), plain) },
			Key:  func(r *row) key { return number(r.RTT) }},
		{ID: "retrans", Title: "RETR", Min: 5, Width: 6, Priority: 65, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(uint64(r.Retransmits), warn) },
			Key:  func(r *row) key { return number(r.Retransmits) }},
		{ID: "drops", Title: "DROPS", Min: 6, Width: 6, Priority: 64, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Drops, bad) },
			Key:  func(r *row) key { return number(r.Drops) }},
		{ID: "age", Title: "AGE", Min: 7, Width: 7, Priority: 68, Right: true, Desc: true,
			Cell: func(r *row, e *env) cell { return ageCell(&r.Flow, e.now) },
			Key:  func(r *row) key { return number(-r.Start) }},
		{ID: "state", Title: "STATE", Min: 8, Width: 15, Priority: 90,
			Cell: func(r *row, _ *env) cell { return stateOf(&r.Flow) },
			Key:  func(r *row) key { return key{text: string(stateOf(&r.Flow).Text)} }},
		{ID: "pid", Title: "PID", Min: 7, Width: 7, Priority: 20, Right: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return pidCell(processOf(&r.Flow).PID) },
			Key:  func(r *row) key { return number(processOf(&r.Flow).PID) }},
		{ID: "connect", Title: "CONNECT", Min: 8, Width: 8, Priority: 19, Right: true, Desc: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(r.ConnectLatency), plain) },
			Key:  func(r *row) key { return number(r.ConnectLatency) }},
		{ID: "address", Title: "SERVER ADDRESS", Min: 15, Width: 21, Max: 47, Priority: 18, Wide: true, Middle: true,
			Cell: func(r *row, _ *env) cell { return cell{Text: addressPort(r.Server.Addr, r.Protocol)} },
			Key:  func(r *row) key { return key{text: r.Server.Addr.String()} }},
	}
}

func endpointKey(e *flow.Endpoint) key {
	switch {
	case e.Workload != nil:
		return key{text: e.Workload.Name, number: float64(e.Addr.Port())}
	case len(e.Names) > 0:
		return key{text: e.Names[0], number: float64(e.Addr.Port())}
	}
	return key{text: e.Addr.Addr().String(), number: float64(e.Addr.Port())}
}

// ageCell is how long a flow lives or lived. Of one that is older than weir only
// a lower bound is known.
func ageCell(f *flow.Flow, now int64) cell {
	end := now
	if f.Ended != 0 {
		end = f.Ended
	}
	d := end - f.Start
	t := age(d)
	if f.Ended != 0 && d > 0 && d < int64(time.Second) {
		t = latency(d)
	}
	if f.Preexisting {
		t = ">" + t
	}
	return cell{Text: t}
}

func pidCell(pid uint32) cell {
	if pid == 0 {
		return optional("")
	}
	return cell{Text: text(strconv.FormatUint(uint64(pid), 10))}
}
