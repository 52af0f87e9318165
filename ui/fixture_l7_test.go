package ui

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// operations is what the shop's containers ask each other; one of them wants to
// break the screen.
func (s shop) operations() []aggregate.OperationRow {
	row := func(c, srv *flow.Workload, p flow.L7Protocol, method, route string, requests uint64, rate float64, p50, p99 time.Duration) aggregate.OperationRow {
		return aggregate.OperationRow{Client: c, Server: srv, Protocol: p, Method: method, Route: route, Shown: min(requests, 12),
			L7Row:        aggregate.L7Row{Requests: requests, Rate: rate, P50: int64(p50), P99: int64(p99)},
			RequestBytes: requests * 180, ResponseBytes: requests * 9_400, Statuses: []aggregate.StatusCount{{Status: 200, Count: requests}}}
	}
	out := []aggregate.OperationRow{
		row(nil, s.web, flow.HTTP, "GET", "/", 40_211, 88.2, 410*time.Microsecond, 3*time.Millisecond),
		row(s.web, s.orders, flow.HTTP, "POST", "/api/v1/customers/{id}/orders/{id}/items", 1_216, 4.6, 12*time.Millisecond, 310*time.Millisecond),
		row(s.web, s.orders, flow.HTTP, "GET", "/users/{id}", 190_211, 388, 900*time.Microsecond, 8*time.Millisecond),
		row(s.orders, nil, flow.DNS, "AAAA", "pay.example.com", 88, 0.4, 240*time.Microsecond, 2*time.Millisecond),
		row(s.orders, nil, flow.TLS, "", "pay.example.com", 7, 0.1, 18*time.Millisecond, 44*time.Millisecond),
		row(s.evil, s.web, flow.HTTP, "[red]X\x1b[2J", "/\x1b]0;x\a\u202egnp.exe/[::bu]日本\u200b/{id}", 3, 0, time.Millisecond, time.Millisecond),
		row(nil, s.sshd, flow.HTTP, "", "", 5, 0, 0, 0),
	}
	out[0].Remote = "client.example.net"
	out[1].Rule, out[2].Rule = "collapsed", "learned"
	out[1].Errors, out[1].ErrorRate = 36, 0.2
	out[1].Statuses = []aggregate.StatusCount{{Status: 201, Count: 1_170}, {Status: 503, Count: 30}, {Status: 404, Count: 10}, {Status: flow.NoAnswer, Count: 6}}
	out[1].Examples = []*flow.L7{
		s.exchange(&out[1], 1, 503, 31*time.Millisecond, flow.WhyError, "/api/v1/customers/77/orders/4711/items"),
		s.exchange(&out[1], 9, 201, 1240*time.Millisecond, flow.WhySlow, "/api/v1/customers/9000000000000000/orders/1/items"),
		s.exchange(&out[1], 60, flow.NoAnswer, 0, flow.WhyError, "/api/v1/\x1b[31m\u202e[red]/日本"),
	}
	out[1].Examples[0].Exchange.HTTP.Query = true
	out[1].Examples[1].Exchange.HTTP.Cut = true
	out[3].Remote, out[4].Remote = "10.0.0.53", "203.0.113.80"
	out[3].Statuses = []aggregate.StatusCount{{Status: 0, Count: 80}, {Status: 3, Count: 6}, {Status: 2, Count: 2}}
	out[3].Errors = 2
	lookup := s.exchange(&out[3], 30, 2, 2*time.Millisecond, flow.WhyError, "")
	lookup.Exchange.Transport, lookup.Exchange.HTTP = flow.UDP, nil
	lookup.Exchange.DNS = &flow.DNSExchange{ID: 7, Name: "pay.example.com", Type: 28, Addresses: 9, TTL: 300,
		Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::7")}}
	out[3].Examples = []*flow.L7{lookup}
	out[4].Statuses = []aggregate.StatusCount{{Status: 0, Count: 6}, {Status: 48, Count: 1}}
	out[4].Shown = 7
	hello := s.exchange(&out[4], 40, 48, 20*time.Millisecond, flow.WhyError, "")
	hello.Exchange.HTTP = nil
	hello.Exchange.TLS = &flow.TLSHandshake{Version: 0x0304, ServerName: "pay.example.com", ALPN: []string{"h2", "http/1.1"}, Cipher: 0x1301,
		Alert: 48, JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1", ECH: true}
	out[4].Examples = []*flow.L7{hello}
	return out
}

func (s shop) exchange(o *aggregate.OperationRow, secondsAgo int, status uint16, took time.Duration, why flow.Why, path string) *flow.L7 {
	x := &flow.Exchange{
		Counted: flow.Counted{Protocol: o.Protocol, Role: flow.RoleClient, Cgroup: 11, Peer: 12, Port: 8080, Operation: 99},
		Cookie:  uint64(100 + secondsAgo), PID: 2101, Comm: flow.MakeComm("nginx"), Transport: flow.TCP, Status: status, Why: why,
		Start: ago(time.Duration(secondsAgo) * time.Second), Latency: int64(took), RequestBytes: 420, ResponseBytes: 88,
		HTTP: &flow.HTTPExchange{Method: o.Method, Path: path, Version: 11},
	}
	return &flow.L7{
		Protocol: o.Protocol, Client: local(s.web, "172.18.0.2:40110", "nginx", 2101), Server: local(s.orders, "172.18.0.3:8080", "orders", 2202),
		Seen: flow.RoleClient, Both: true, Method: o.Method, Route: o.Route, Rule: o.Rule, Error: why == flow.WhyError, Exchange: x,
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
}

// talk gives the workloads what the operations sum up to, and the totals too.
func (s shop) talk(snap *aggregate.Snapshot) {
	snap.Operations = s.operations()
	row := func(requests uint64, rate, errors float64, p50, p99 time.Duration) aggregate.L7Row {
		return aggregate.L7Row{Requests: requests, Errors: uint64(errors * 100), Rate: rate, ErrorRate: errors, P50: int64(p50), P99: int64(p99)}
	}
	at := func(w *flow.Workload) *aggregate.WorkloadRow {
		for i := range snap.Workloads {
			if snap.Workloads[i].Workload == w {
				return &snap.Workloads[i]
			}
		}
		panic("no such workload")
	}
	at(s.web).Served[flow.HTTP] = row(40_214, 88.2, 0, 410*time.Microsecond, 3*time.Millisecond)
	at(s.web).Asked[flow.HTTP] = row(191_427, 392.6, 0.2, 900*time.Microsecond, 9*time.Millisecond)
	at(s.orders).Served[flow.HTTP] = row(191_427, 392.6, 0.2, 900*time.Microsecond, 9*time.Millisecond)
	at(s.orders).Asked[flow.DNS] = row(88, 0.4, 0, 240*time.Microsecond, 2*time.Millisecond)
	at(s.orders).Asked[flow.TLS] = row(7, 0.1, 0, 18*time.Millisecond, 44*time.Millisecond)
	at(nil).Asked[flow.HTTP] = row(40_216, 88.2, 0, 410*time.Microsecond, 3*time.Millisecond)
	snap.Totals.L7[flow.HTTP] = row(231_646, 480.8, 0.2, 800*time.Microsecond, 9*time.Millisecond)
	snap.Totals.L7[flow.DNS] = row(88, 0.4, 0, 240*time.Microsecond, 2*time.Millisecond)
	snap.Totals.L7[flow.TLS] = row(7, 0.1, 0, 18*time.Millisecond, 44*time.Millisecond)
}

// manyOperations is a snapshot of n operations between a hundred workloads.
func manyOperations(n int, seq uint64) *aggregate.Snapshot {
	s := manyFlows(100, seq)
	for i := range n {
		o := aggregate.OperationRow{Client: s.Workloads[i%100].Workload, Server: s.Workloads[(i+7)%100].Workload, Protocol: flow.HTTP,
			Method: "GET", Route: fmt.Sprintf("/api/v1/Things/%d/{id}/日本", i),
			L7Row: aggregate.L7Row{Requests: uint64(i), Rate: float64((i * 7919) % 100_003), P50: int64(i) * 1000, P99: int64(i) * 9000}}
		s.Operations = append(s.Operations, o)
	}
	return s
}
