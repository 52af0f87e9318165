package grafana

import "strings"

// The labels that say between whom.
const (
	source, sourceNS           = "source_workload", "source_namespace"
	destination, destinationNS = "destination_workload", "destination_namespace"
)

// pairs are both ends.
var pairs = []string{sourceNS, source, destinationNS, destination}

const pairLegend = "{{source_workload}} → {{destination_workload}}"

const half, third, quarter, sixth = 12, 8, 6, 4

// graph is a panel over time. Its unit, and its text where that is empty, are the metric's.
func graph(m metric, title, text string, width int, queries ...query) panel {
	return panel{kind: "timeseries", title: title, description: describe(m, text), unit: perSecond(m), width: width, height: 8, queries: queries}
}

// stat is one number.
func stat(m metric, title, text, unit string, steps []step, expr string) panel {
	return panel{
		kind: "stat", title: title, description: describe(m, text), unit: unit, width: sixth, height: 4, steps: steps,
		queries: []query{{expr: expr}},
	}
}

// latency is a histogram's quantiles over time, with traces where there are some.
func latency(m metric, title string, width int) panel {
	p := graph(m, title, "Half, 95 % and 99 % took no longer. "+m.Help, width)
	p.unit = "s"
	for _, q := range []struct{ q, name string }{{"0.5", "p50"}, {"0.95", "p95"}, {"0.99", "p99"}} {
		p.queries = append(p.queries, query{expr: m.quantile(q.q), legend: q.name, traces: strings.HasPrefix(m.Name, "http_")})
	}
	return p
}

// quantileBy is one quantile of each of the ten slowest.
func quantileBy(m metric, title, q, legend string, width int, by ...string) panel {
	p := graph(m, title, "The ten slowest. "+m.Help, width, query{expr: top(10, m.quantile(q, by...)), legend: legend})
	p.unit = "s"
	return p
}

// heatmap is how a histogram's observations are spread.
func heatmap(m metric, title string, width int) panel {
	return panel{
		kind: "heatmap", title: title, description: describe(m, ""), unit: "s", width: width, height: 8,
		queries: []query{{expr: m.buckets(), legend: "{{le}}"}},
	}
}

// share is a part of something over time, from 0 to 1.
func share(m metric, title, text string, width int, steps []step, queries ...query) panel {
	p := graph(m, title, text, width, queries...)
	p.unit, p.ceiling, p.steps = "percentunit", 1, steps
	return p
}

// list is a table of what several queries say of the same labels now.
func list(m metric, title, text string, columns []column, queries ...query) panel {
	return panel{
		kind: "table", title: title, description: describe(m, text), unit: "short", width: 24, height: 9,
		queries: queries, columns: columns,
	}
}

func describe(m metric, text string) string {
	if text == "" {
		return m.Help
	}
	return text
}

// perSecond is the unit of a metric as it is drawn: a counter by its rate.
func perSecond(m metric) string {
	switch {
	case m.Type == "gauge" && m.Unit == "bytes":
		return "bytes"
	case m.Type == "gauge" && m.Unit == "seconds":
		return "s"
	case m.Type == "gauge":
		return "short"
	case m.Type == "histogram":
		return "reqps"
	case m.Unit == "bytes":
		return "Bps"
	case m.Unit == "seconds":
		return "percentunit" // of one processor
	}
	return "cps"
}

// warn and alarm colour what should be small.
func warn(at float64) []step { return []step{{at, "orange"}} }

func warnAlarm(at, above float64) []step { return []step{{at, "orange"}, {above, "red"}} }

func stacked(p panel) panel {
	p.stacked = true
	return p
}

func linked(p panel, l *link) panel {
	p.link = l
	return p
}

// endColumns are both ends, before what is said of them.
func endColumns(more ...column) []column {
	return append([]column{
		{sourceNS, "From namespace", ""},
		{source, "From", ""},
		{destinationNS, "To namespace", ""},
		{destination, "To", ""},
	}, more...)
}
