package prom

import (
	"strings"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// decision is what a policy said of a record, in the labels of
// weir_policy_verdicts_total. What is not known is empty.
type decision struct {
	direction string // ingress or egress, seen from the workload that the policy selects
	match     string // Hubble's: none, l3-only, l3-l4, l4-only, all, l3-proto, proto-only, l7/http, l7/dns
	action    string // Hubble's: forwarded, dropped, audit, redirected
	policy    string // namespace/name; of several that only want a rule all, as flow.Judged.PolicyNames writes them
	rule      string // within the policy
	mode      string // audit or enforce
}

// policyDrop begins the drop reasons that are a policy's.
const policyDrop = "POLICY"

// decide knows what a record says by itself. Forwarding is no decision: most flows
// meet no policy.
func decide(r *flow.Record) (d decision, ok bool) {
	switch {
	case r.Judged != nil:
		return decideJudged(r.Judged), true
	case r.Verdict == flow.VerdictAudit:
		return decision{action: "audit", mode: "audit"}, true
	case r.Verdict == flow.VerdictDropped && r.Drop != nil && strings.HasPrefix(r.Drop.Reason, policyDrop):
		return decision{action: "dropped", mode: "enforce"}, true
	}
	return d, false
}

// decideJudged is what a policy verdict says.
func decideJudged(j *flow.Judged) decision {
	d := decision{direction: "egress", match: "none", action: "audit", mode: "audit"}
	if j.Ingress {
		d.direction = "ingress"
	}
	if j.Denied {
		d.action, d.mode = "dropped", "enforce"
	}
	d.policy = j.PolicyNames()
	if j.Rule != "" {
		d.match, d.rule = "l3-l4", j.Rule
	}
	return d
}

// decided counts what a policy said, once: an update or an end of a flow repeats
// what its start told.
func (e *Exporter) decided(r *flow.Record, now time.Time) {
	n := verdicts(r)
	if n == 0 {
		return
	}
	d, ok := decide(r)
	if !ok {
		return
	}
	s := e.store
	p := s.flows.between(r.Flow.Client.Workload, r.Flow.Server.Workload, uint8(r.Flow.Protocol), now)
	if r.Kind == flow.RecordL7 {
		p = s.exchanges.between(r.L7.Client.Workload, r.L7.Server.Workload, uint8(r.L7.Protocol), now)
	}
	s.add(p, mPolicy, join([]string{
		clean(d.direction), clean(d.match), clean(d.action),
		clean(d.policy), s.labels.keep("rule", clean(d.rule)), clean(d.mode),
	}), n, now)
}

// verdicts is how many decisions a record tells.
func verdicts(r *flow.Record) uint64 {
	switch {
	case r.Kind == flow.RecordVerdict && r.Judged != nil:
		return r.Judged.Count
	case r.Kind == flow.RecordStart:
		return 1
	case r.Kind == flow.RecordDrop && r.Drop != nil:
		return r.Drop.Packets
	case r.Kind == flow.RecordL7 && r.L7 != nil && r.L7.Tally != nil:
		return r.L7.Tally.Count
	}
	return 0
}

// overflowDecision keeps of a joined decision what only a few values stand for.
func overflowDecision(label string) string {
	v := strings.Split(label, "\x00")
	v[3], v[4] = other, other // policy and rule
	return join(v)
}
