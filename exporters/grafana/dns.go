package grafana

// dns is who looks up what, and what comes of it.
func dns() *dashboard {
	from := `source_namespace=~"$client_namespace"`
	var (
		lookups    = here.metric("dns_lookup_duration_seconds", from)
		failed     = here.metric("dns_lookup_duration_seconds", from, `error_type!=""`)
		unanswered = here.metric("dns_lookup_duration_seconds", from, `error_type="no_answer"`)
		unknown    = here.metric("dns_lookup_duration_seconds", from, `dns_response_code="NXDOMAIN"`)
	)
	name := []string{"dns_question_name", "dns_response_code"}
	variable := choice("client_namespace", "Client's namespace", "label_values("+here.metric("dns_lookup_duration_seconds").selector("_count")+", source_namespace)", ".*", true)
	return &dashboard{
		uid: uidDNS, title: "weir / DNS",
		description: "Every lookup that a workload of the hosts made: how long it took, and what failed.",
		variables:   scoped(variable),
		rows: []row{
			{"Now", []panel{
				stat(lookups, "Lookups", "", "reqps", nil, lookups.rate()),
				stat(lookups, "Failed", "An error code other than NXDOMAIN, or no answer.", "percentunit", warnAlarm(.01, .05), ratio(failed.rate(), lookups.rate())),
				stat(lookups, "Not answered", "", "percentunit", warnAlarm(.01, .05), ratio(unanswered.rate(), lookups.rate())),
				stat(lookups, "Names that do not exist", "NXDOMAIN: often a search list at work.", "percentunit", warn(.5), ratio(unknown.rate(), lookups.rate())),
				stat(lookups, "p50", "", "s", nil, lookups.quantile("0.5")),
				stat(lookups, "p99", "", "s", warnAlarm(.1, 1), lookups.quantile("0.99")),
			}},
			{"Over time", []panel{
				stacked(graph(lookups, "Lookups by answer", "An empty code is no answer.", third, query{expr: lookups.rate("dns_response_code"), legend: "{{dns_response_code}}"})),
				stacked(graph(lookups, "Lookups by type", "", third, query{expr: lookups.rate("dns_question_type"), legend: "{{dns_question_type}}"})),
				linked(graph(lookups, "Lookups by client", "", third, query{expr: top(10, lookups.rate(sourceNS, source)), legend: "{{source_workload}}"}),
					workloadLink("${__field.labels.source_workload}")),
				latency(lookups, "Time until the answer", third),
				heatmap(lookups, "How long answers take", third),
				share(lookups, "Failures by resolver", "", third, warn(.05),
					query{expr: top(10, ratio(failed.rate(destinationNS, destination), lookups.rate(destinationNS, destination))), legend: "{{destination_workload}}"}),
			}},
			{"Names", []panel{
				list(lookups, "Most asked for", "The 50 names that are asked for most often.", []column{
					{"dns_question_name", "Name", ""}, {"dns_response_code", "Answer", ""}, {"Value #A", "Lookups", "reqps"}, {"Value #B", "p95", "s"},
				}, query{expr: top(50, lookups.rate(name...))}, query{expr: lookups.quantile("0.95", name...)}),
				linked(list(failed, "Failing", "The 50 names whose lookups fail most often, and who asks.", []column{
					{source, "From", ""}, {"dns_question_name", "Name", ""}, {"error_type", "Error", ""}, {"Value #A", "Lookups", "reqps"},
				}, query{expr: top(50, failed.rate(source, "dns_question_name", "error_type"))}),
					workloadLink("${__data.fields.From}")),
			}},
		},
	}
}
