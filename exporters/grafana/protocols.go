package grafana

// protocols is what is said over the connections.
func protocols() *dashboard {
	to := `destination_namespace=~"$namespace"`
	var (
		served    = here.metric("http_server_request_duration_seconds", to)
		servedBad = here.metric("http_server_request_duration_seconds", to, `error_type!=""`)
		asked     = here.metric("http_client_request_duration_seconds", to)
		askedBad  = here.metric("http_client_request_duration_seconds", to, `error_type!=""`)
		hellos    = here.metric("weir_tls_handshake_duration_seconds", to)
		hellosBad = here.metric("weir_tls_handshake_duration_seconds", to, `outcome!="ok"`)
		bytes     = here.metric("weir_l7_bytes_total", to)
		shown     = here.metric("weir_exchanges_shown_total", to)
		unseen    = here.metric("weir_l7_unseen_bytes_total")
		stretches = here.metric("weir_l7_unseen_stretches_total")
	)
	route := []string{destination, "http_request_method", "http_route"}
	return &dashboard{
		uid: uidProtocols, title: "weir / Protocols",
		description: "HTTP requests and TLS handshakes, counted in the kernel: all of them, without samples. DNS has a page of its own.",
		variables:   scoped(namespace()),
		rows: []row{
			{"HTTP, served here", []panel{
				stacked(graph(served, "Requests by status", "", third, query{expr: served.rate("http_response_status_code"), legend: "{{http_response_status_code}}"})),
				stacked(graph(served, "Requests by method", "", third, query{expr: served.rate("http_request_method"), legend: "{{http_request_method}}"})),
				share(served, "Errors", "5xx, or no answer.", third, warn(.05), query{expr: ratio(servedBad.rate(), served.rate()), legend: "errors"}),
				latency(served, "Time to answer", half),
				heatmap(served, "How long answers take", half),
				linked(list(served, "Routes", "The 50 that are asked most often. {…} stands for what differs.", []column{
					{destination, "Workload", ""}, {"http_request_method", "Method", ""}, {"http_route", "Route", ""},
					{"Value #A", "Requests", "reqps"}, {"Value #B", "Errors", "percentunit"}, {"Value #C", "p95", "s"},
				},
					query{expr: top(50, served.rate(route...))}, query{expr: ratio(servedBad.rate(route...), served.rate(route...))},
					query{expr: served.quantile("0.95", route...)}),
					workloadLink("${__data.fields.Workload}")),
			}},
			{"HTTP, asked from here", []panel{
				graph(asked, "Requests by client", "", third, query{expr: top(10, asked.rate(sourceNS, source)), legend: "{{source_workload}}"}),
				share(asked, "Errors by client", "4xx, 5xx, or no answer.", third, warn(.05),
					query{expr: top(10, ratio(askedBad.rate(sourceNS, source), asked.rate(sourceNS, source))), legend: "{{source_workload}}"}),
				latency(asked, "Time until the answer", third),
			}},
			{"TLS", []panel{
				stacked(graph(hellos, "Handshakes by outcome", "", third, query{expr: hellos.rate("outcome"), legend: "{{outcome}}"})),
				share(hellos, "Failed handshakes by pair", "Those that ended with an alert or without an answer.", third, warn(.05),
					query{expr: top(10, ratio(hellosBad.rate(source, destination), hellos.rate(source, destination))), legend: pairLegend}),
				quantileBy(hellos, "p95 by server name", "0.95", "{{server_name}}", third, "server_name"),
			}},
			{"What weir reads of it", []panel{
				graph(bytes, "Bytes of exchanges", "", third, query{expr: bytes.rate("protocol", "direction"), legend: "{{protocol}} {{direction}}"}),
				graph(shown, "Exchanges told in full", "", third, query{expr: shown.rate("protocol", "why"), legend: "{{protocol}} {{why}}"}),
				graph(unseen, "Bytes not read", "", sixth, query{expr: unseen.rate("protocol", "reason"), legend: "{{protocol}} {{reason}}"}),
				graph(stretches, "Stretches not read", "", sixth, query{expr: stretches.rate("protocol", "reason"), legend: "{{protocol}} {{reason}}"}),
			}},
		},
	}
}
