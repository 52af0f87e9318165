package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/ui"
)

func TestPlainOperations(t *testing.T) {
	s := &aggregate.Snapshot{Time: 1_795_536_000_000_000_000}
	if got := string(plainTable(s, nil, ui.Policies{})); strings.Contains(got, "ROUTE") {
		t.Errorf("a table of nothing:\n%s", got)
	}
	web, orders := &flow.Workload{Name: "web"}, &flow.Workload{Name: "orders"}
	for i := range plainRows {
		s.Operations = append(s.Operations, aggregate.OperationRow{
			Client: web, Server: orders, Protocol: flow.HTTP, Method: "GET", Route: fmt.Sprintf("/%02d", i),
			L7Row: aggregate.L7Row{Requests: uint64(1000 - i), Rate: 1}, Shown: 12,
		})
	}
	s.Operations = append(s.Operations,
		aggregate.OperationRow{Client: orders, Remote: "10.0.0.53", Protocol: flow.DNS, Method: "AAAA", Route: "x\x1b[31m\t\n.example",
			L7Row: aggregate.L7Row{Requests: 7, Rate: 4.25, Errors: 2, ErrorRate: 1.5, P50: 1_234_567, P99: int64(2 * time.Second)}, Shown: 9},
		aggregate.OperationRow{Server: web, Remote: "client.example", Protocol: flow.TLS, Route: strings.Repeat("日", 90),
			L7Row: aggregate.L7Row{Rate: 2}})
	got := string(plainTable(s, nil, ui.Policies{}))
	_, table, _ := strings.Cut(got, "\n\n")
	lines := strings.Split(table, "\n")
	for i, want := range []string{
		"CLIENT SERVER PROTOCOL METHOD REQUESTS/s ERRORS/s P50 P99 REQUESTS ERRORS IN FULL ROUTE",
		`orders 10.0.0.53 dns AAAA 4.2 1.5 1.23ms 2s 7 2 7 x\x1b[31m\t\n.example`,
		"client.example web tls - 2.0 0.0 - - 0 0 0 " + strings.Repeat("日", 33) + "…",
		"web orders http GET 1.0 0.0 - - 1000 0 12 /00",
	} {
		if line := strings.Join(strings.Fields(lines[i]), " "); line != want {
			t.Errorf("line %d is\n%s\nwant\n%s", i, line, want)
		}
	}
	if !strings.Contains(got, "and 2 operations more\n") {
		t.Errorf("rest is not told:\n%s", got)
	}
	if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\t") {
		t.Errorf("not fit for a terminal: %q", got)
	}
}
