package enforce

import (
	"cmp"
	"net/netip"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// collect takes the kernel's verdicts, counts them by policy and tells them. The
// caller has the lock.
func (m *Manager) collect() {
	if m.kernel == nil || m.applied == nil {
		return // by rules that this process has not read; the next reading has them
	}
	var events []flow.Event
	lost, err := m.kernel.Verdicts(func(v *kernel.Verdict) {
		events = append(events, m.event(v))
	})
	if err != nil {
		m.cfg.Logger.Warn("verdicts are not read", "error", err)
		return
	}
	m.lost = lost
	if len(events) > 0 {
		m.cfg.Tell(events)
	}
}

// event says in policies' words what the kernel counted.
func (m *Manager) event(v *kernel.Verdict) flow.Event {
	j := &flow.Judged{
		Cgroup: v.Cgroup, PeerCgroup: v.PeerCgroup, Ingress: v.Direction == policy.Ingress, Denied: v.Denied,
		Protocol: flow.Protocol(v.Protocol), Remote: v.Peer, Port: v.Port, PID: v.PID, Comm: flow.Comm(v.Comm), Count: v.Count,
	}
	if v.Asked {
		j.Asked = cmp.Or(v.Name, "?")
	}
	w := m.cfg.Workloads.Workload(v.Cgroup)
	j.Local = localEnd(w, v)
	if rule := m.applied.rule(v.Rule); rule.Policy != "" {
		j.Rule, j.By = rule.Description, []flow.PolicyRef{refOfRule(rule)}
	} else {
		for _, p := range m.applied.selecting(w, v.Direction, v.Denied) {
			j.By = append(j.By, refOf(p))
		}
	}
	now := m.cfg.Now()
	peer := v.Peer.Addr().String()
	if v.PeerCgroup != 0 {
		peer = m.cfg.Workloads.Workload(v.PeerCgroup).String()
	}
	if j.Asked != "" {
		peer += ", asked for " + j.Asked
	}
	m.tallies.add(j, w.String(), peer, now)
	return flow.Event{Kind: flow.KindVerdict, Time: now.UnixNano(), Judged: j}
}

func localEnd(w *flow.Workload, v *kernel.Verdict) netip.AddrPort {
	for _, a := range w.Addrs {
		if a.Is4() == v.Peer.Addr().Is4() {
			return netip.AddrPortFrom(a, v.LocalPort)
		}
	}
	return netip.AddrPortFrom(netip.Addr{}, v.LocalPort)
}

func refOfRule(r policy.Rule) flow.PolicyRef {
	ref := flow.PolicyRef{Name: r.Policy, Kind: string(r.Kind), Mode: string(r.Mode), Section: r.Section, Index: r.Index}
	if namespace, name, ok := strings.Cut(r.Policy, "/"); ok {
		ref.Namespace, ref.Name = namespace, name
	}
	return ref
}

func refOf(p *policy.Policy) flow.PolicyRef {
	return flow.PolicyRef{Name: p.Name, Namespace: p.Namespace, Kind: string(p.Kind), Mode: string(modeOf(p))}
}

func modeOf(p *policy.Policy) policy.Mode {
	if p.Guard != nil {
		return p.Guard.Mode
	}
	if len(p.Specs) > 0 {
		return p.Specs[0].Mode
	}
	return policy.ModeAudit
}

// Lost is what the kernel had no room for, or could not read: verdicts, cgroups, and
// answers of resolvers. The map is the caller's.
func (m *Manager) Lost() map[flow.Loss]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[flow.Loss]uint64{}
	if m.lost > 0 {
		out[flow.Loss{Stage: "kernel", Reason: "verdict_table_full"}] = m.lost
	}
	if m.tables.Homeless > 0 {
		out[flow.Loss{Stage: "kernel", Reason: "cgroup_table_full"}] = m.tables.Homeless
	}
	for reason, n := range m.names {
		if n > 0 {
			out[flow.Loss{Stage: "names", Reason: reason}] = n
		}
	}
	return out
}

// Tables is how full the kernel's tables of policies are; nil while there are none.
func (m *Manager) Tables() (out []flow.TableFill) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kernel == nil {
		return nil
	}
	for _, f := range m.tables.Fill {
		out = append(out, flow.TableFill{Name: f.Table, Entries: f.Entries, Max: f.Max})
	}
	return out
}

// saveTallies keeps what was counted, so that a new daemon knows what audit saw.
func (m *Manager) saveTallies() {
	m.mu.Lock()
	data, changed := m.tallies.encode()
	m.mu.Unlock()
	if !changed {
		return
	}
	if err := m.store.writeTallies(data); err != nil {
		m.cfg.Logger.Warn("counts of verdicts are not kept", "error", err)
	}
}
