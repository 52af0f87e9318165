package simulate

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/policy"
)

// maxQuestions is a bound of a Gatherer.
const maxQuestions = 65536

// questionKey tells apart what rules for DNS can.
type questionKey struct {
	client   uint64         // cgroup
	resolver netip.AddrPort // as the client names it
	name     string
}

// question is all that was asked for one name, of one resolver.
type question struct {
	asker         baseline.Side
	asked, failed uint64
	first, latest int64
}

// ask takes in what was counted of DNS. What is told in full as well is one of those.
func (g *Gatherer) ask(r *flow.Record) {
	l := r.L7
	if l == nil || l.Protocol != flow.DNS || l.Tally == nil || l.Route == "" || !l.CountsFor(flow.RoleClient) {
		return
	}
	s, ok := asker(l, l.Tally.Port)
	if !ok {
		return
	}
	g.meet(s.Workload)
	k := questionKey{s.Workload.CgroupID, netip.AddrPortFrom(s.Addr, s.Port), l.Route}
	q := g.questions[k]
	if q == nil {
		if len(g.questions) >= maxQuestions {
			g.missed++
			return
		}
		q = &question{asker: s, first: r.Time}
		g.questions[k] = q
	}
	q.asked += l.Tally.Count
	if l.Error {
		q.failed += l.Tally.Count
	}
	q.first, q.latest = min(q.first, r.Time), max(q.latest, r.Time)
}

// asker is the end of an exchange at which the kernel judges its question.
func asker(l *flow.L7, port uint16) (baseline.Side, bool) {
	sides, n := baseline.ExchangeSides(l, port)
	for i := range sides[:n] {
		if s := sides[i]; s.Egress {
			s.Service.Protocol = flow.UDP // TCP has the same rules, where a policy does not tell them apart
			return s, true
		}
	}
	return baseline.Side{}, false
}

// judgeQuestion asks whether a question may be asked, of whoever may be spoken to: one
// that is denied with its flow is told of there.
func (j *judge) judgeQuestion(name string, q *question) {
	s := &q.asker
	query := j.query(s)
	of := j.tables.Decide(query)
	query.Asked = &policy.Asking{Name: name}
	o := j.tables.Decide(query)
	j.report.Questions += q.asked
	if o.Result == policy.Forwarded || o.Result == of.Result {
		return
	}
	answered := q.asked - q.failed
	j.report.Refused += answered
	j.deny(&Denial{
		Workload: workloadOf(s), Direction: policy.Egress, Peer: s.Peer, Service: s.Service, Asked: name,
		Result: o.Result, ID: o.Rule(), Rule: j.tables.Rule(o.Rule()), Passed: answered > 0, Flows: q.asked,
		Seen: baseline.Seen{First: q.first, Last: q.latest},
	})
}
