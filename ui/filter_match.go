package ui

import (
	stdbytes "bytes"
	"net/netip"
	"strconv"
	"strings"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// matcher applies a filter. It keeps a buffer, so it belongs to one goroutine.
type matcher struct {
	filter *filter
	buf    []byte
}

// flow tells whether every term holds for a flow.
func (m *matcher) flow(r *aggregate.FlowRow) bool {
	for _, t := range m.filter.terms {
		if m.holds(&t, r) == t.not {
			return false
		}
	}
	return true
}

func (m *matcher) holds(t *term, r *aggregate.FlowRow) bool {
	switch t.field {
	case "port":
		return t.port(r.Client.Addr.Port()) || t.port(r.Server.Addr.Port())
	case "ip":
		return t.addr(r.Client.Addr, m) || t.addr(r.Server.Addr, m) ||
			t.xlated(r.ClientXlated, m) || t.xlated(r.ServerXlated, m)
	case "src":
		m.buf = appendEndpoint(m.buf[:0], &r.Client, r.Protocol)
		return m.contains(t)
	case "dst":
		m.buf = appendEndpoint(m.buf[:0], &r.Server, r.Protocol)
		return m.contains(t)
	case "proto":
		return isProtocol(r.Protocol, t.want)
	case "process":
		return t.process(&r.Client) || t.process(&r.Server)
	case "state":
		return hasState(&r.Flow, t.want)
	case "container":
		return hasContainer(r.Client.Workload, t.want) || hasContainer(r.Server.Workload, t.want)
	case "ns":
		return hasNamespace(r.Client.Workload, t.want) || hasNamespace(r.Server.Workload, t.want)
	}
	if t.field != "" {
		return false // what is said of other rows
	}
	m.buf = appendEndpoint(m.buf[:0], &r.Client, r.Protocol)
	m.buf = appendEndpoint(m.buf, &r.Server, r.Protocol)
	m.buf = append(m.buf, r.Protocol.String()...)
	m.buf = append(append(m.buf, '\n'), r.End.String()...)
	return m.contains(t)
}

// workloads gives a test for the rows of the workload table. What is said of flows
// (port:, proto:, …) selects the workloads that have such a flow, what is said of
// operations (path:, status:, …) those at an end of such an operation, and what is
// said of policies those at an end of such a verdict.
func (m *matcher) workloads(s *aggregate.Snapshot) func(*aggregate.WorkloadRow) bool {
	var with []map[string]bool // sets of workloads; a row must be in all of them
	if ofFlows := m.only(ofFlow); ofFlows != nil {
		has := make(map[string]bool)
		for i := range s.Flows {
			if f := &s.Flows[i]; ofFlows.flow(f) {
				has[workloadKey(f.Client.Workload)] = true
				has[workloadKey(f.Server.Workload)] = true
			}
		}
		with = append(with, has)
	}
	if ofOperations := m.only(ofOperation); ofOperations != nil {
		has := make(map[string]bool)
		for i := range s.Operations {
			if o := &s.Operations[i]; ofOperations.operation(o) {
				has[workloadKey(o.Client)] = true
				has[workloadKey(o.Server)] = true
			}
		}
		with = append(with, has)
	}
	if ofVerdicts := m.only(ofVerdict); ofVerdicts != nil {
		has := make(map[string]bool)
		for i := range s.Verdicts {
			if v := &s.Verdicts[i]; ofVerdicts.verdict(v) {
				has[workloadKey(v.Workload)] = true
				has[workloadKey(v.Peer)] = true
			}
		}
		with = append(with, has)
	}
	own := m.only(ofWorkload)
	return func(r *aggregate.WorkloadRow) bool {
		for _, has := range with {
			if !has[workloadKey(r.Workload)] {
				return false
			}
		}
		return own == nil || own.workload(r.Workload)
	}
}

// only is a matcher of the terms that are said of a kind of rows when workloads are
// selected; nil when there are none. Each term is said of one kind: of the first
// that it can be said of.
func (m *matcher) only(of subject) *matcher {
	var terms []term
	for _, t := range m.filter.terms {
		can := ofWorkload // a plain word
		if field, known := fieldOf(t.field); known {
			can = field.of & -field.of
		}
		if can == of {
			terms = append(terms, t)
		}
	}
	if terms == nil {
		return nil
	}
	return &matcher{filter: &filter{terms: terms}}
}

// workload tells whether every term holds for a workload itself.
func (m *matcher) workload(w *flow.Workload) bool {
	for _, t := range m.filter.terms {
		if m.holdsWorkload(&t, w) == t.not {
			return false
		}
	}
	return true
}

func (m *matcher) holdsWorkload(t *term, w *flow.Workload) bool {
	switch t.field {
	case "container":
		return hasContainer(w, t.want)
	case "ns":
		return hasNamespace(w, t.want)
	}
	m.buf = appendWorkload(m.buf[:0], w)
	return m.contains(t)
}

func (m *matcher) contains(t *term) bool {
	if t.re != nil {
		return t.re.Match(m.buf)
	}
	return stdbytes.Contains(m.buf, []byte(t.want))
}

func (t *term) port(p uint16) bool {
	for _, r := range t.ports {
		if r.from <= p && p <= r.to {
			return true
		}
	}
	return false
}

// xlated tests an address that NAT made, if it did.
func (t *term) xlated(a netip.AddrPort, m *matcher) bool { return a.IsValid() && t.addr(a, m) }

func (t *term) addr(ap netip.AddrPort, m *matcher) bool {
	a := ap.Addr().Unmap()
	if t.prefix.IsValid() {
		return t.prefix.Contains(a.WithZone(""))
	}
	m.buf = a.AppendTo(m.buf[:0])
	return stdbytes.HasPrefix(m.buf, []byte(t.want))
}

func (t *term) process(e *flow.Endpoint) bool {
	return isProcess(e.PID, e.Comm, t.want)
}

// hasState takes live, ended and failed beside the names of the ends.
func hasState(f *flow.Flow, want string) bool {
	live := f.Ended == 0
	switch want {
	case "live":
		return live
	case "ended":
		return !live
	case "failed":
		return f.End.Failed()
	}
	return !live && strings.HasPrefix(f.End.String(), want)
}

func hasContainer(w *flow.Workload, want string) bool {
	return w != nil && (strings.Contains(strings.ToLower(w.Name), want) ||
		strings.HasPrefix(w.Container, want) || strings.Contains(strings.ToLower(w.Image), want))
}

func hasNamespace(w *flow.Workload, want string) bool {
	return w != nil && strings.Contains(strings.ToLower(w.Namespace), want)
}

// appendEndpoint writes what a person may look for in one end of a flow, as
// lines of lower-case text: among them the name as the table shows it, with its
// port.
func appendEndpoint(b []byte, e *flow.Endpoint, p flow.Protocol) []byte {
	b = appendWorkload(b, e.Workload)
	if p.HasPorts() && len(b) > 0 && e.Workload != nil {
		b = append(b[:len(b)-1], ':')
		b = append(strconv.AppendUint(b, uint64(e.Addr.Port()), 10), '\n')
	}
	for _, n := range e.Names {
		b = append(append(b, strings.ToLower(n)...), '\n')
	}
	switch {
	case !e.Addr.IsValid():
	case p.HasPorts():
		b = append(e.Addr.AppendTo(b), '\n')
	default:
		b = append(e.Addr.Addr().AppendTo(b), '\n')
	}
	for _, c := range e.Comm {
		if c == 0 {
			break
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return append(b, '\n')
}

// appendWorkload ends with the line that holds namespace and name.
func appendWorkload(b []byte, w *flow.Workload) []byte {
	if w == nil {
		return append(b, "world\n"...)
	}
	for _, s := range [...]string{w.Image, w.Container, string(w.Runtime), w.Owner.Kind, w.Owner.Name} {
		if s != "" {
			b = append(append(b, strings.ToLower(s)...), '\n')
		}
	}
	if w.Namespace != "" {
		b = append(append(b, strings.ToLower(w.Namespace)...), '/')
	}
	return append(append(b, strings.ToLower(w.Name)...), '\n')
}
