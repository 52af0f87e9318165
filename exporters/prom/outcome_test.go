package prom

import (
	"math"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

// Whatever a peer answers: the labels are few, an error is never a success, and
// what stands for many in an overflow series keeps which of the two it was.
func TestOutcomes(t *testing.T) {
	for m, most := range map[id]int{mHTTPServer: 503, mHTTPClient: 503, mDNS: 18, mTLS: 258} {
		labels := map[[2]string]bool{}
		for raw := range math.MaxUint16 + 1 {
			status := bounded(m, uint16(raw))
			labels[[2]string{statusLabel(m, status), errorLabel(m, status)}] = true
			many := anyOutcome(m, status)
			if f := failed(m, status); f != (errorLabel(m, status) != "") || f != failed(m, many) || f != (errorLabel(m, many) != "") {
				t.Fatalf("%s: status %d: failed %v, label %q, in an overflow %q", metrics[m].name, raw, f, errorLabel(m, status), errorLabel(m, many))
			}
		}
		if len(labels) > most {
			t.Errorf("%s: %d outcomes, at most %d are expected", metrics[m].name, len(labels), most)
		}
	}
	for _, c := range []struct {
		metric        id
		status        uint16
		label, errors string
	}{
		{mHTTPServer, 404, "404", ""},
		{mHTTPClient, 404, "404", "404"},
		{mHTTPServer, 500, "500", "500"},
		{mHTTPServer, 99, other, ""},
		{mHTTPServer, 600, other, other},
		{mHTTPClient, flow.NoAnswer, "", "no_answer"},
		{mDNS, 0, "NOERROR", ""},
		{mDNS, 3, "NXDOMAIN", ""},
		{mDNS, 5, "REFUSED", "REFUSED"},
		{mDNS, 16, other, other},
		{mDNS, anySuccess, other, other}, // as a peer's number it is none
		{mTLS, 40, "handshake_failure", "handshake_failure"},
		{mTLS, 256, other, other},
	} {
		status := bounded(c.metric, c.status)
		if l, e := statusLabel(c.metric, status), errorLabel(c.metric, status); l != c.label || e != c.errors {
			t.Errorf("%s: status %d is %q and %q, want %q and %q", metrics[c.metric].name, c.status, l, e, c.label, c.errors)
		}
	}
	if got := outcomeLabel(anySuccess); got != "ok" {
		t.Errorf("success in an overflow series is %q", got)
	}
}
