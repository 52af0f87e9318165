package grafana

import (
	"errors"
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
		`count_over_time(weir_build_info[1m]) >= 5 and on () count_over_time(pair:weir_flows:rate5m{source_workload="web"}[1m]) >= 3`)
	for _, d := range shownDashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				returnsData(t, s, fmt.Sprintf("%s, %q, %s", d.UID, p.Title, q.RefID), chosen.Replace(q.Expr))
			}
		}
		for _, v := range d.Templating.List {
			if v.Type == "query" {
				eventually(t, func() error { return s.choices(v) }, "%s, the variable %s", d.UID, v.Name)
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
	eventually(t, s.exemplars, "exemplars")
	eventually(t, s.nodeGraph, "the node graph")
}

// eventually asks until the answer is right, for some seconds: a scrape that took longer
// than it may, as on a busy machine, leaves nothing to see until the next one.
func eventually(t *testing.T, ask func() error, what string, args ...any) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := ask()
		switch {
		case err == nil:
			return
		case time.Now().After(late):
			t.Errorf("%s: %v", fmt.Sprintf(what, args...), err)
			return
		}
	}
}

// returnsData holds a query to an answer that is not empty.
func returnsData(t *testing.T, s *server, what, expr string) {
	t.Helper()
	eventually(t, func() error {
		got, err := s.query(expr)
		if err == nil && len(got) == 0 {
			return errors.New("no data")
		}
		return err
	}, "%s\n%s", what, expr)
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	queryResult = regexp.MustCompile(`^query_result\((.+)\)$`)
)

// choices holds a variable to having some, as Grafana makes them of its query.
func (s *server) choices(v variable) error {
	text := chosen.Replace(v.Query.(map[string]any)["query"].(string))
	var out []string
	if m := labelValues.FindStringSubmatch(text); m != nil {
		if err := s.get("/api/v1/label/"+m[2]+"/values", url.Values{"match[]": {m[1]}}, &out); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	} else if m := queryResult.FindStringSubmatch(text); m != nil {
		samples, err := s.query(m[1])
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		for _, x := range samples {
			out = append(out, x.labels["workload"])
		}
	} else {
		return fmt.Errorf("no query that Grafana has: %s", text)
	}
	if len(out) == 0 {
		return fmt.Errorf("nothing to choose: %s", text)
	}
	return nil
}

// exemplars must have come through the scrape.
func (s *server) exemplars() error {
	var found []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	args := url.Values{"query": {"http_server_request_duration_seconds_bucket"}, "start": {"0"}, "end": {"9999999999"}}
	if err := s.get("/api/v1/query_exemplars", args, &found); err != nil {
		return err
	}
	n := 0
	for _, f := range found {
		n += len(f.Exemplars)
		for _, x := range f.Exemplars {
			if x.Labels["trace_id"] != "4bf92f3577b34da6a3ce929d0e0e4736" {
				return fmt.Errorf("an exemplar with the labels %v", x.Labels)
			}
		}
	}
	if n == 0 {
		return errors.New("no exemplar came through the scrape")
	}
	return nil
}

// nodeGraph holds the map to what Grafana reads: every end of an edge is a node.
func (s *server) nodeGraph() error {
	bytes := here.metric("weir_flow_bytes_total")
	// Both of one moment, so that no scrape comes between them.
	now := time.Now()
	shown, err := s.queryAt(now, chosen.Replace(nodes(bytes)))
	if err != nil {
		return err
	}
	drawn, err := s.queryAt(now, chosen.Replace(edges(bytes)))
	if err != nil {
		return err
	}
	titles := map[string]string{}
	for _, n := range shown {
		titles[n.labels["id"]] = n.labels["title"]
	}
	if len(drawn) < 4 || titles["shop/web"] != "web" || titles["/world"] != "world" {
		return fmt.Errorf("%d edges, nodes %v", len(drawn), titles)
	}
	for _, e := range drawn {
		_, from := titles[e.labels["source"]]
		_, to := titles[e.labels["target"]]
		if !from || !to || e.labels["id"] == "" {
			return fmt.Errorf("the edge %v has an end that is no node", e.labels)
		}
	}
	return nil
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
		eventually(t, func() error {
			got, err := s.query(expr)
			if err == nil && (len(got) != 1 || got[0].value < want[0] || got[0].value > want[1]) {
				return fmt.Errorf("%v, want a value within %v", got, want)
			}
			return err
		}, "%s", expr)
	}
}
