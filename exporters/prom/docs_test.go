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
- Of HTTP routes, DNS names and TLS server names a pair of workloads never holds more series than it leaves free. Further ones are
  counted under the name ` + "`other`" + ` of the same pair as long as there is room, and in ` + "`weir_metrics_overflow_total`" + `. While room is short,
  a series of these that was silent for 5 minutes goes, though its pair lives.
- Names, types and labels do not change. ` + "`--metrics-labels`" + ` adds labels to both ends of each series that is made of flows or exchanges:
  ` + "`owner`, `owner_kind`, `runtime`, `image`, `container`, and `label:KEY`" + ` for a workload's own label, which become ` + "`source_owner`" + ` and so on.
  ` + "`--metrics-omit`" + ` leaves labels empty, and counts together what only they told apart: any of ` + "`" + strings.Join(omittable, "`, `") + "`" + `.
- ` + "`--metrics-web-config FILE`" + ` asks the endpoint's clients for TLS, certificates or a password, in the form of
  [Prometheus's own exporters](https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md).

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
		"source; `cause` is `refused`, `timed-out`, `unreachable`, `reset-by-client` or `reset-by-server`; the `reason` of drops is the kernel's\n" +
		"`enum skb_drop_reason`; `why` is `new`, `error`, `slow` or `sample`; `outcome` is `ok`, the TLS alert's name or `no_answer`." + `

## Policy verdicts

` + "`direction` is `ingress` or `egress`; `match` and `action` are Hubble's (`l3-l4`, `none`; `dropped`, `audit`); `mode` is `audit` or\n`enforce`" + `. What is not known is empty. What no policy decided is not counted here.

- **Attempts are counted as the kernel saw them**, not connections: [enforce.md](enforce.md#what-is-counted) says which count more than once. Who
  tried is told by ` + "`source_workload`" + `, and that somebody goes on trying by the rate.
- Where a rule decided, ` + "`policy` and `rule`" + ` name it. Where no rule allows it, ` + "`match` is `none`, `rule`" + ` is empty, and ` + "`policy`" + ` names all policies that select
  the workload in that direction, as ` + "`shop/base,shop/web`" + `: a rule in any of them would do. Of more than four the rest is counted:
  ` + "`…,+2`" + `. The verdict is counted once.

## Exchanges

- **Every exchange is counted once** for each workload of this host that took part: an HTTP request between two of them is in
  ` + "`http_client_…` and in `http_server_…`" + `, one to or from another machine in one of the two. A DNS lookup and a TLS handshake are in their one
  metric once. Exchanges that weir shows in full are among those counted.
- Names and labels are OpenTelemetry's. What is not known is an empty label, which to Prometheus is none: ` + "`http_response_status_code`" + ` where no
  answer came, ` + "`http_route` where the path was not kept and for `CONNECT`, `error_type`" + ` where nothing failed. Methods that
  OpenTelemetry does not know are ` + "`_OTHER`" + `.
- ` + "`error_type`" + ` is the status where it is an error: HTTP's 5xx, to the client also 4xx; a DNS response code other than ` + "`NOERROR` and `NXDOMAIN`" + `;
  ` + "`no_answer`" + ` where the connection ended first or the answer is overdue.
- Questions below ` + "`in-addr.arpa` and `ip6.arpa`" + ` are counted under these names, types of questions that are rarely asked under ` + "`other`" + `.
- HTTP's durations come with exemplars in OpenMetrics and protobuf: the ` + "`trace_id`" + ` of the newest exchange of each classic bucket whose
  client sent a ` + "`traceparent`" + `.
- Durations were counted in the kernel in buckets of which eight make a doubling. The native histogram has exactly these (schema 3). A
  classic bucket holds those that lie below its bound whole, so a duration up to 9 % below a bound may count as above it.

Beside them the Go runtime's ` + "`go_*`" + ` and the process's ` + "`process_*`" + ` metrics, from Prometheus's own library.
`)
	return b.String()
}
