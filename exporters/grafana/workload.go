package grafana

import "fmt"

// workload is one workload with all that it serves and asks for.
func workload() *dashboard {
	in, out := `destination_workload="$workload"`, `source_workload="$workload"`
	var (
		served    = here.metric("http_server_request_duration_seconds", in)
		servedBad = here.metric("http_server_request_duration_seconds", in, `error_type!=""`)
		asked     = here.metric("http_client_request_duration_seconds", out)
		askedBad  = here.metric("http_client_request_duration_seconds", out, `error_type!=""`)
		lookups   = here.metric("dns_lookup_duration_seconds", out)
		hellos    = here.metric("weir_tls_handshake_duration_seconds", out)
		bytesIn   = here.metric("weir_flow_bytes_total", in)
		bytesOut  = here.metric("weir_flow_bytes_total", out)
		flowsIn   = here.metric("weir_flows_total", in)
		flowsOut  = here.metric("weir_flows_total", out)
		failsIn   = here.metric("weir_connection_failures_total", in)
		failsOut  = here.metric("weir_connection_failures_total", out)
		rttIn     = here.metric("weir_tcp_rtt_seconds", in)
		rttOut    = here.metric("weir_tcp_rtt_seconds", out)
		connect   = here.metric("weir_tcp_connect_duration_seconds", out)
		again     = here.metric("weir_tcp_retransmits_total", out)
	)
	return &dashboard{
		uid: uidWorkload, title: "weir / Workload",
		description: "One workload: what it serves, what it asks of others, and the connections below.",
		variables:   scoped(anyWorkload()),
		rows: []row{
			{"Served by $workload", []panel{
				graph(served, "Requests by route", "", third, query{expr: top(10, served.rate("http_request_method", "http_route")), legend: "{{http_request_method}} {{http_route}}"}),
				stacked(graph(served, "Requests by status", "", third, query{expr: served.rate("http_response_status_code"), legend: "{{http_response_status_code}}"})),
				share(served, "Errors by client", "Part of a client's requests that were answered with 5xx, or not at all.", third, warn(.05),
					query{expr: ratio(servedBad.rate(sourceNS, source), served.rate(sourceNS, source)), legend: "{{source_workload}}"}),
				latency(served, "Time to answer", half),
				heatmap(served, "How long answers take", half),
			}},
			{"Asked by $workload", []panel{
				linked(graph(asked, "Requests by server", "", third, query{expr: top(10, asked.rate(destinationNS, destination)), legend: "{{destination_workload}}"}),
					workloadLink("${__field.labels.destination_workload}")),
				share(asked, "Errors by server", "Part of the requests that were answered with 4xx or 5xx, or not at all.", third, warn(.05),
					query{expr: ratio(askedBad.rate(destinationNS, destination), asked.rate(destinationNS, destination)), legend: "{{destination_workload}}"}),
				latency(asked, "Time until the answer", third),
				graph(lookups, "DNS lookups by answer", "", half, query{expr: lookups.rate("dns_response_code"), legend: "{{dns_response_code}}"}),
				graph(hellos, "TLS handshakes by server name", "", half, query{expr: top(10, hellos.rate("server_name", "outcome")), legend: "{{server_name}} {{outcome}}"}),
			}},
			{"Connections", []panel{
				graph(bytesIn, "Traffic as a server", "", half, query{expr: bytesIn.rate("direction"), legend: "{{direction}} by clients"}),
				graph(bytesOut, "Traffic as a client", "", half, query{expr: bytesOut.rate("direction"), legend: "{{direction}}"}),
				graph(flowsIn, "New and failed flows", "", third,
					query{expr: flowsIn.rate(), legend: "served"}, query{expr: flowsOut.rate(), legend: "opened"},
					query{expr: failsIn.rate("cause"), legend: "served, {{cause}}"}, query{expr: failsOut.rate("cause"), legend: "opened, {{cause}}"}),
				roundTrips(rttIn, rttOut),
				latency(connect, "Time to connect", third),
				graph(again, "Retransmissions by server", "", third, query{expr: top(10, again.rate(destinationNS, destination)), legend: "{{destination_workload}}"}),
			}},
			{"Peers", []panel{
				peers("Clients", "Who opens connections to $workload.", sourceNS, source, bytesIn, flowsIn, rttIn),
				peers("Servers", "Whom $workload opens connections to.", destinationNS, destination, bytesOut, flowsOut, rttOut),
			}},
		},
	}
}

func roundTrips(in, out metric) panel {
	p := graph(in, "p95 round trip", "", third,
		query{expr: in.quantile("0.95"), legend: "with clients"}, query{expr: out.quantile("0.95"), legend: "with servers"})
	p.unit = "s"
	return p
}

func peers(title, text, ns, name string, bytes, flows, rtt metric) panel {
	p := list(bytes, title, text, []column{
		{ns, "Namespace", ""}, {name, "Workload", ""},
		{"Value #A", "Traffic", "Bps"}, {"Value #B", "Flows", "cps"}, {"Value #C", "p95 round trip", "s"},
	}, query{expr: bytes.rate(ns, name)}, query{expr: flows.rate(ns, name)}, query{expr: rtt.quantile("0.95", ns, name)})
	p.width = half
	return linked(p, workloadLink("${__data.fields.Workload}"))
}

// anyWorkload chooses one of those that are an end of some flow.
func anyWorkload() object {
	flows := here.metric("weir_flows_total").selector("")
	as := func(label string) string {
		return fmt.Sprintf(`label_replace(%s, "workload", "$1", "%s", "(.+)")`, flows, label)
	}
	v := choice("workload", "Workload", fmt.Sprintf("query_result(group by (workload) (%s or %s))", as(destination), as(source)), "", false)
	v["regex"] = `/workload="([^"]*)"/`
	return v
}
