package grafana

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// rules is a file of rules as Prometheus reads it.
type rules struct {
	Groups []group `yaml:"groups"`
}

type group struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

// rule is a recording rule or an alert.
type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`

	value string // of an alert: Expr without the threshold
}

// jobs is the scope of rules. OpenTelemetry's names are others' too: only the job
// tells that a series is weir's.
func jobs(job string) scope { return scope{[]string{fmt.Sprintf("job=%q", job)}, "5m"} }

// ruleFile is all rules, in the form that Prometheus reads.
func ruleFile(job string) ([]byte, error) {
	body, err := yaml.Marshal(allRules(job))
	if err != nil {
		return nil, err
	}
	return append([]byte("# Made by weir dashboards export. Of the job "+job+".\n"), body...), nil
}

func allRules(job string) rules {
	s := jobs(job)
	return rules{[]group{
		{"weir-pairs", recordings(s)},
		{"weir-traffic", trafficAlerts(s)},
		{"weir-health", healthAlerts(s)},
	}}
}

// recordings are what is asked often and takes long: RED numbers by pair of workloads.
func recordings(s scope) []rule {
	by := append([]string{"job", "instance"}, pairs...)
	var out []rule
	record := func(name, expr string) { out = append(out, rule{Record: name, Expr: expr}) }
	for _, c := range []struct{ name, short, failed string }{
		{"http_server_request_duration_seconds", "http_server_requests", `error_type!=""`},
		{"http_client_request_duration_seconds", "http_client_requests", `error_type!=""`},
		{"dns_lookup_duration_seconds", "dns_lookups", `error_type!=""`},
		{"weir_tls_handshake_duration_seconds", "tls_handshakes", `outcome!="ok"`},
	} {
		all, failed := s.metric(c.name), s.metric(c.name, c.failed)
		record("pair:weir_"+c.short+":rate5m", all.rate(by...))
		record("pair:weir_"+c.short+"_failed:ratio_rate5m", ratio(failed.rate(by...), all.rate(by...)))
		record("pair:weir_"+c.short+"_duration_seconds:p95_5m", all.quantile("0.95", by...))
	}
	flows, failures := s.metric("weir_flows_total"), s.metric("weir_connection_failures_total")
	record("pair:weir_flows:rate5m", flows.rate(by...))
	record("pair:weir_flow_bytes:rate5m", s.metric("weir_flow_bytes_total").rate(append(by, "direction")...))
	record("pair:weir_flows_failed:ratio_rate5m", ratio(failures.rate(by...), flows.rate(by...)))
	record("pair:weir_tcp_rtt_seconds:p95_5m", s.metric("weir_tcp_rtt_seconds").quantile("0.95", by...))
	return out
}

// alert is a rule that fires where expr is beyond a threshold for some time.
func alert(name, severity, hold, expr, beyond, summary, description string) rule {
	return rule{
		Alert: name, For: hold, Expr: expr + " " + beyond, value: expr,
		Labels:      map[string]string{"severity": severity},
		Annotations: map[string]string{"summary": summary, "description": description},
	}
}

// The severities: somebody has to look now, today, or when there is time.
const (
	critical = "critical"
	warning  = "warning"
	info     = "info"
)
