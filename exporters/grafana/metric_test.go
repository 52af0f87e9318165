package grafana

import (
	"fmt"
	"strings"
	"testing"
)

func TestQueries(t *testing.T) {
	s := scope{[]string{`job="j"`}, "5m"}
	h := s.metric("http_server_request_duration_seconds", `destination_workload="w"`)
	c := s.metric("weir_flows_total")
	for _, tc := range []struct{ got, want string }{
		{c.rate(), `sum(rate(weir_flows_total{job="j"}[5m]))`},
		{c.rate(source, "instance"), `sum by (source_workload, instance) (rate(weir_flows_total{job="j"}[5m]))`},
		{c.since("1h"), `(sum(increase(weir_flows_total{job="j"}[1h])) > 0 or sum(weir_flows_total{job="j"}) unless sum(weir_flows_total{job="j"} offset 1h))`},
		{c.active("protocol"), `sum by (protocol) (rate(weir_flows_total{job="j"}[5m])) > 0`},
		{h.rate(), `sum(rate(http_server_request_duration_seconds_count{job="j",destination_workload="w"}[5m]))`},
		{h.quantile("0.9", source), `histogram_quantile(0.9, sum by (le, source_workload) (rate(http_server_request_duration_seconds_bucket{job="j",destination_workload="w"}[5m])))`},
		{s.metric("weir_live_flows").sum("instance"), `sum by (instance) (weir_live_flows{job="j"})`},
		{ratio("a", "b"), `(a or 0 * b) / (b > 0)`},
		{top(3, "a"), "topk(3, a)"},
	} {
		if tc.got != tc.want {
			t.Errorf("got  %s\nwant %s", tc.got, tc.want)
		}
	}
}

// What the table does not have must not become a query.
func TestUnknown(t *testing.T) {
	s := scope{nil, "5m"}
	for want, f := range map[string]func(){
		"no metric weir_flow_total":     func() { s.metric("weir_flow_total") },
		"no label source_wrkload":       func() { s.metric("weir_flows_total").rate("source_wrkload") },
		"no label cause":                func() { s.metric("weir_flows_total", `cause!="x"`) },
		"is a gauge":                    func() { s.metric("weir_live_flows").rate() },
		"weir_flows_total is no histog": func() { s.metric("weir_flows_total").quantile("0.5") },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("%s, want %s", got, want)
				}
			}()
			f()
		}()
	}
}
