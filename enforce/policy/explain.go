package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Question asks what becomes of a connection.
type Question struct {
	From     string // a workload: "name" or "namespace/name"
	To       string // a workload, an address, a DNS name, or "name=address" for one that was answered so
	Protocol Proto  // TCP when empty
	Port     uint16
	Asked    string // the DNS name that To is asked for, as a resolver; empty: the connection is meant
}

// ParseQuestion reads what stands behind `policy explain`: a workload, and
// "destination:port" with an optional "/protocol", IPv6 addresses in brackets.
func ParseQuestion(workload, destination string) (Question, error) {
	q := Question{From: workload, Protocol: ProtoTCP}
	rest, proto, ok := cutLast(destination, "/")
	if ok && protocols[Proto(strings.ToUpper(proto))] != 0 {
		destination, q.Protocol = rest, Proto(strings.ToUpper(proto))
	}
	to, port, ok := cutLast(destination, ":")
	if !ok {
		return q, fmt.Errorf("destination %q: no port; write it as NAME:PORT", destination)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return q, fmt.Errorf("destination %q: port %q is no number from 0 to 65535", destination, port)
	}
	q.To, q.Port = strings.Trim(to, "[]"), uint16(n)
	if q.From == "" || q.To == "" {
		return q, errors.New("explain needs a workload and a destination")
	}
	return q, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Explanation says what becomes of a connection at each end that is on this host.
type Explanation struct {
	Question Question
	Result   Result // the worse of both ends'
	Ends     []EndExplanation
}

// EndExplanation is one end's part.
type EndExplanation struct {
	Direction Direction
	Workload  string // whose table is asked
	Peer      string // as whom that table knows the other end
	Outcome   Outcome
	Decides   Rule   // zero where no rule speaks
	Reason    string // a sentence
	Said      []Rule // all rules that speak of this connection
	Selecting []string
}

// Explain answers a question from policies and the workloads that are known. It
// is an error when an end is not known or its name stands for several workloads
// to whom different rules apply.
func Explain(policies []*Policy, workloads []Workload, q Question) (Explanation, error) {
	t, r := compile(policies, workloads, Limits{}.or())
	if t == nil {
		return Explanation{}, r.problems.Err()
	}
	from, err := r.find(q.From)
	if err != nil {
		return Explanation{}, err
	}
	if from < 0 {
		return Explanation{}, fmt.Errorf("workload %q is not known", q.From)
	}
	e := Explanation{Question: q}
	ask := Query{Workload: workloads[from].Cgroup, Direction: Egress, Port: q.Port, Protocol: protocols[ProtoTCP]}
	if q.Protocol != "" {
		ask.Protocol = protocols[q.Protocol]
	}
	to, err := r.find(q.To)
	if err != nil {
		return e, err
	}
	if q.Asked != "" {
		if !validFQDN(strings.ToLower(strings.TrimSuffix(q.Asked, "."))) {
			return e, fmt.Errorf("%q is no DNS name that rules could speak of", q.Asked)
		}
		ask.Asked = &Asking{Name: q.Asked}
	}
	peer := q.To
	destination, answered, isAnswer := strings.Cut(q.To, "=")
	if isAnswer {
		if ask.Addr, err = netip.ParseAddr(strings.Trim(answered, "[]")); err != nil {
			return e, fmt.Errorf("destination %q: behind \"=\" stands the address that the name was answered with", q.To)
		}
		ask.Names = []string{destination}
		to = r.owner(ask.Addr)
	}
	switch addr, bad := netip.ParseAddr(q.To); {
	case isAnswer && validFQDN(strings.ToLower(destination)):
	case to >= 0:
		ask.PeerCgroup = workloads[to].Cgroup
	case bad == nil:
		ask.Addr = addr
		if to = r.owner(addr); to >= 0 {
			peer = workloads[to].String()
		}
	case validFQDN(strings.ToLower(q.To)) && strings.Contains(q.To, "."):
		// The answer is an address somewhere in the world: here one of RFC 5737's.
		ask.Names, ask.Addr = []string{q.To}, netip.AddrFrom4([4]byte{198, 51, 100, 1})
	default:
		return e, fmt.Errorf("destination %q is no workload that is known, no address and no DNS name", q.To)
	}
	e.add(t, r, from, ask, peer)
	if to >= 0 {
		e.add(t, r, to, Query{Workload: workloads[to].Cgroup, Direction: Ingress, PeerCgroup: workloads[from].Cgroup,
			Protocol: ask.Protocol, Port: ask.Port}, workloads[from].String())
	}
	return e, nil
}

func (e *Explanation) add(t *Tables, r *resolution, workload int, q Query, peer string) {
	one := EndExplanation{Direction: q.Direction, Workload: r.workloads[workload].String(), Peer: peer, Outcome: t.Decide(q)}
	one.Decides = t.Rule(one.Outcome.Rule())
	candidates, _ := t.candidates(q)
	class := r.classOf(workload)
	for _, st := range r.applied(class) {
		if st.direction == q.Direction && r.speaks(st, class, candidates, q) {
			one.Said = append(one.Said, t.Rule(st.id))
		}
	}
	one.Selecting = r.selecting(class, q.Direction)
	one.Reason = one.reason(q.Asked)
	e.Result = max(e.Result, one.Outcome.Result)
	e.Ends = append(e.Ends, one)
}

// find gives a workload by name, -1 when there is none.
func (r *resolution) find(name string) (int, error) {
	found := -1
	for i := range r.workloads {
		w := &r.workloads[i]
		if w.String() != name && w.Name != name {
			continue
		}
		if found >= 0 && r.classOf(found) != r.classOf(i) {
			return -1, fmt.Errorf("%q is more than one workload, among them %q and %q: write namespace/name", name, r.workloads[found].String(), w.String())
		}
		if found < 0 {
			found = i
		}
	}
	return found, nil
}

func (r *resolution) owner(a netip.Addr) int {
	return slices.IndexFunc(r.workloads, func(w Workload) bool { return slices.Contains(w.Addrs, a.Unmap()) })
}

func (r *resolution) classOf(workload int) int {
	return slices.IndexFunc(r.classes.all, func(c *class) bool { return slices.Contains(c.members, workload) })
}

// speaks tells whether a statement is about a query, whatever others say.
func (r *resolution) speaks(st *statement, class int, candidates []Identity, q Query) bool {
	for _, to := range st.targets {
		if !slices.Contains(candidates, to.identity) {
			continue
		}
		exact := rowKey{l4: l4{q.Protocol, block{q.Port, 16}}}
		for at := range r.covers(st, class, to) {
			if at == exact.l4 || within(exact, at) {
				return true
			}
		}
	}
	return false
}

// within tells whether a wider block of protocols and ports covers a key.
func within(k rowKey, wide l4) bool {
	for b := range k.broader {
		if b.l4 == wide {
			return true
		}
	}
	return false
}

// selecting names the policies that put a class into default deny.
func (r *resolution) selecting(class int, d Direction) (out []string) {
	for _, s := range r.subjects {
		if p := s.posture[d]; p.Audit && slices.Contains(r.classes.subjects(s), class) {
			out = append(out, fmt.Sprintf("%s (%s)", s.policy, mode(p.Enforce)))
		}
	}
	return slices.Compact(out)
}

func (e *EndExplanation) reason(asked *Asking) string {
	because := func(d Decision) string {
		switch {
		case d.Rule != 0:
			return e.Decides.String()
		case d.Verdict == Deny && asked != nil:
			return fmt.Sprintf("no rule allows to ask for %s, and %s denies the rest", asked.Name, strings.Join(e.Selecting, ", "))
		case d.Verdict == Deny:
			return "no rule allows it, and " + strings.Join(e.Selecting, ", ") + " denies the rest"
		}
		return "no policy selects the workload in this direction"
	}
	switch e.Outcome.Result {
	case Denied:
		switch e.Outcome.Reject {
		case RejectRefused:
			return because(e.Outcome.Enforced) + "; it is answered with REFUSED"
		case RejectNameError:
			return because(e.Outcome.Enforced) + "; it is answered with NXDOMAIN"
		}
		return because(e.Outcome.Enforced)
	case Audited:
		return "passes, but would not in mode enforce: " + because(e.Outcome.Audited)
	}
	if e.Outcome.Audited.Rule == 0 && len(e.Said) == 0 && e.Selecting == nil {
		return because(e.Outcome.Audited)
	}
	if e.Outcome.Audited.Rule == 0 {
		return "no rule denies it"
	}
	return because(e.Outcome.Audited)
}

// String is the rule in words: "allow to app=db on 3306/TCP (enforce, egress[0] of shop/web)".
func (r Rule) String() string {
	return fmt.Sprintf("%s (%s, %s[%d] of %s)", r.Description, r.Mode, r.Section, r.Index, r.Policy)
}

// String is the explanation as `weir policy explain` prints it.
func (e Explanation) String() string {
	var b strings.Builder
	what := ""
	if e.Question.Asked != "" {
		what = ", asking for " + e.Question.Asked
	}
	fmt.Fprintf(&b, "%s → %s:%d/%s%s: %s\n", e.Question.From, e.Question.To, e.Question.Port, e.Question.Protocol, what, e.Result)
	for _, one := range e.Ends {
		fmt.Fprintf(&b, "\n%s of %q, peer %q: %s\n  %s\n", one.Direction, one.Workload, one.Peer, one.Outcome.Result, one.Reason)
		if at := one.Decides.Pos.String(); at != "" {
			fmt.Fprintf(&b, "  in %s\n", at)
		}
		for _, r := range one.Said {
			if r != one.Decides {
				fmt.Fprintf(&b, "  also: %s\n", r)
			}
		}
	}
	return b.String()
}
