package grafana

const betweenEnds = "from {{ $labels.source_workload }} to {{ $labels.destination_workload }}"

// trafficAlerts are about what weir sees. A share alone is not enough: one of two
// requests that failed at night wakes nobody, so that each asks for some traffic too.
func trafficAlerts(s scope) []rule {
	var (
		flows, failures = s.metric("weir_flows_total"), s.metric("weir_connection_failures_total")
		served, broken  = s.metric("http_server_request_duration_seconds"), s.metric("http_server_request_duration_seconds", `error_type!=""`)
		lookups, failed = s.metric("dns_lookup_duration_seconds"), s.metric("dns_lookup_duration_seconds", `error_type!=""`)
		hellos, refused = s.metric("weir_tls_handshake_duration_seconds"), s.metric("weir_tls_handshake_duration_seconds", `outcome!="ok"`)
		segments        = s.metric("weir_flow_packets_total", `protocol="tcp"`)
		again           = s.metric("weir_tcp_retransmits_total")
		audit           = s.metric("weir_policy_verdicts_total", `action="audit"`)
		dropped         = s.metric("weir_policy_verdicts_total", `action="dropped"`)
	)
	busy := func(m metric, by ...string) string { return " and " + m.rate(by...) + " > 0.1" }
	rate := func(name string, part, whole metric, beyond, summary, description string, by ...string) rule {
		return alert(name, warning, "10m", ratio(part.rate(by...), whole.rate(by...)), beyond+busy(whole, by...), summary, description)
	}
	server := []string{"instance", destinationNS, destination}
	return []rule{
		rate("WeirConnectionsFail", failures, flows, "> 0.05",
			"Connections "+betweenEnds+" fail",
			"{{ $value | humanizePercentage }} of the connections "+betweenEnds+" were refused, reset, timed out or unreachable for 10 minutes.",
			append([]string{"instance"}, pairs...)...),
		rate("WeirHTTPErrors", broken, served, "> 0.05",
			"{{ $labels.destination_workload }} answers with errors",
			"{{ $value | humanizePercentage }} of the HTTP requests to {{ $labels.destination_workload }} were answered with 5xx or not at all for 10 minutes.",
			server...),
		rate("WeirDNSFails", failed, lookups, "> 0.05",
			"DNS lookups of {{ $labels.source_workload }} fail",
			"{{ $value | humanizePercentage }} of the lookups of {{ $labels.source_workload }} ended with an error other than NXDOMAIN, or without an answer, for 10 minutes.",
			"instance", sourceNS, source),
		rate("WeirTLSFails", refused, hellos, "> 0.05",
			"TLS handshakes "+betweenEnds+" fail",
			"{{ $value | humanizePercentage }} of the handshakes "+betweenEnds+" ended with an alert or without an answer for 10 minutes.",
			append([]string{"instance"}, pairs...)...),
		rate("WeirRetransmissions", again, segments, "> 0.05",
			"The network to {{ $labels.destination_workload }} loses packets",
			"{{ $value | humanizePercentage }} of the TCP packets to and from {{ $labels.destination_workload }} were sent again for 10 minutes.",
			server...),
		alert("WeirPolicyWouldDeny", info, "", audit.since("1h", "policy", "rule", source, destination), "> 0",
			"The policy {{ $labels.policy }} would deny traffic "+betweenEnds,
			"In the last hour the policy {{ $labels.policy }} would have denied {{ $value | humanize }} attempts "+betweenEnds+" (rule {{ $labels.rule }}). Allow them before the policy is enforced, or leave them denied."),
		alert("WeirPolicyDenies", info, "5m", dropped.rate("policy", "rule", source, destination), "> 0",
			"The policy {{ $labels.policy }} denies traffic "+betweenEnds,
			"The policy {{ $labels.policy }} has refused attempts "+betweenEnds+" for 5 minutes (rule {{ $labels.rule }})."),
	}
}

// healthAlerts are about weir itself.
func healthAlerts(s scope) []rule {
	m := s.metric
	return []rule{
		alert("WeirDown", critical, "5m", m("up").selector(""), "== 0",
			"weir on {{ $labels.instance }} does not answer",
			"Prometheus has not reached weir on {{ $labels.instance }} for 5 minutes. Enforcement does not depend on it, but nothing is seen."),
		alert("WeirNotCapturing", critical, "10m", m("weir_capturing").selector(""), "== 0",
			"weir on {{ $labels.instance }} captures nothing",
			"weir on {{ $labels.instance }} could not start to capture and has tried again for 10 minutes. Policies are enforced, but nothing is seen; weir status says why."),
		alert("WeirLosesObservations", warning, "10m", m("weir_lost_total").rate("instance", "stage", "reason"), "> 0",
			"weir on {{ $labels.instance }} loses observations",
			"The stage {{ $labels.stage }} has lost {{ $value | humanize }} observations a second for 10 minutes: {{ $labels.reason }}. What each means is in docs/architecture.md, under Losses."),
		alert("WeirRingFull", warning, "5m", m("weir_ring_unread_bytes").sum("instance")+" / "+m("weir_ring_size_bytes").sum("instance"), "> 0.8",
			"The ring buffer of weir on {{ $labels.instance }} is nearly full",
			"{{ $value | humanizePercentage }} of the ring buffer wait to be read. A larger one helps with bursts: --kernel-buffer."),
		alert("WeirTableFull", warning, "10m",
			m("weir_kernel_table_entries").sum("instance", "table")+" / "+m("weir_kernel_table_max_entries").sum("instance", "table"), "> 0.9",
			"The kernel table {{ $labels.table }} of weir on {{ $labels.instance }} is nearly full",
			"{{ $value | humanizePercentage }} of the table {{ $labels.table }} are taken. What finds no place in it is counted as lost."),
		alert("WeirSeriesBudget", info, "15m", m("weir_metrics_overflow_total").rate("instance", "metric"), "> 0",
			"{{ $labels.metric }} has more series than its budget on {{ $labels.instance }}",
			"What found no room is counted under the name other. Raise --metrics-budget, or leave labels empty with --metrics-omit."),
	}
}
