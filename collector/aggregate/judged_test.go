package aggregate

import (
	"net/netip"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

// A verdict names both ends, whichever of them the policy is of.
func TestVerdict(t *testing.T) {
	for name, tc := range map[string]struct {
		j              flow.Judged
		verdict        flow.Verdict
		client, server string
		clientAddr     string
		serverAddr     string
	}{
		"egress, denied": {
			flow.Judged{Cgroup: 7, Denied: true, Protocol: flow.TCP, Local: netip.MustParseAddrPort("10.0.0.2:0"), Remote: netip.MustParseAddrPort("10.0.0.3:3306"), Port: 3306, PID: 5, Count: 2},
			flow.VerdictDropped, "app", "db", "10.0.0.2:0", "10.0.0.3:3306",
		},
		"ingress, audited": {
			flow.Judged{Cgroup: 9, PeerCgroup: 7, Ingress: true, Protocol: flow.TCP, Local: netip.MustParseAddrPort("10.0.0.3:3306"), Remote: netip.MustParseAddrPort("10.0.0.2:4000"), Port: 3306, PID: 5, Count: 2},
			flow.VerdictAudit, "app", "db", "10.0.0.2:4000", "10.0.0.3:3306",
		},
		"ICMP has no port": {
			flow.Judged{Cgroup: 7, Protocol: flow.ICMP, Local: netip.MustParseAddrPort("10.0.0.2:0"), Remote: netip.MustParseAddrPort("10.0.0.3:0"), Port: 8, PID: 5, Count: 2},
			flow.VerdictAudit, "app", "db", "10.0.0.2:0", "10.0.0.3:0",
		},
	} {
		for _, beside := range []bool{false, true} {
			r := newRig(t, 0)
			r.id.know(7, "app", "")
			r.id.know(9, "db", "10.0.0.3")
			ev := flow.Event{Kind: flow.KindVerdict, Time: at(5), Judged: &tc.j}
			if beside {
				r.table.Judged([]flow.Event{ev})
				r.table.Flush()
			} else {
				r.apply(ev)
			}
			got := r.take()
			if len(got) != 1 || got[0].Kind != flow.RecordVerdict || got[0].Judged != &tc.j || got[0].Verdict != tc.verdict || got[0].Time != at(5) {
				t.Fatalf("%s: records %+v", name, got)
			}
			f := got[0].Flow
			if f.Client.Workload.String() != tc.client || f.Server.Workload.String() != tc.server || f.Client.Addr.String() != tc.clientAddr || f.Server.Addr.String() != tc.serverAddr {
				t.Errorf("%s: from %s %s to %s %s", name, f.Client.Workload, f.Client.Addr, f.Server.Workload, f.Server.Addr)
			}
			near := f.Client
			if tc.j.Ingress {
				near = f.Server
			}
			if near.PID != 5 || !near.Seen || f.Ended == 0 {
				t.Errorf("%s: flow %+v", name, f)
			}
			if events := r.table.Stats().Events; beside != (events == 0) {
				t.Errorf("%s: %d events counted", name, events)
			}
		}
	}
}
