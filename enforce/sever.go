package enforce

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/policy"
)

// living is what is needed of a connection to judge it again.
type living struct {
	client, server flow.Endpoint
	xlated         netip.AddrPort // the server's, where NAT changed it
	clientXlated   netip.AddrPort
}

// sever ends the connections that the plan no longer allows. Without that nothing
// passes on them either: their ends would wait for ever.
func (m *Manager) sever(a *applied, done *Applied) {
	if m.cfg.Living == nil || m.cfg.Sever == nil || !a.enforces() {
		return
	}
	var all []living
	m.cfg.Living(func(r *flow.Record) bool {
		if f := &r.Flow; f.Protocol == flow.TCP {
			all = append(all, living{f.Client, f.Server, f.ServerXlated, f.ClientXlated})
		}
		return true
	})
	var ends []Connection
	var events []flow.Event
	for i := range all {
		l := &all[i]
		j := l.judge(a)
		if j == nil {
			continue
		}
		ends = append(ends, l.sockets()...)
		m.tallies.add(j, m.cfg.Workloads.Workload(j.Cgroup).String(), j.Remote.Addr().String(), m.cfg.Now())
		events = append(events, flow.Event{Kind: flow.KindVerdict, Time: m.cfg.Now().UnixNano(), Judged: j})
	}
	if len(ends) == 0 {
		return
	}
	errs := m.cfg.Sever(ends)
	done.Ended = len(events)
	for _, err := range errs {
		done.Failed = append(done.Failed, err.Error())
	}
	if err := errors.Join(errs...); err != nil {
		m.cfg.Logger.Warn("connections that are no longer allowed stay open; nothing passes on them", "error", err)
	}
	m.cfg.Tell(events)
}

func (a *applied) enforces() bool {
	return slices.ContainsFunc(a.policies, func(p *policy.Policy) bool { return modeOf(p) == policy.ModeEnforce })
}

// judge gives the verdict that ends a connection, nil where it may go on. It asks
// as the kernel does: the client by the address that it named, the server by who
// the client is.
func (l *living) judge(a *applied) *flow.Judged {
	t := a.plan.Tables
	if c := &l.client; c.Seen && c.Workload != nil {
		q := policy.Query{Workload: c.Workload.CgroupID, Direction: policy.Egress, Addr: l.server.Addr.Addr(),
			Protocol: uint8(flow.TCP), Port: l.server.Addr.Port()}
		own := a.plan.OwnNetwork[q.Workload] && q.Addr.IsLoopback()
		o := t.Decide(q)
		// Which names the address has the kernel knows: it lets nothing pass if none opens it.
		named := len(t.Names) > 0 && o.Rule() == 0
		if o.Result == policy.Denied && !own && !named {
			return a.ended(o, q, c, l.server.Addr)
		}
	}
	if s := &l.server; s.Seen && s.Workload != nil {
		at, from := s.Addr, l.client.Addr
		if l.xlated.IsValid() {
			at = l.xlated
		}
		if l.clientXlated.IsValid() {
			from = l.clientXlated
		}
		q := policy.Query{Workload: s.Workload.CgroupID, Direction: policy.Ingress, Addr: from.Addr(), Protocol: uint8(flow.TCP), Port: at.Port()}
		if l.client.Seen && l.client.Workload != nil {
			q.PeerCgroup = l.client.Workload.CgroupID
		}
		if o := t.Decide(q); o.Result == policy.Denied {
			return a.ended(o, q, s, from)
		}
	}
	return nil
}

func (a *applied) ended(o policy.Outcome, q policy.Query, at *flow.Endpoint, peer netip.AddrPort) *flow.Judged {
	j := &flow.Judged{
		Cgroup: q.Workload, PeerCgroup: q.PeerCgroup, Ingress: q.Direction == policy.Ingress, Denied: true, Ended: true,
		Protocol: flow.TCP, Local: at.Addr, Remote: peer, Port: q.Port, PID: at.PID, Comm: at.Comm, Count: 1,
	}
	if r := a.plan.Tables.Rule(o.Rule()); r.Policy != "" {
		j.Rule, j.By = r.Description, []flow.PolicyRef{refOfRule(r)}
		return j
	}
	for _, p := range a.selecting(at.Workload, q.Direction, true) {
		j.By = append(j.By, refOf(p))
	}
	return j
}

// sockets are the ends that are sockets of this host.
func (l *living) sockets() (out []Connection) {
	c, s := &l.client, &l.server
	if c.Seen && c.Cookie != 0 {
		out = append(out, Connection{c.NetNS, c.PID, c.Cookie, c.Addr, s.Addr})
	}
	if s.Seen && s.Cookie != 0 {
		at, from := s.Addr, c.Addr
		if l.xlated.IsValid() {
			at = l.xlated
		}
		if l.clientXlated.IsValid() {
			from = l.clientXlated
		}
		out = append(out, Connection{s.NetNS, s.PID, s.Cookie, at, from})
	}
	return out
}
