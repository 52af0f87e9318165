package enforcer

import (
	"net/netip"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// Where nobody has rules everybody speaks to everybody.
func TestWithoutRulesEverythingPasses(t *testing.T) {
	w := newTown(t, "client", "server")
	w.apply(nil)
	w.everyWay("client", "server", "", "", "")
	if told := w.verdicts(); len(told) > 0 {
		t.Errorf("verdicts %v", told)
	}
}

// everyWay tries TCP, UDP and ping by both families.
func (w *town) everyWay(from, to, wantTCP, wantUDP, wantPing string) {
	w.t.Helper()
	h := w.hosts[to]
	stream := h.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	defer stream.Stop()
	datagrams := h.Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(0)})
	defer datagrams.Stop()
	for _, a := range []netip.Addr{h.V4, h.V6} {
		if got := w.reach(from, role.Spec{Role: role.TCPClient, Address: stream.On(a)}); got != wantTCP {
			w.t.Errorf("TCP from %s to %s: %q, want %q", from, a, got, wantTCP)
		}
		if got := w.reach(from, role.Spec{Role: role.UDPClient, Address: datagrams.On(a)}); got != wantUDP {
			w.t.Errorf("UDP from %s to %s: %q, want %q", from, a, got, wantUDP)
		}
		if got := w.reach(from, role.Spec{Role: role.Ping, Address: a.String()}); got != wantPing {
			w.t.Errorf("ping from %s to %s: %q, want %q", from, a, got, wantPing)
		}
	}
}

// A workload that is default-deny for what it sends is refused at once.
func TestEgressIsRefusedAtOnce(t *testing.T) {
	w := newTown(t, "client", "server", "other")
	w.apply(map[string]policy.Set{"client": {Egress: enforced, Entries: []policy.Entry{
		both(policy.Egress, w.identity("other"), 0, 0, policy.Allow),
	}}})
	w.everyWay("client", "server", "denied", "denied", "denied")
	w.everyWay("client", "other", "", "", "")
	w.everyWay("server", "client", "", "", "")
	w.everyWay("other", "server", "", "", "")
}

// A workload that is default-deny for what it receives is silent to strangers.
func TestIngressIsJudgedByWhoAsks(t *testing.T) {
	w := newTown(t, "client", "server", "other")
	w.apply(map[string]policy.Set{"server": {Ingress: enforced, Entries: []policy.Entry{
		both(policy.Ingress, w.identity("other"), 0, 0, policy.Allow),
	}}})
	// Nobody was there when the rules came: its devices are not covered, and pings are answered.
	w.everyWay("client", "server", "timeout", "timeout", "")
	w.everyWay("other", "server", "", "", "")
	w.everyWay("server", "client", "", "", "")
	told := w.verdicts()
	if v := told["server ingress"]; len(told) != 1 || v == nil || !v.Denied || v.Rule != 0 {
		t.Errorf("verdicts %v", told)
	}
}

func TestAuditPassesAndTells(t *testing.T) {
	w := newTown(t, "client", "server")
	w.apply(map[string]policy.Set{
		"client": {Egress: policy.Posture{Audit: true}},
		"server": {Entries: []policy.Entry{{Direction: policy.Ingress, Audited: policy.Decision{Verdict: policy.Deny, Rule: 2}}}},
	})
	w.everyWay("client", "server", "", "", "")
	told := w.verdicts()
	out, in := told["client egress"], told["server ingress"]
	if out == nil || in == nil || out.Denied || in.Denied || in.Rule != kernel.RuleNumber(policy.Rule{Policy: "second"}) || out.Rule != 0 {
		t.Fatalf("verdicts %v", told)
	}
	if in.PeerCgroup != w.hosts["client"].CgroupID {
		t.Errorf("the server takes %d for its peer, the client is %d", in.PeerCgroup, w.hosts["client"].CgroupID)
	}
	if out.PID == 0 || out.Comm == ([16]byte{}) {
		t.Errorf("nobody is said to have asked: %+v", out)
	}
}

// budget is the most instructions that the verifier may walk for a program, as for
// those that observe.
const budget = 100_000

func TestVerifierBudget(t *testing.T) {
	w := newTown(t)
	for name, p := range w.programs {
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		if steps, ok := info.VerifiedInstructions(); ok && steps > budget {
			t.Errorf("%s: the verifier walked %d instructions, the budget is %d", name, steps, budget)
		}
	}
}

// Who is audited is counted once at each end for each connection.
func TestAuditCountsOnce(t *testing.T) {
	w := newTown(t, "client", "server")
	audited := policy.Posture{Audit: true}
	w.apply(map[string]policy.Set{"client": {Egress: audited}, "server": {Ingress: audited}})
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	const n = 5
	if r := w.hosts["client"].Account(role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4), Count: n}); r.Conns != n {
		t.Fatalf("%+v", r)
	}
	told := w.verdicts()
	for _, end := range []string{"client egress", "server ingress"} {
		if v := told[end]; v == nil || v.Count != n {
			t.Errorf("%s: %+v, want %d", end, v, n)
		}
	}
}
