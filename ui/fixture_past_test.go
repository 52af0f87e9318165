package ui

import (
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// past is what the shop did in a window; a name of it wants to break the screen, and
// one is of a container that is no more.
func (s shop) past(length time.Duration) *Past {
	http := func(requests, errors uint64, p50, p99 time.Duration) PastExchanges {
		return PastExchanges{Protocol: flow.HTTP, Requests: requests, Errors: errors, Sent: 180 * requests, Received: 9_400 * requests, P50: int64(p50), P99: int64(p99)}
	}
	p := &Past{Since: noon.Add(-length), Until: noon, First: noon.Add(-48 * time.Hour), Watched: length}
	p.Total = PastWorkload{Opened: 812_004, Failed: 12, Sent: 4_100_000_000, Received: 88_000_000_000}
	web, orders := http(1_204_331, 2_011, 3*time.Millisecond, 120*time.Millisecond), http(611_000, 41, 9*time.Millisecond, 410*time.Millisecond)
	gone := http(12, 0, 2*time.Second, 5*time.Second)
	p.Workloads = []PastWorkload{
		{Name: s.web.String(), Opened: 600_000, Failed: 4, Sent: 9_000_000_000, Received: 800_000_000, Served: []PastExchanges{web}, Asked: []PastExchanges{orders}},
		{Name: s.orders.String(), Opened: 190_211, Drops: 7, Sent: 70_000_000, Received: 1_000_000_000, Served: []PastExchanges{orders}},
		{Name: "shop/batch-\x1b[2J[red]1", Opened: 3, Retransmits: 2, Sent: 100, Received: 20_000, Asked: []PastExchanges{gone}},
		{Opened: 612_000, Sent: 800_000_000, Received: 9_000_000_000, Asked: []PastExchanges{web}},
	}
	p.Operations = []PastOperation{
		{Client: "", Server: s.web.String(), Method: "GET", Route: "/", PastExchanges: web},
		{Client: s.web.String(), Server: s.orders.String(), Method: "GET", Route: "/users/{id}", PastExchanges: orders},
		{Client: "shop/batch-\x1b[2J[red]1", Server: "api.example.com", Method: "POST", Route: "/report", PastExchanges: gone},
	}
	return p
}
