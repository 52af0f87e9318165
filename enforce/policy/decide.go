package policy

import (
	"net/netip"
	"slices"
)

// Query is a packet that begins a flow, as seen from one of its ends.
type Query struct {
	Workload   uint64 // cgroup of the socket that is judged
	Direction  Direction
	PeerCgroup uint64     // of the socket at the other end, where there is one on this host; else 0
	Addr       netip.Addr // of the other end
	Names      []string   // names that Workload got Addr for as an answer; they count for Egress only
	Protocol   uint8
	Port       uint16 // of the server; the type for ICMP
	// Asked is the question of DNS that the packet has for the other end; nil: it
	// is the flow itself that is judged.
	Asked *Asking
}

// Asking is a question of DNS.
type Asking struct {
	Name   string // that is asked for; its type does not matter
	Unread bool   // it cannot be read as one plain question; then Name does not count
}

// Result is what becomes of a packet.
type Result uint8

// Audited packets pass: no policy in mode enforce denies them, but one in mode
// audit would.
const (
	Forwarded Result = iota
	Audited
	Denied
)

func (r Result) String() string { return [...]string{"forwarded", "audited", "denied"}[r] }

// Outcome is a Result and how it came about. Where a Decision has no rule it is
// the posture's.
type Outcome struct {
	Result            Result
	Enforced, Audited Decision
	// Reject is how a question that is Denied is answered. The flow that it comes by
	// is not denied then.
	Reject Reject
}

// Rule is the rule that the Result is by; 0 where no rule speaks.
func (o Outcome) Rule() RuleID {
	if o.Result == Denied {
		return o.Enforced.Rule
	}
	return o.Audited.Rule
}

// Decide is the look-up that the kernel does: over the peer's identity, those of
// its names and IdentityAny, any denial denies, else any allowance allows, else
// the posture decides. It is done for the policies in mode enforce and again for
// all.
func (t *Tables) Decide(q Query) Outcome {
	entry := WorkloadEntry{Identity: IdentityUnknown}
	if e, ok := t.Workloads[q.Workload]; ok {
		entry = e
	}
	set := &t.Sets[entry.Set]
	posture := set.Ingress
	if q.Direction == Egress {
		posture = set.Egress
	}
	var enforced, audited said
	asked := t.asked(q.Asked)
	reject := RejectDrop
	peers, closed := t.candidates(q)
	for i, peer := range peers {
		e, ok := set.Lookup(q.Direction, peer, q.Protocol, q.Port)
		if !ok {
			continue
		}
		byName := i > 0 && peer != IdentityAny
		hear := func(of, all Decision) {
			if closed && byName {
				of, all = of.denial(), all.denial()
			}
			enforced.hear(of)
			audited.hear(all)
		}
		if q.Asked == nil || e.Questions == 0 {
			hear(e.Enforced, e.Audited)
			continue
		}
		questions := &set.Questions[e.Questions-1]
		reject = max(reject, questions.Reject)
		hear(questions.Enforced, questions.Audited)
		for _, one := range questions.Names {
			if slices.Contains(asked, one.Identity) {
				hear(one.Enforced, one.Audited)
			}
		}
	}
	o := Outcome{Enforced: enforced.or(posture.Enforce), Audited: audited.or(posture.Audit)}
	switch {
	case o.Enforced.Verdict == Deny:
		o.Result, o.Reject = Denied, reject
	case o.Audited.Verdict == Deny:
		o.Result = Audited
	}
	if o.Reject != RejectDrop {
		q.Asked = nil
		if t.Decide(q).Result == Denied {
			o.Reject = RejectDrop
		}
	}
	return o
}

// denial is a decision as far as it denies.
func (d Decision) denial() Decision {
	if d.Verdict != Deny {
		return Decision{}
	}
	return d
}

// asked gives the identities of a question.
func (t *Tables) asked(a *Asking) (out []Identity) {
	if a == nil {
		return nil
	}
	if a.Unread {
		return []Identity{IdentityUnread}
	}
	for _, n := range t.Asked {
		if n.Matches(a.Name) {
			out = append(out, n.Identity)
		}
	}
	return out
}

func (s *said) hear(d Decision) {
	if d.Verdict != None {
		s.add(d.Rule, d.Verdict == Deny)
	}
}

// or is the decision, or the posture's where nothing is said.
func (s said) or(denies bool) Decision {
	d := s.decision()
	if d.Verdict == None {
		d.Verdict = Allow
		if denies {
			d.Verdict = Deny
		}
	}
	return d
}

// candidates are the identities of the other end: its own, then those of its names,
// then everyone's. Of closed, names open nothing; their denials hold.
func (t *Tables) candidates(q Query) (out []Identity, closed bool) {
	peer := t.Peer(q.PeerCgroup, q.Addr)
	out = []Identity{peer}
	if q.Direction == Egress {
		for _, n := range t.Names {
			if slices.ContainsFunc(q.Names, n.Matches) {
				out = append(out, n.Identity)
			}
		}
	}
	return append(out, IdentityAny), peer == IdentityHost || closedToNames(q.Addr)
}

// closedToNames tells whether an address is this machine, its link or nobody's:
// whoever runs a name's servers must not open it.
func closedToNames(a netip.Addr) bool {
	a = a.Unmap()
	switch {
	case !a.IsValid():
		return false
	case a.Is4():
		b := a.As4()
		return b[0] == 0 || b[0] == 127 || b[0] >= 224 || a.IsLinkLocalUnicast()
	}
	return a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast()
}

// Peer gives a peer's identity: by its socket's cgroup, else (0) by its address.
func (t *Tables) Peer(cgroup uint64, addr netip.Addr) Identity {
	if cgroup != 0 {
		if e, ok := t.Workloads[cgroup]; ok {
			return e.Identity
		}
		return IdentityUnknown
	}
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return IdentityUnknown
	}
	for bits := addr.BitLen(); bits >= 0; bits-- {
		if id, ok := t.Prefixes[netip.PrefixFrom(addr, bits).Masked()]; ok {
			return id
		}
	}
	return IdentityWorld
}

// Lookup gives the most specific entry for a peer, protocol and port.
func (s *Set) Lookup(d Direction, peer Identity, protocol uint8, port uint16) (Entry, bool) {
	k := rowKey{d, peer, l4{protocol, block{port, 16}}}
	if e, ok := s.at(k); ok {
		return e, true
	}
	for b := range k.broader {
		if e, ok := s.at(b); ok {
			return e, true
		}
	}
	return Entry{}, false
}

func (s *Set) at(k rowKey) (Entry, bool) {
	want := Entry{Direction: k.direction, Peer: k.peer, Protocol: k.l4.protocol, Port: k.l4.port, PortBits: k.l4.bits}
	if i, ok := slices.BinarySearchFunc(s.Entries, want, compareEntry); ok {
		return s.Entries[i], true
	}
	return Entry{}, false
}
