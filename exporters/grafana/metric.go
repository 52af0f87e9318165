package grafana

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed79351815/weir/exporters/prom"
)

// beside are the metrics that do not come from weir's own table: those of
// Prometheus' library for the process, and of Prometheus for each target.
var beside = []prom.Metric{
	{Name: "up", Type: "gauge", Help: "Whether the latest scrape worked."},
	{Name: "process_cpu_seconds_total", Type: "counter", Unit: "seconds", Help: "Processor time of weir's process. What its programs take in the kernel is in the processes that they ran in."},
	{Name: "process_resident_memory_bytes", Type: "gauge", Unit: "bytes", Help: "Resident memory of weir's process. The kernel's tables are not in it."},
	{Name: "process_open_fds", Type: "gauge", Help: "Open files of weir's process."},
	{Name: "go_goroutines", Type: "gauge", Help: "Goroutines of weir's process."},
}

// scope is where queries look: matchers that each of them has, and the window of
// its rates.
type scope struct {
	matchers []string
	window   string
}

// metric is a row of the table, within a scope.
type metric struct {
	prom.Metric
	scope scope
}

// metric looks a row up. Matchers are added to the scope's. A name or label that
// is not in the table is a fault of the program: it panics, in every test.
func (s scope) metric(name string, matchers ...string) metric {
	all := append(prom.Table(), beside...)
	i := slices.IndexFunc(all, func(m prom.Metric) bool { return m.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("grafana: no metric %s in the table", name))
	}
	m := metric{all[i], scope{slices.Concat(s.matchers, matchers), s.window}}
	for _, matcher := range matchers {
		m.mustHave(matcher[:strings.IndexAny(matcher, "=!")])
	}
	return m
}

func (m metric) mustHave(label string) {
	if !slices.Contains(m.Labels, label) && !slices.Contains([]string{"job", "instance", "le"}, label) {
		panic(fmt.Sprintf("grafana: %s has no label %s", m.Name, label))
	}
}

// selector is the metric with its matchers; suffix is _bucket and the like.
func (m metric) selector(suffix string) string {
	return m.Name + suffix + "{" + strings.Join(m.scope.matchers, ",") + "}"
}

// series is the name of what counts: of histograms their count.
func (m metric) counting() string {
	switch m.Type {
	case "histogram":
		return "_count"
	case "counter":
		return ""
	}
	panic(fmt.Sprintf("grafana: %s is a %s: it has no rate", m.Name, m.Type))
}

// rate is how much is counted in a second, summed by labels.
func (m metric) rate(by ...string) string {
	return m.aggregate("sum", by, fmt.Sprintf("rate(%s[%s])", m.selector(m.counting()), m.scope.window))
}

// since is how much was counted in a time, summed by labels; nothing where that is
// none. To increase() a counter that began in that time was never below its first
// value: a rule that was met once would not be seen. Its value counts here.
func (m metric) since(over string, by ...string) string {
	increase := m.aggregate("sum", by, fmt.Sprintf("increase(%s[%s])", m.selector(m.counting()), over))
	now := m.aggregate("sum", by, m.selector(m.counting()))
	before := m.aggregate("sum", by, m.selector(m.counting())+" offset "+over)
	return fmt.Sprintf("(%s > 0 or %s unless %s)", increase, now, before)
}

// sum is a gauge's value, summed by labels.
func (m metric) sum(by ...string) string { return m.aggregate("sum", by, m.selector("")) }

// quantile is a histogram's, from its classic buckets.
func (m metric) quantile(q string, by ...string) string {
	return fmt.Sprintf("histogram_quantile(%s, %s)", q, m.buckets(by...))
}

// buckets are a histogram's classic buckets' rates.
func (m metric) buckets(by ...string) string {
	if m.Type != "histogram" {
		panic(fmt.Sprintf("grafana: %s is no histogram", m.Name))
	}
	return m.aggregate("sum", append([]string{"le"}, by...), fmt.Sprintf("rate(%s[%s])", m.selector("_bucket"), m.scope.window))
}

func (m metric) aggregate(op string, by []string, expr string) string {
	for _, label := range by {
		m.mustHave(label)
	}
	if len(by) == 0 {
		return fmt.Sprintf("%s(%s)", op, expr)
	}
	return fmt.Sprintf("%s by (%s) (%s)", op, strings.Join(by, ", "), expr)
}

// ratio is part / whole, 0 where there is no part, and nothing where there is no whole.
func ratio(part, whole string) string {
	return fmt.Sprintf("(%s or 0 * %s) / (%s > 0)", part, whole, whole)
}

// top keeps the n greatest.
func top(n int, expr string) string { return fmt.Sprintf("topk(%d, %s)", n, expr) }

// active is the rate of only those that counted something in the window.
func (m metric) active(by ...string) string { return m.rate(by...) + " > 0" }
