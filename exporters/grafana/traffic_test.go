package grafana

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/prom"
)

// traffic is a host on which something of everything happens, again and again.
type traffic struct {
	exporter *prom.Exporter
	rounds   atomic.Uint64
}

var (
	web      = &flow.Workload{Name: "web", Namespace: "shop", Runtime: flow.RuntimeDocker}
	api      = &flow.Workload{Name: "api", Namespace: "shop", Runtime: flow.RuntimeDocker}
	resolver = &flow.Workload{Name: "dnsmasq.service", Runtime: flow.RuntimeSystemd}
)

func newTraffic() *traffic {
	t := &traffic{}
	t.exporter = prom.New(prom.Config{
		Health: t.health, Build: prom.Build{Version: "1.0", Revision: "abc", Go: "go1.26"},
		Budget: 12, // so that something finds no room
	})
	return t
}

// round is what happens between two scrapes.
func (t *traffic) round(ctx context.Context) error {
	n := t.rounds.Add(1)
	var batch []flow.Record
	for _, pair := range [][2]*flow.Workload{{web, api}, {api, web}, {nil, web}, {web, nil}} {
		batch = append(batch, connection(pair[0], pair[1])...)
		batch = append(batch, exchanges(pair[0], pair[1], n)...)
	}
	return t.exporter.Consume(ctx, batch)
}

// connection is one that carries something, one that fails, packets that are dropped, and verdicts.
func connection(client, server *flow.Workload) []flow.Record {
	f := flow.Flow{
		ID: 1, Protocol: flow.TCP, Client: flow.Endpoint{Workload: client}, Server: flow.Endpoint{Workload: server},
		RTT: 3e5, ConnectLatency: 4e5,
	}
	n := flow.Counters{Packets: 10, Payload: 1000, Wire: 1400}
	start := flow.Record{Kind: flow.RecordStart, Verdict: flow.VerdictForwarded, Flow: f, Delta: flow.Delta{Sent: n, Received: n, Retransmits: 1}}
	end := flow.Record{Kind: flow.RecordEnd, Verdict: flow.VerdictForwarded, Flow: f}
	end.Flow.End = flow.EndRefused
	drop := flow.Record{Kind: flow.RecordDrop, Verdict: flow.VerdictDropped, Flow: f, Drop: &flow.Drop{Reason: "POLICY_DENIED", Packets: 2}}
	return []flow.Record{start, end, drop, verdict(f, true, "web", "egress[0]"), verdict(f, false, "api", "")}
}

// verdict is what a policy enforced by a rule of its own, or would have for want of one.
func verdict(f flow.Flow, denied bool, policy, rule string) flow.Record {
	r := flow.Record{Kind: flow.RecordVerdict, Verdict: flow.VerdictAudit, Flow: f, Judged: &flow.Judged{
		Denied: denied, Count: 2, Rule: rule, By: []flow.PolicyRef{{Namespace: "shop", Name: policy}},
	}}
	if denied {
		r.Verdict = flow.VerdictDropped
	}
	return r
}

// exchanges are requests, lookups and handshakes, with and without success.
func exchanges(client, server *flow.Workload, n uint64) (out []flow.Record) {
	add := func(p flow.L7Protocol, method, route string, server *flow.Workload, status uint16) {
		d := uint64(time.Millisecond) * (1 + n%20)
		l := &flow.L7{
			Protocol: p, Method: method, Route: route, Seen: flow.RoleClient, Both: true,
			Client: flow.Endpoint{Workload: client}, Server: flow.Endpoint{Workload: server},
			Tally: &flow.Tally{Status: status, Bucket: flow.BucketOf(int64(d)), Count: 5, Latency: 5 * d, RequestBytes: 500, ResponseBytes: 5000},
		}
		shown := *l
		shown.Tally, shown.TraceID = nil, "4bf92f3577b34da6a3ce929d0e0e4736"
		shown.Exchange = &flow.Exchange{Status: status, Why: flow.WhySample, Start: time.Now().UnixNano(), Latency: int64(d)}
		out = append(out, flow.Record{Kind: flow.RecordL7, L7: &shown}, flow.Record{Kind: flow.RecordL7, L7: l})
	}
	add(flow.HTTP, "GET", "/users/{id}", server, 200)
	add(flow.HTTP, "GET", "/users/{id}", server, 503)
	add(flow.DNS, "A", "example.com", resolver, 0)
	add(flow.DNS, "AAAA", "gone.example", resolver, 3)
	add(flow.DNS, "A", "late.example", resolver, flow.NoAnswer)
	add(flow.TLS, "", "example.com", server, 0)
	add(flow.TLS, "", "example.com", server, 48)
	return out
}

// health grows with each round, losses too.
func (t *traffic) health() collector.Health {
	n := t.rounds.Load()
	return collector.Health{
		Source: flow.SourceStats{
			PerCPU: []flow.CPUCounts{{Produced: 12 * n, Delivered: 11 * n, Lost: n}}, Ring: 1 << 20, Unread: 4096,
			Tables: []flow.TableFill{{Name: "flows", Entries: 10, Max: 100}},
			Unseen: []flow.Unseen{{Protocol: flow.HTTP, Reason: "gap", Stretches: n, Bytes: 100 * n}},
		},
		Lost:   map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: n},
		Events: 11 * n, Records: 10 * n, Flows: 9, Evicted: n, Since: time.Now().Add(-time.Hour).UnixNano(),
	}
}
