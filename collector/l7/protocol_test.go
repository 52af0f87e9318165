package l7

import (
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

// Every protocol has a whole row, in its own place.
func TestProtocols(t *testing.T) {
	for n := flow.L7Protocol(1); n < flow.L7Protocols; n++ {
		p := Of(n)
		if p == nil {
			t.Errorf("protocol %d has no row", n)
			continue
		}
		if p.Number != n || p.Name != n.String() || p.Fails == nil || p.FailsClient == nil || p.Status == nil || p.words == nil ||
			p.Route == "" || p.ClientMetric == "" || p.ServerMetric == "" {
			t.Errorf("row %d: %+v", n, p)
		}
		for status := range 0x10000 {
			if p.Fails(uint16(status)) && !p.FailsClient(uint16(status)) {
				t.Fatalf("%s %d: fails for both, but not for the client", p.Name, status)
			}
		}
		if !p.Fails(flow.NoAnswer) {
			t.Errorf("%s: no answer is no failure", p.Name)
		}
	}
	if Of(flow.L7None) != nil || Of(200) != nil || Failed(200, 500) {
		t.Error("unknown protocols have rows")
	}
}

func TestStatuses(t *testing.T) {
	for _, tt := range []struct {
		protocol     flow.L7Protocol
		status       uint16
		text         string
		both, client bool
	}{
		{flow.HTTP, 200, "200", false, false},
		{flow.HTTP, 101, "101", false, false},
		{flow.HTTP, 399, "399", false, false},
		{flow.HTTP, 404, "404", false, true},
		{flow.HTTP, 500, "500", true, true},
		{flow.HTTP, flow.NoAnswer, "no_answer", true, true},
		{flow.DNS, 0, "NOERROR", false, false},
		{flow.DNS, 2, "SERVFAIL", true, true},
		{flow.DNS, 3, "NXDOMAIN", false, false},
		{flow.DNS, 15, "RCODE15", true, true},
		{flow.DNS, flow.NoAnswer, "no_answer", true, true},
		{flow.TLS, 0, "ok", false, false},
		{flow.TLS, 40, "handshake_failure", true, true},
		{flow.TLS, 48, "unknown_ca", true, true},
		{flow.TLS, 199, "alert_199", true, true},
		{flow.TLS, flow.NoAnswer, "no_answer", true, true},
	} {
		p := Of(tt.protocol)
		if got := p.Status(tt.status); got != tt.text {
			t.Errorf("%s %d: %q, want %q", p.Name, tt.status, got, tt.text)
		}
		if p.Fails(tt.status) != tt.both || p.FailsClient(tt.status) != tt.client || Failed(tt.protocol, tt.status) != tt.both {
			t.Errorf("%s %d: fails for both %v, for the client %v", p.Name, tt.status, p.Fails(tt.status), p.FailsClient(tt.status))
		}
	}
}
