package policy

import "net/netip"

// Identity is a number for a peer: what policies can tell apart.
type Identity uint32

// Identities from FirstIdentity on are made by Compile: for workloads, blocks of
// addresses and DNS patterns. They depend on what they stand for and not on
// what else there is, so that a new workload changes no other's number.
const (
	IdentityAny     Identity = 0 // every peer
	IdentityHost    Identity = 1 // the host, and whoever shares its address and has no better identity
	IdentityWorld   Identity = 2 // an address that nothing else covers
	IdentityUnknown Identity = 3 // a local workload that is not known yet
	FirstIdentity   Identity = 256
)

// Tables is what policies come to for the workloads of one moment. It is
// immutable once made and safe for concurrent use.
type Tables struct {
	// Workloads gives the entry of a cgroup. One that is missing here is
	// IdentityUnknown with Sets[0].
	Workloads map[uint64]WorkloadEntry
	// Sets are the rule tables. Sets[0] is for everyone whom no policy selects;
	// only Guards are in it.
	Sets []Set
	// Prefixes gives the identity of an address, by its longest match: addresses
	// of workloads and of the host, and the blocks that rules speak of. An
	// address without a match is IdentityWorld.
	Prefixes map[netip.Prefix]Identity
	// Names are the DNS patterns that rules speak of, each once.
	Names []Name
	// Asked are the DNS patterns that rules about questions speak of, each once.
	Asked []Name
	// Rules tells what a RuleID stands for: RuleID 1 is Rules[0].
	Rules []Rule
}

// WorkloadEntry is a workload's own identity, which its peers' tables speak of,
// and the index of its own table.
type WorkloadEntry struct {
	Identity Identity
	Set      int
}

// Name is a DNS pattern. In Tables.Names: an address that a workload got as the
// answer to a name that it matches has Identity beside its own, for that workload.
// In Tables.Asked: a question for a name that it matches has Identity.
type Name struct {
	Identity Identity
	Pattern  string // as in FQDN: a plain name, or with "*"
}

// Posture says whether traffic without a rule is denied.
type Posture struct {
	Enforce bool // by policies in mode enforce
	Audit   bool // by policies of any mode
}

// Set is the rule table of the workloads that share it.
type Set struct {
	Ingress, Egress Posture
	Entries         []Entry // sorted; no two with the same key
	Questions       []Questions
}

// Questions is what rules say about the questions of DNS that an Entry's peer is
// asked at its port.
type Questions struct {
	Enforced, Audited Decision // of every question
	Names             []Asked  // what is said of some besides, by identity
	Reject            Reject   // of those that are denied
}

// Asked is what rules say about the questions with one identity.
type Asked struct {
	Identity          Identity // of Tables.Asked; IdentityUnread
	Enforced, Audited Decision
}

// IdentityUnread is, among the identities of questions, that of what cannot be read
// as one: all that is denied of any name is denied of it.
const IdentityUnread Identity = 0

// Direction is seen from the workload that a Set belongs to.
type Direction uint8

const (
	Ingress Direction = iota
	Egress
)

func (d Direction) String() string {
	if d == Ingress {
		return "ingress"
	}
	return "egress"
}

// Entry is what rules say about one peer, protocol and block of ports. Of two
// entries of a peer that cover a packet the more specific one decides: it has
// in it what the broader ones say.
type Entry struct {
	Direction Direction
	Peer      Identity
	Protocol  uint8    // IANA number; 0 covers every protocol, and then PortBits is 0
	Port      uint16   // of the server; the type for ICMP
	PortBits  uint8    // how many leading bits of Port count: 16 one port, 0 all
	Enforced  Decision // by the policies in mode enforce alone
	Audited   Decision // by all policies
	// Questions, where it is not 0, counts Set.Questions from 1: each question is
	// judged besides, by that and not by Enforced and Audited.
	Questions int
}

// Verdict is what a rule, or a whole look-up, says.
type Verdict uint8

// None is no rule's word: the posture decides.
const (
	None Verdict = iota
	Allow
	Deny
)

func (v Verdict) String() string {
	switch v {
	case Allow:
		return "allow"
	case Deny:
		return "deny"
	}
	return "none"
}

// Decision is a verdict and the rule that it is by; 0 is no rule.
type Decision struct {
	Verdict Verdict
	Rule    RuleID
}

// RuleID counts rules from 1. It is only valid within its Tables.
type RuleID uint32

// Rule tells which rule decided.
type Rule struct {
	Policy      string // "namespace/name"
	Kind        Kind
	Mode        Mode
	Section     string // ingress, ingressDeny, egress, egressDeny, guard
	Index       int    // in the section, from 0
	Deny        bool
	Description string // what the rule is about, in words
	Pos         Pos
}

// Rule gives what id stands for; the zero Rule for 0 and unknown ids.
func (t *Tables) Rule(id RuleID) Rule {
	if id == 0 || int(id) > len(t.Rules) {
		return Rule{}
	}
	return t.Rules[id-1]
}
