package prom

import (
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func exporterWith(t *testing.T, more, omit string) *Exporter {
	t.Helper()
	labels, err := ParseLabels(more, omit)
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Labels: labels})
}

func TestMoreLabels(t *testing.T) {
	e := exporterWith(t, "owner, image,label:com.example/team-name", "")
	owned := &flow.Workload{
		Name: "web-1", Namespace: "shop", Image: "nginx:1\n", Owner: flow.Owner{Kind: "Deployment", Name: "web"},
		Labels: []flow.Label{{Source: "container", Key: "com.example/team-name", Value: "blue"}},
	}
	const added = "source_image=nginx:1?,source_label_com_example_team_name=blue,source_namespace=shop,source_owner=web,source_workload=web-1"
	const none = "destination_image=,destination_label_com_example_team_name=,destination_namespace=,destination_owner=,destination_workload=world,"
	start := record(flow.RecordStart, owned, nil)
	start.Flow.ConnectLatency = 1e6
	call := tally(flow.TLS, "", "example.com", 0, 2, time.Millisecond)
	call.L7.Client.Workload, call.L7.Server.Workload = owned, nil
	consume(t, e, start, call)
	expect(t, e, "weir_flows_total", map[string]float64{none + "protocol=tcp," + added + ",verdict=forwarded": 1})
	expect(t, e, "weir_tcp_connect_duration_seconds", map[string]float64{none + added: 1})
	expect(t, e, "weir_tls_handshake_duration_seconds", map[string]float64{none + "outcome=ok,server_name=example.com," + added: 2})
	// Histograms of pairs that are gone go, with these labels too.
	e.store.expire(e.cfg.Now().Add(time.Hour))
	expect(t, e, "weir_tcp_connect_duration_seconds", map[string]float64{})
}

// What is left empty makes one series of many, and loses nothing.
func TestOmitLabels(t *testing.T) {
	e := exporterWith(t, "", "source_workload,http_route,http_request_method,dns_question_name,dns_question_type,server_name")
	for _, name := range []string{"a", "b", "c"} {
		for _, r := range []flow.Record{
			record(flow.RecordStart, nil, redis),
			served(tally(flow.HTTP, "GET", "/"+name, 200, 1, time.Millisecond)),
			served(tally(flow.HTTP, "PUT", "/"+name, 200, 1, time.Millisecond)),
			tally(flow.DNS, "A", name+".example", 0, 2, time.Millisecond),
			tally(flow.TLS, "", name+".example", 0, 2, time.Millisecond),
		} {
			w := workload("shop", name)
			r.Flow.Client.Workload = w
			if r.L7 != nil {
				r.L7.Client.Workload = w
			}
			consume(t, e, r)
		}
	}
	for _, m := range []id{mHTTPServer, mDNS, mTLS} {
		got := values(t, e, metrics[m].name)
		if len(got) != 1 || sum(t, e, metrics[m].name) != 6 {
			t.Errorf("%s: %v, want one series of 6", metrics[m].name, got)
		}
	}
	expect(t, e, "weir_flows_total", map[string]float64{shop + "protocol=tcp,source_namespace=shop,source_workload=,verdict=forwarded": 3})
}

func TestParseLabels(t *testing.T) {
	for _, tc := range []struct{ more, omit, want string }{
		{"ownr", "", `unknown label "ownr": expected some of owner,`},
		{"label:", "", `unknown label "label:"`},
		{"owner,owner", "", "owner is there already"},
		{"label:a.b,label:a-b", "", "label_a_b is there already"},
		{"label:a,label:b,label:c,label:d,label:e,label:f,label:g,label:h,label:i", "", "at most 8"},
		{"", "error_type", `unknown label "error_type": expected some of source_workload`},
		{"", "http_rout", `unknown label "http_rout"`},
	} {
		if _, err := ParseLabels(tc.more, tc.omit); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q, %q: %v, want %q", tc.more, tc.omit, err, tc.want)
		}
	}
	if _, err := ParseLabels(" ,, ", ","); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

// Whatever is asked for, what comes out must be something that Prometheus takes.
func FuzzParseLabels(f *testing.F) {
	f.Add("owner,label:com.docker.compose.service", "http_route")
	f.Add("label:\xff\u202e,image", "rule,server_name")
	f.Fuzz(func(t *testing.T, more, omit string) {
		labels, err := ParseLabels(more, omit)
		if err != nil {
			return
		}
		e := New(Config{Labels: labels})
		fill(t, e)
		fillL7(t, e)
		gathered(t, e)
	})
}
