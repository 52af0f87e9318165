package prom

import "slices"

// Metric is a line of the table of metrics, for who makes queries of them.
type Metric struct {
	Name   string
	Type   string   // counter, gauge or histogram
	Unit   string   // bytes, seconds or none
	Labels []string // without those that a user chose to add
	Help   string
}

// Table is every metric that weir exports, in the order of docs/metrics.md, beside
// the Go runtime's and the process's own. It is the caller's.
func Table() []Metric {
	out := make([]Metric, 0, len(metrics))
	for _, m := range metrics {
		out = append(out, Metric{m.name, string(m.kind), m.unit, slices.Clone(m.labels), m.help})
	}
	return out
}
