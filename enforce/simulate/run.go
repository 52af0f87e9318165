package simulate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/policy"
)

// Run judges what was gathered by policies, for the workloads that were seen.
// Problems are Compile's; where one of them is an Error there is no report. The
// Gatherer may go on meanwhile, and Run may be called again.
func (g *Gatherer) Run(policies []*policy.Policy, limits policy.Limits) (*Report, policy.Problems) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var workloads []policy.Workload
	for _, id := range slices.Sorted(maps.Keys(g.workloads)) {
		workloads = append(workloads, policy.FromFlow(g.workloads[id]))
	}
	tables, problems := policy.Compile(policies, workloads, limits)
	if tables == nil {
		return nil, problems
	}
	j := &judge{gathered: g, tables: tables, denials: map[denialKey]*Denial{}, rules: make([]uint64, len(tables.Rules)+1)}
	j.report.Missed = g.missed
	for _, c := range g.conversations {
		j.judge(c)
	}
	for k, q := range g.questions {
		j.judgeQuestion(k.name, q)
	}
	j.report.Denials = sortDenials(j.denials)
	for i, r := range tables.Rules {
		j.report.Rules = append(j.report.Rules, Count{policy.RuleID(i + 1), r, j.rules[i+1]})
	}
	return &j.report, problems
}

// judge is one Run.
type judge struct {
	gathered *Gatherer
	tables   *policy.Tables
	denials  map[denialKey]*Denial
	rules    []uint64
	report   Report
}

// judge asks at both ends of a conversation: it takes place where both allow it.
func (j *judge) judge(c *conversation) {
	flows := c.flows()
	denied := false
	sides, n := baseline.Sides(&c.example)
	for i := range sides[:n] {
		s := &sides[i]
		o := j.tables.Decide(j.query(s))
		j.rules[o.Rule()] += flows
		if o.Result == policy.Forwarded {
			continue
		}
		denied = true
		j.deny(&Denial{
			Workload: workloadOf(s), Direction: direction(s), Peer: s.Peer, Service: s.Service,
			Result: o.Result, ID: o.Rule(), Rule: j.tables.Rule(o.Rule()), Passed: c.traffic, Flows: flows, Bytes: c.bytes,
			Seen: baseline.Seen{First: c.first, Last: c.latest}, Example: c.example,
		})
	}
	j.report.Flows += flows
	switch {
	case !denied:
		j.report.Allowed += flows
	case c.traffic:
		j.report.Denied += flows
	default:
		j.report.Attempts += flows
	}
}

// deny tells of a denial.
func (j *judge) deny(d *Denial) {
	if known := j.denials[d.key()]; known != nil {
		known.merge(d)
	} else {
		j.denials[d.key()] = d
	}
}

func workloadOf(s *baseline.Side) string { return cmp.Or(s.Key.String(), s.Workload.String()) }

// query asks as the kernel does: of a server's peer it knows the socket, where that
// is one of this host, of a client's the address that was asked for.
func (j *judge) query(s *baseline.Side) policy.Query {
	q := policy.Query{
		Workload: s.Workload.CgroupID, Direction: direction(s), Addr: s.Addr, Protocol: uint8(s.Service.Protocol), Port: s.Port,
	}
	if s.Egress {
		q.Names = j.gathered.names[namedKey{s.Key, s.Addr}]
		return q
	}
	connected := s.Service.Protocol == flow.TCP || s.Service.Protocol == flow.UDP
	if w := s.Far.Workload; w != nil && s.Far.Seen && connected {
		q.PeerCgroup = w.CgroupID
	}
	return q
}

func direction(s *baseline.Side) policy.Direction {
	if s.Egress {
		return policy.Egress
	}
	return policy.Ingress
}
