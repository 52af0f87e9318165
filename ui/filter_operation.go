package ui

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// misfit is the first prefix of the filter that cannot hold for any row of a kind;
// empty when there is none.
func (f *filter) misfit(on subject) string {
	if f == nil || on == 0 {
		return ""
	}
	for _, t := range f.terms {
		if field, known := fieldOf(t.field); known && field.of&on == 0 && !t.not {
			return t.field
		}
	}
	return ""
}

// filterHint shows by example what a filter may say.
func filterHint(on subject) text {
	switch on {
	case ofOperation:
		return "word  path:/cart  method:post  status:5xx  dst:redis  protocol:dns  !word"
	case ofVerdict:
		return "word  denied  policy:shop/web  dst:redis  port:443  process:curl  !word"
	case ofPolicy:
		return "word  mode:enforce  policy:shop  guard  !word  /regex/"
	}
	return "word  port:443  dst:redis  proto:udp  state:failed  !word  /regex/"
}

// parseProtocol takes the beginning of a name, so that a filter narrows while it
// is typed.
func (t *term) parseProtocol() error {
	for _, p := range l7.Protocols {
		if p.Name != "" && strings.HasPrefix(p.Name, t.want) {
			return nil
		}
	}
	return strconv.ErrSyntax
}

// parseStatus takes numbers, ranges, classes like 5xx, and the words that outcomes
// are written with.
func (t *term) parseStatus() {
	for part := range strings.SplitSeq(t.want, ",") {
		digits := part
		if class, ok := strings.CutSuffix(part, "xx"); ok && len(class) == 1 {
			digits = class + "00-" + class + "99"
		}
		if r, err := parsePorts(digits); err == nil {
			t.ports = append(t.ports, r...)
		} else {
			t.words = append(t.words, part)
		}
	}
}

// status tests an outcome.
func (t *term) status(p flow.L7Protocol, status uint16) bool {
	if status != flow.NoAnswer && t.port(status) {
		return true
	}
	name := strings.ToLower(string(statusText(p, status)))
	return slices.ContainsFunc(t.words, func(w string) bool { return w != "" && strings.HasPrefix(name, w) })
}

// operation tells whether every term holds for an operation: for its words, or for
// one of its examples.
func (m *matcher) operation(r *aggregate.OperationRow) bool {
	for _, t := range m.filter.terms {
		if m.holdsOperation(&t, r) == t.not {
			return false
		}
	}
	return true
}

func (m *matcher) holdsOperation(t *term, r *aggregate.OperationRow) bool {
	switch t.field {
	case "path":
		return containsLower(r.Route, t.want) || slices.ContainsFunc(r.Examples, func(x *flow.L7) bool {
			return x != nil && x.Exchange != nil && containsLower(pathOf(x), t.want)
		})
	case "status":
		return r.Errors > 0 && slices.Contains(t.words, "error") ||
			slices.ContainsFunc(r.Statuses, func(s aggregate.StatusCount) bool { return t.status(r.Protocol, s.Status) })
	}
	return m.holdsWords(t, r, "")
}

// exchange tells whether every term holds for an exchange.
func (m *matcher) exchange(r *exchangeRow) bool {
	for _, t := range m.filter.terms {
		if m.holdsExchange(&t, r) == t.not {
			return false
		}
	}
	return true
}

func (m *matcher) holdsExchange(t *term, r *exchangeRow) bool {
	switch t.field {
	case "path":
		return containsLower(pathOf(r.of), t.want) || containsLower(r.of.Route, t.want)
	case "status":
		return r.of.Error && slices.Contains(t.words, "error") || t.status(r.Protocol, r.Status)
	case "src":
		m.buf = appendEndpoint(m.buf[:0], &r.of.Client, r.Transport)
		return m.contains(t)
	case "dst":
		m.buf = appendEndpoint(m.buf[:0], &r.of.Server, r.Transport)
		return m.contains(t)
	}
	return m.holdsWords(t, r.row, pathOf(r.of))
}

// holdsWords tests what an operation and its exchanges have alike; path is an
// exchange's own.
func (m *matcher) holdsWords(t *term, r *aggregate.OperationRow, path string) bool {
	switch t.field {
	case "protocol":
		return strings.HasPrefix(r.Protocol.String(), t.want)
	case "method":
		return slices.ContainsFunc(t.words, func(w string) bool { return strings.EqualFold(w, r.Method) })
	case "src":
		m.buf = appendOperationEnd(m.buf[:0], r.Client, r.Remote)
		return m.contains(t)
	case "dst":
		m.buf = appendOperationEnd(m.buf[:0], r.Server, r.Remote)
		return m.contains(t)
	case "container":
		return hasContainer(r.Client, t.want) || hasContainer(r.Server, t.want)
	case "ns":
		return hasNamespace(r.Client, t.want) || hasNamespace(r.Server, t.want)
	case "":
		m.buf = appendOperationEnd(m.buf[:0], r.Client, r.Remote)
		m.buf = appendOperationEnd(m.buf, r.Server, r.Remote)
		for _, s := range [...]string{r.Protocol.String(), r.Method, r.Route, path} {
			m.buf = append(append(m.buf, strings.ToLower(s)...), '\n')
		}
		return m.contains(t)
	}
	return false // what is said of flows
}

func appendOperationEnd(b []byte, w *flow.Workload, remote string) []byte {
	b = appendWorkload(b, w)
	if w == nil || w.Runtime == flow.RuntimeWorld {
		b = append(append(b, strings.ToLower(remote)...), '\n')
	}
	return b
}

func containsLower(s, want string) bool { return strings.Contains(strings.ToLower(s), want) }
