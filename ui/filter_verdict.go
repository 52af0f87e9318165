package ui

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// verdict tells whether every term holds for a verdict.
func (m *matcher) verdict(r *aggregate.VerdictRow) bool {
	for _, t := range m.filter.terms {
		if m.holdsVerdict(&t, r) == t.not {
			return false
		}
	}
	return true
}

func (m *matcher) holdsVerdict(t *term, r *aggregate.VerdictRow) bool {
	switch t.field {
	case "port":
		return r.Protocol.HasPorts() && t.port(r.Port)
	case "ip":
		return r.Local.IsValid() && t.addr(netip.AddrPortFrom(r.Local, 0), m) ||
			r.PeerAddr.IsValid() && t.addr(netip.AddrPortFrom(r.PeerAddr, 0), m)
	case "src":
		m.buf = appendVerdictEnd(m.buf[:0], r, !r.Ingress)
		return m.contains(t)
	case "dst":
		m.buf = appendVerdictEnd(m.buf[:0], r, r.Ingress)
		return m.contains(t)
	case "proto":
		return isProtocol(r.Protocol, t.want)
	case "process":
		return isProcess(r.PID, r.Comm, t.want)
	case "policy":
		return slices.ContainsFunc(r.By, func(p flow.PolicyRef) bool { return containsLower(p.String(), t.want) })
	case "mode":
		return strings.HasPrefix(map[bool]string{true: modeEnforce, false: "audit"}[r.Denied], t.want)
	case "container":
		return hasContainer(r.Workload, t.want) || hasContainer(r.Peer, t.want)
	case "ns":
		return hasNamespace(r.Workload, t.want) || hasNamespace(r.Peer, t.want)
	case "":
		m.buf = appendVerdictEnd(m.buf[:0], r, true)
		m.buf = appendVerdictEnd(m.buf, r, false)
		for _, s := range [...]text{verdictCell(r).Text, verdictPort(r).Text, verdictRule(r).Text} {
			m.buf = append(append(m.buf, strings.ToLower(string(s))...), '\n')
		}
		for _, p := range r.By {
			m.buf = append(append(m.buf, strings.ToLower(p.Kind+" "+p.String())...), '\n')
		}
		return m.contains(t)
	}
	return false // what is said of other rows
}

// appendVerdictEnd writes one end of a verdict: the workload's or its peer's.
func appendVerdictEnd(b []byte, r *aggregate.VerdictRow, workload bool) []byte {
	w, remote, a := r.Peer, r.Remote, r.PeerAddr
	if workload {
		w, remote, a = r.Workload, "", r.Local
		b = append(append(b, strings.ToLower(r.Comm.String())...), '\n')
	}
	b = appendOperationEnd(b, w, remote)
	if a.IsValid() {
		b = append(a.AppendTo(b), '\n')
	}
	return b
}

// policy tells whether every term holds for a policy.
func (m *matcher) policy(r *policyRow) bool {
	for _, t := range m.filter.terms {
		if m.holdsPolicy(&t, r) == t.not {
			return false
		}
	}
	return true
}

func (m *matcher) holdsPolicy(t *term, r *policyRow) bool {
	switch t.field {
	case "policy":
		return containsLower(r.Name, t.want)
	case "mode":
		return strings.HasPrefix(r.Mode, t.want)
	case "":
		m.buf = m.buf[:0]
		for _, s := range [...]string{r.Name, r.Kind, r.Mode, r.File} {
			m.buf = append(append(m.buf, strings.ToLower(s)...), '\n')
		}
		for _, s := range r.Selected {
			m.buf = append(append(m.buf, strings.ToLower(s)...), '\n')
		}
		return m.contains(t)
	}
	return false
}

func isProtocol(p flow.Protocol, want string) bool {
	return p.String() == want || strconv.Itoa(int(p)) == want
}

func isProcess(pid uint32, comm flow.Comm, want string) bool {
	return pid != 0 && strconv.FormatUint(uint64(pid), 10) == want || containsLower(comm.String(), want)
}
