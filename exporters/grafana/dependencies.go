package grafana

import "fmt"

// dependencies is who needs whom.
func dependencies() *dashboard {
	to := `destination_namespace=~"$namespace"`
	var (
		bytes    = here.metric("weir_flow_bytes_total", to)
		flows    = here.metric("weir_flows_total", to)
		failures = here.metric("weir_connection_failures_total", to)
		rtt      = here.metric("weir_tcp_rtt_seconds", to)
		asked    = here.metric("http_client_request_duration_seconds", to)
		askedBad = here.metric("http_client_request_duration_seconds", to, `error_type!=""`)
	)
	graph := panel{
		kind: "nodeGraph", title: "Who talks to whom", width: 24, height: 18, unit: "Bps",
		description: "Workloads and the traffic between them, both directions together; an arrow goes from the client to the server. world is everything beyond the hosts.",
		queries:     []query{{ref: "nodes", expr: nodes(bytes)}, {ref: "edges", expr: edges(bytes)}},
	}
	return &dashboard{
		uid: uidDependencies, title: "weir / Dependencies",
		description: "Which workload needs which, made of the flows themselves.",
		variables:   scoped(namespace()),
		rows: []row{
			{"Map", []panel{graph}},
			{"Pairs", []panel{
				linked(list(flows, "Connections", "Every pair that talked lately.", endColumns(
					column{"Value #A", "Traffic", "Bps"}, column{"Value #B", "Flows", "cps"}, column{"Value #C", "Failed", "percentunit"},
					column{"Value #D", "p95 round trip", "s"},
				),
					query{expr: bytes.rate(pairs...)}, query{expr: flows.rate(pairs...)},
					query{expr: ratio(failures.rate(pairs...), flows.rate(pairs...))}, query{expr: rtt.quantile("0.95", pairs...)}),
					workloadLink("${__data.fields.To}")),
				linked(list(asked, "HTTP requests", "As the client sees them: 4xx are errors too.", endColumns(
					column{"Value #A", "Requests", "reqps"}, column{"Value #B", "Errors", "percentunit"}, column{"Value #C", "p95", "s"},
				),
					query{expr: asked.rate(pairs...)}, query{expr: ratio(askedBad.rate(pairs...), asked.rate(pairs...))},
					query{expr: asked.quantile("0.95", pairs...)}),
					workloadLink("${__data.fields.To}")),
			}},
		},
	}
}

// edges are pairs with the labels that Grafana's node graph reads.
func edges(m metric) string {
	expr := m.rate(pairs...)
	expr = fmt.Sprintf(`label_join(%s, "source", "/", "%s", "%s")`, expr, sourceNS, source)
	expr = fmt.Sprintf(`label_join(%s, "target", "/", "%s", "%s")`, expr, destinationNS, destination)
	expr = fmt.Sprintf(`label_join(%s, "id", " → ", "source", "target")`, expr)
	return "sum by (id, source, target) (" + expr + ")"
}

// nodes are the ends of pairs, each with the traffic of all its pairs.
func nodes(m metric) string {
	end := func(side, ns, name string) string {
		expr := fmt.Sprintf(`label_join(%s, "id", "/", "%s", "%s")`, m.rate(ns, name), ns, name)
		expr = fmt.Sprintf(`label_replace(%s, "title", "$1", "%s", "(.*)")`, expr, name)
		expr = fmt.Sprintf(`label_replace(%s, "subtitle", "$1", "%s", "(.*)")`, expr, ns)
		return fmt.Sprintf(`label_replace(sum by (id, title, subtitle) (%s), "side", "%s", "", "")`, expr, side)
	}
	return fmt.Sprintf("sum by (id, title, subtitle) (%s or %s)", end("client", sourceNS, source), end("server", destinationNS, destination))
}
