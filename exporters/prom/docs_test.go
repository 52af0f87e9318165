package prom

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const docsPath = "../../docs/metrics.md"

// TestDocs keeps docs/metrics.md the same as the table.
func TestDocs(t *testing.T) {
	want := markdown()
	if *update {
		if err := os.WriteFile(docsPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the table in metrics.go: go test ./exporters/prom -update", docsPath)
	}
}

func markdown() string {
	var b strings.Builder
	b.WriteString(`# Metrics

<!-- Made from exporters/prom/metrics.go: go test ./exporters/prom -update -->

` + "`weir run` serves these at `http://127.0.0.1:9934/metrics` (`--metrics-listen`), in Prometheus's text format, OpenMetrics and protobuf;" + `
native histograms go out in protobuf only. ` + "`/healthz` answers while the process lives, `/readyz` once the programs are attached." + `

- **Source** is the client: who opened the connection or sent the first packet. **Destination** is the server. An end that no workload
  of this host stands behind is ` + "`world`" + `. Addresses and ports are never labels.
- Each metric has a budget of 2,000 series (` + "`--metrics-budget`" + `). What does not fit is counted in series whose workloads are ` + "`other`" + `,
  and ` + "`weir_metrics_overflow_total`" + ` says how often.
- The series of a pair of workloads go when nothing was seen of it for 5 minutes.
- Names, types and labels do not change.

| metric | type | unit | labels | |
| --- | --- | --- | --- | --- |
`)
	for _, m := range metrics {
		labels := strings.Join(m.labels, "`, `")
		labels = strings.Replace(labels, strings.Join(ends, "`, `"), "*ends*", 1)
		switch {
		case strings.HasPrefix(labels, "*ends*`, "):
			labels = "*ends*, " + strings.TrimPrefix(labels, "*ends*`, ") + "`"
		case labels != "" && labels != "*ends*":
			labels = "`" + labels + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, m.unit, labels, m.help)
	}
	fmt.Fprintf(&b, "\n*ends* are `%s`.\n\n", strings.Join(ends, "`, `"))
	b.WriteString(`Values of the last label: ` + "`verdict` is `forwarded`, `dropped`, `error`, `audit` or `unknown`; `direction` is `sent` or `received`, seen from the\n" +
		"source; `cause` is `refused`, `timed-out`, `unreachable`, `reset-by-client` or `reset-by-server`; `reason` is the kernel's `enum skb_drop_reason`." + `

Beside them the Go runtime's ` + "`go_*`" + ` and the process's ` + "`process_*`" + ` metrics, from Prometheus's own library.
`)
	return b.String()
}
