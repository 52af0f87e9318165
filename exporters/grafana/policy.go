package grafana

// policy leads from audit to enforcement: what would be denied, by which rule, until
// nothing is that should not be.
func policy() *dashboard {
	to := `policy=~"$policy"`
	var (
		all      = here.metric("weir_policy_verdicts_total", to)
		audit    = here.metric("weir_policy_verdicts_total", to, `action="audit"`)
		dropped  = here.metric("weir_policy_verdicts_total", to, `action="dropped"`)
		enforced = here.metric("weir_policy_verdicts_total", to, `mode="enforce"`)
	)
	rule := []string{"policy", "rule", "direction", "match", source, destination}
	total := func(m metric) string { return "sum(" + m.since("$__range", rule...) + ") or vector(0)" }
	columns := func(value column) []column {
		return []column{
			{"policy", "Policy", ""}, {"rule", "Rule", ""}, {"direction", "Direction", ""}, {"match", "Match", ""},
			{source, "From", ""}, {destination, "To", ""}, value,
		}
	}
	variable := choice("policy", "Policy", "label_values("+here.metric("weir_policy_verdicts_total").selector("")+", policy)", ".*", true)
	return &dashboard{
		uid: uidPolicy, title: "weir / Policy",
		description: "From audit to enforcement. While a policy is in audit, nothing is denied: what it would deny is counted. When nothing in the table of would-be denials is legitimate traffic, the policy can be enforced.",
		variables:   scoped(variable),
		rows: []row{
			{"Now", []panel{
				stat(audit, "Would be denied", "In the time shown above, by policies in audit. At 0 they can be enforced.", "short", warn(1), total(audit)),
				stat(dropped, "Denied", "Attempts that enforced policies refused in the time shown above.", "short", nil, total(dropped)),
				stat(enforced, "Policies enforced", "That decided something lately.", "short", nil, "count("+enforced.active("policy")+") or vector(0)"),
				stat(audit, "Policies in audit", "That would have denied something lately.", "short", nil, "count("+audit.active("policy")+") or vector(0)"),
			}},
			{"Audit: what would be denied", []panel{
				graph(audit, "By policy", "", half, query{expr: audit.rate("policy"), legend: "{{policy}}"}),
				graph(audit, "By pair", "", half, query{expr: top(10, audit.rate(source, destination)), legend: pairLegend}),
				linked(list(audit, "By rule", "Legitimate traffic in here is what a rule is missing for.", columns(column{"Value #A", "In the time shown", "short"}),
					query{expr: top(100, audit.since("$__range", rule...))}),
					workloadLink("${__data.fields.From}")),
			}},
			{"Enforce: what is denied", []panel{
				graph(dropped, "By policy", "", half, query{expr: dropped.rate("policy"), legend: "{{policy}}"}),
				graph(dropped, "By pair", "", half, query{expr: top(10, dropped.rate(source, destination)), legend: pairLegend}),
				linked(list(dropped, "By rule", "Attempts in the time shown above.", columns(column{"Value #A", "In the time shown", "short"}),
					query{expr: top(100, dropped.since("$__range", rule...))}),
					workloadLink("${__data.fields.From}")),
			}},
			{"All decisions", []panel{
				stacked(graph(all, "By action", "", third, query{expr: all.rate("action"), legend: "{{action}}"})),
				stacked(graph(all, "By mode", "", third, query{expr: all.rate("mode"), legend: "{{mode}}"})),
				stacked(graph(all, "By direction and match", "", third, query{expr: all.rate("direction", "match"), legend: "{{direction}} {{match}}"})),
			}},
		},
	}
}
