package grafana

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// chosen is what Grafana puts into queries.
var chosen = strings.NewReplacer(
	"$__rate_interval", "1m", "$__range", "1m",
	"$job", "weir", "$instance", ".+", "$namespace", ".*", "$client_namespace", ".*", "$policy", ".*", "$workload", "web",
)

// TestPrometheus asks a real Prometheus every query of every dashboard and rule: each
// must return data.
func TestPrometheus(t *testing.T) {
	// There are rates, and the rules were evaluated, some times.
	s := scrapedServer(t, "exemplar-storage",
		`count_over_time(weir_build_info[1m]) >= 8 and on () count_over_time(pair:weir_flows:rate5m{source_workload="web"}[1m]) >= 3`)
	for _, d := range shownDashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				returnsData(t, s, fmt.Sprintf("%s, %q, %s", d.UID, p.Title, q.RefID), chosen.Replace(q.Expr))
			}
		}
		for _, v := range d.Templating.List {
			if v.Type == "query" && len(s.choices(t, v)) == 0 {
				t.Errorf("%s: nothing to choose for the variable %s", d.UID, v.Name)
			}
		}
	}
	for _, g := range allRules(DefaultJob).Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				returnsData(t, s, "the recorded "+r.Record, r.Record)
				continue
			}
			returnsData(t, s, "the alert "+r.Alert, r.value)
		}
	}
	exemplars(t, s)
	nodeGraph(t, s)
}

// returnsData asks until there is data, for some seconds: a scrape that took longer than
// it may, as on a busy machine, leaves nothing to see until the next one.
func returnsData(t *testing.T, s *server, what, expr string) {
	t.Helper()
	for late := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got, err := s.query(expr)
		switch {
		case err != nil:
			t.Errorf("%s: %v\n%s", what, err, expr)
			return
		case len(got) > 0:
			return
		case time.Now().After(late):
			t.Errorf("%s: no data\n%s", what, expr)
			return
		}
	}
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	queryResult = regexp.MustCompile(`^query_result\((.+)\)$`)
)

// choices is what Grafana makes of a variable's query.
func (s *server) choices(t *testing.T, v variable) (out []string) {
	t.Helper()
	text := chosen.Replace(v.Query.(map[string]any)["query"].(string))
	if m := labelValues.FindStringSubmatch(text); m != nil {
		if err := s.get("/api/v1/label/"+m[2]+"/values", url.Values{"match[]": {m[1]}}, &out); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		return out
	}
	m := queryResult.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("a variable with the query %s", text)
	}
	samples, err := s.query(m[1])
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
	for _, x := range samples {
		out = append(out, x.labels["workload"])
	}
	return out
}

// exemplars must have come through the scrape.
func exemplars(t *testing.T, s *server) {
	t.Helper()
	var found []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	args := url.Values{"query": {"http_server_request_duration_seconds_bucket"}, "start": {"0"}, "end": {"9999999999"}}
	if err := s.get("/api/v1/query_exemplars", args, &found); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range found {
		n += len(f.Exemplars)
		for _, x := range f.Exemplars {
			if x.Labels["trace_id"] != "4bf92f3577b34da6a3ce929d0e0e4736" {
				t.Errorf("an exemplar with the labels %v", x.Labels)
			}
		}
	}
	if n == 0 {
		t.Error("no exemplar came through the scrape")
	}
}

// nodeGraph holds the map to what Grafana reads: every end of an edge is a node.
func nodeGraph(t *testing.T, s *server) {
	t.Helper()
	bytes := here.metric("weir_flow_bytes_total")
	all := func(expr string) []sample {
		got, err := s.query(chosen.Replace(expr))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	titles := map[string]string{}
	for _, n := range all(nodes(bytes)) {
		titles[n.labels["id"]] = n.labels["title"]
	}
	edges := all(edges(bytes))
	if len(edges) < 4 || titles["shop/web"] != "web" || titles["/world"] != "world" {
		t.Errorf("%d edges, nodes %v", len(edges), titles)
	}
	for _, e := range edges {
		_, from := titles[e.labels["source"]]
		_, to := titles[e.labels["target"]]
		if !from || !to || e.labels["id"] == "" {
			t.Errorf("the edge %v has an end that is no node", e.labels)
		}
	}
}

// TestNativeHistograms: a Prometheus that takes native histograms gets them, those that
// were counted in the kernel and those of weir's own making.
func TestNativeHistograms(t *testing.T) {
	s := scrapedServer(t, "native-histograms", `histogram_count(http_server_request_duration_seconds{http_response_status_code="200"}) > 5`)
	for expr, want := range map[string][2]float64{
		// Latencies are 1 to 20 ms, round trips 0.3 ms.
		`histogram_quantile(1, sum(http_server_request_duration_seconds))`:                      {.001, .021},
		`histogram_sum(sum(weir_tcp_rtt_seconds)) / histogram_count(sum(weir_tcp_rtt_seconds))`: {.000299, .000301},
		`histogram_quantile(0.5, sum(weir_tcp_rtt_seconds))`:                                    {.00027, .00033},
	} {
		got, err := s.query(expr)
		if err != nil || len(got) != 1 || got[0].value < want[0] || got[0].value > want[1] {
			t.Errorf("%s: %v, %v; want a value within %v", expr, got, err, want)
		}
	}
}
