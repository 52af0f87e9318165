package prom

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed79351815/weir/collector/flow"
)

// maxLabel bounds a label value. Container names have at most 63 characters by
// DNS's rule; what is longer comes from a stranger.
const maxLabel = 128

// other is the value of every label of a series that took what had no budget.
const other = "other"

// clean makes any bytes a label value: valid UTF-8 without control, bidi or
// other invisible characters, at most maxLabel bytes. It allocates only when it
// has to change something.
func clean(s string) string {
	if plain(s) {
		return s
	}
	if len(s) > maxLabel {
		cut := maxLabel
		for cut > 0 && cut > maxLabel-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// plain tells whether s is what nearly every label is: short and printable ASCII.
func plain(s string) bool {
	if len(s) > maxLabel {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

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
