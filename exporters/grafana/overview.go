package grafana

// overview answers: is something wrong, and where?
func overview() *dashboard {
	to := `destination_namespace=~"$namespace"`
	var (
		build    = here.metric("weir_build_info")
		live     = here.metric("weir_live_flows")
		lost     = here.metric("weir_lost_total")
		flows    = here.metric("weir_flows_total", to)
		bytes    = here.metric("weir_flow_bytes_total", to)
		failures = here.metric("weir_connection_failures_total", to)
		drops    = here.metric("weir_drops_total", to)
		again    = here.metric("weir_tcp_retransmits_total", to)
		rtt      = here.metric("weir_tcp_rtt_seconds", to)
		served   = here.metric("http_server_request_duration_seconds", to)
		broken   = here.metric("http_server_request_duration_seconds", to, `error_type!=""`)
		lookups  = here.metric("dns_lookup_duration_seconds")
		unfound  = here.metric("dns_lookup_duration_seconds", `error_type!=""`)
	)
	return &dashboard{
		uid: uidOverview, title: "weir / Overview",
		description: "Every flow of the hosts that weir watches: how much, between whom, and what goes wrong.",
		variables:   scoped(namespace()),
		rows: []row{
			{"Now", []panel{
				stat(build, "Hosts", "Hosts whose weir answers.", "short", nil, "count("+build.selector("")+")"),
				stat(live, "Flows", "", "short", nil, live.sum()),
				stat(bytes, "Traffic", "Payload in both directions.", "Bps", nil, bytes.rate()),
				stat(served, "HTTP requests served", "", "reqps", nil, served.rate()),
				stat(failures, "Failed connections", "Part of the flows that began.", "percentunit", warnAlarm(.01, .05), ratio(failures.rate(), flows.rate())),
				stat(lost, "Observations lost", "Whatever weir had to drop. The health page says where.", "cps", warn(1e-9), lost.rate()),
			}},
			{"Traffic", []panel{
				linked(graph(bytes, "Traffic by destination", "The ten that move most bytes, both directions together.", half,
					query{expr: top(10, bytes.rate(destinationNS, destination)), legend: "{{destination_workload}}"}),
					workloadLink("${__field.labels.destination_workload}")),
				stacked(graph(flows, "New flows by protocol", "", half, query{expr: flows.rate("protocol"), legend: "{{protocol}}"})),
			}},
			{"What goes wrong", []panel{
				stacked(graph(failures, "Failed connections by cause", "", third, query{expr: failures.rate("cause"), legend: "{{cause}}"})),
				stacked(graph(drops, "Dropped packets by reason", "", third, query{expr: drops.rate("reason"), legend: "{{reason}}"})),
				linked(graph(again, "TCP retransmissions by destination", "", third,
					query{expr: top(10, again.rate(destinationNS, destination)), legend: "{{destination_workload}}"}),
					workloadLink("${__field.labels.destination_workload}")),
			}},
			{"Requests", []panel{
				linked(share(served, "HTTP errors by server", "Part of the requests that a workload served with 5xx, or did not answer.", third, warn(.05),
					query{expr: top(10, ratio(broken.rate(destinationNS, destination), served.rate(destinationNS, destination))), legend: "{{destination_workload}}"}),
					workloadLink("${__field.labels.destination_workload}")),
				linked(quantileBy(served, "HTTP p95 by server", "0.95", "{{destination_workload}}", third, destinationNS, destination),
					workloadLink("${__field.labels.destination_workload}")),
				share(lookups, "Failed DNS lookups by client", "Lookups that ended with an error or without an answer.", third, warn(.05),
					query{expr: top(10, ratio(unfound.rate(sourceNS, source), lookups.rate(sourceNS, source))), legend: "{{source_workload}}"}),
			}},
			{"Pairs", []panel{
				linked(list(bytes, "The 30 busiest pairs", "Bytes and flows in a second, round trips and failures.", endColumns(
					column{"Value #A", "Traffic", "Bps"}, column{"Value #B", "Flows", "cps"},
					column{"Value #C", "p95 round trip", "s"}, column{"Value #D", "Failed", "cps"},
				),
					query{expr: top(30, bytes.rate(pairs...))}, query{expr: flows.rate(pairs...)},
					query{expr: rtt.quantile("0.95", pairs...)}, query{expr: failures.rate(pairs...)}),
					workloadLink("${__data.fields.To}")),
			}},
		},
	}
}
