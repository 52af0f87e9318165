package prom

import (
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/internal/printable"
)

// maxLabel bounds a label value. Container names have at most 63 characters by
// DNS's rule; what is longer comes from a stranger.
const maxLabel = 128

// other is the value of every label of a series that took what had no budget.
const other = "other"

// clean makes any bytes a label value.
func clean(s string) string { return printable.Text(s, maxLabel) }

// endLabels are the workload and namespace labels of one end.
func endLabels(w *flow.Workload) (name, namespace string) {
	if w == nil {
		return "world", ""
	}
	return clean(w.Name), clean(w.Namespace)
}

// protocolLabel names the protocols weir knows. The rest share one value: a
// port scanner that tries all 256 must not make 256 series for each pair.
func protocolLabel(p flow.Protocol) string {
	switch p {
	case flow.ICMP, flow.IGMP, flow.TCP, flow.UDP, flow.ICMPv6, flow.SCTP:
		return p.String()
	}
	return other
}

func verdictLabel(v flow.Verdict) string {
	switch v {
	case flow.VerdictForwarded:
		return "forwarded"
	case flow.VerdictDropped:
		return "dropped"
	case flow.VerdictError:
		return "error"
	case flow.VerdictAudit:
		return "audit"
	}
	return "unknown"
}

// causeLabel names a failed end; the numbers of strangers' recordings share one value.
func causeLabel(e flow.End) string {
	if !e.Failed() {
		return "unknown"
	}
	return e.String()
}
