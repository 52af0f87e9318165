package policy

import "net/netip"

// Kind is the kind of object that a policy was written as.
type Kind string

// The kinds that are read. A NetworkPolicy is turned into what the same rules
// are in a CiliumNetworkPolicy, and keeps its kind.
const (
	KindCilium            Kind = "CiliumNetworkPolicy"
	KindCiliumClusterwide Kind = "CiliumClusterwideNetworkPolicy"
	KindKubernetes        Kind = "NetworkPolicy"
	KindGuard             Kind = "Guard"
)

// Mode says what becomes of a denial.
type Mode string

// In ModeAudit, which is the default, a denial is counted and the packet
// passes; in ModeEnforce it does not pass.
const (
	ModeAudit   Mode = "audit"
	ModeEnforce Mode = "enforce"
)

// Policy is one object of a file. Exactly one of Specs and Guard is set.
// Policies are read-only once they are made: Compile keeps references to them.
type Policy struct {
	Kind        Kind
	Name        string
	Namespace   string // selectors match in it alone; empty: in every namespace
	Labels      map[string]string
	Annotations map[string]string
	Specs       []Spec
	Guard       *Guard
	Comments    []string // lines that Marshal writes on top, without "#"; Parse reads none
	Pos         Pos
}

// Spec is one set of rules for the workloads that its selector selects. A
// workload is default-deny in a direction once a Spec with rules for that
// direction selects it, unless DefaultDeny says otherwise; deny beats allow;
// allows are a union. Exactly one of Endpoints and Nodes is set.
type Spec struct {
	Endpoints   *Selector // endpointSelector: workloads
	Nodes       *Selector // nodeSelector: the host and its own units
	Mode        Mode
	Description string
	Ingress     []RuleSpec
	IngressDeny []RuleSpec
	Egress      []RuleSpec
	EgressDeny  []RuleSpec
	DefaultDeny DefaultDeny
	Labels      []string // free text for finding the rule again; no meaning
	Log         string   // log.value; no meaning for verdicts
	Pos         Pos
}

// DefaultDeny overrides what a direction's rules mean for the rest of its
// traffic; nil leaves it to them. True without rules has no effect, as in Cilium.
type DefaultDeny struct {
	Ingress, Egress *bool
}

// RuleSpec is one element of a section: peers, and what may be spoken with them. A
// RuleSpec without Peers and without Ports and ICMPs selects nothing.
type RuleSpec struct {
	Peers    Peers
	Ports    []PortRule // toPorts; none: every port and protocol
	ICMPs    []ICMPRule
	Comments []string // lines that Marshal writes above the rule, without "#"
	Pos      Pos
}

// Peers selects the other end. At most one field is set, except in a Guard,
// where they add up. A nil field is absent, an empty one selects nobody: the
// difference decides whether a rule with ports is for everyone or for no one.
type Peers struct {
	Endpoints []Selector     // fromEndpoints, toEndpoints
	CIDRs     []netip.Prefix // fromCIDR, toCIDR; masked
	CIDRSets  []CIDRSet      // fromCIDRSet, toCIDRSet
	Entities  []Entity       // fromEntities, toEntities
	FQDNs     []FQDN         // toFQDNs; egress only
}

// absent tells whether no field was given: then the rule is for every peer.
func (p *Peers) absent() bool {
	return p.Endpoints == nil && p.CIDRs == nil && p.CIDRSets == nil && p.Entities == nil && p.FQDNs == nil
}

// CIDRSet is a block without some blocks within it. What is excepted is not
// denied by that: it is only not meant.
type CIDRSet struct {
	CIDR   netip.Prefix
	Except []netip.Prefix
}

// Entity is a peer with a name of its own. docs/policy.md has their meanings.
type Entity string

// The entities that mean something on one host.
const (
	EntityAll       Entity = "all"
	EntityWorld     Entity = "world"
	EntityWorldIPv4 Entity = "world-ipv4"
	EntityWorldIPv6 Entity = "world-ipv6"
	EntityHost      Entity = "host"
	EntityCluster   Entity = "cluster"
	EntityInit      Entity = "init"
	EntityNone      Entity = "none"
)

// FQDN is a DNS name, or a pattern for some. Exactly one field is set, in lower
// case and without a final dot. Name.Matches says what a pattern matches.
type FQDN struct {
	Name    string // matchName
	Pattern string // matchPattern
}

// Selector selects workloads by their labels; an empty one selects all of them.
// Keys are "key" or "source:key" as written, the sources being k8s, container,
// systemd, reserved and any, which is the same as none.
type Selector struct {
	Labels      map[string]string
	Expressions []Expression
	Pos         Pos
}

// Expression is one of matchExpressions.
type Expression struct {
	Key      string
	Operator Operator
	Values   []string
}

// Operator compares a label with values.
type Operator string

// The operators of label selectors. NotIn also holds where the label is missing.
const (
	OpIn           Operator = "In"
	OpNotIn        Operator = "NotIn"
	OpExists       Operator = "Exists"
	OpDoesNotExist Operator = "DoesNotExist"
)

// PortRule is one element of toPorts. Without Ports it selects nothing.
type PortRule struct {
	Ports       []Port
	ServerNames []string // TLS SNI
	Rules       *L7Rules
	Pos         Pos
}

// Port is a port, a range or a name, of one protocol or of TCP, UDP and SCTP.
type Port struct {
	Port     uint16 // 0 without a Name: every port
	End      uint16 // last port of a range; 0: no range
	Name     string // named port: looked up in the label weir.dev/port.NAME of the server
	Protocol Proto
}

// Proto is a protocol as Cilium writes it. Empty is ProtoAny.
type Proto string

// ProtoAny is TCP, UDP and SCTP. The protocols after SCTP have no ports.
const (
	ProtoAny  Proto = "ANY"
	ProtoTCP  Proto = "TCP"
	ProtoUDP  Proto = "UDP"
	ProtoSCTP Proto = "SCTP"
	ProtoVRRP Proto = "VRRP"
	ProtoIGMP Proto = "IGMP"
	ProtoGRE  Proto = "GRE"
	ProtoIPIP Proto = "IPIP"
	ProtoIPv6 Proto = "IPV6"
	ProtoESP  Proto = "ESP"
	ProtoAH   Proto = "AH"
)

// ICMPRule is one element of icmps. Without Fields it selects nothing.
type ICMPRule struct {
	Fields []ICMPField
}

// ICMPField is a type of ICMP, or of ICMPv6.
type ICMPField struct {
	IPv6 bool
	Type uint8
}

// L7Rules narrow a PortRule to some requests. Exactly one kind is set.
type L7Rules struct {
	HTTP    []HTTPRule
	DNS     []FQDN
	Reject  Reject // dnsRejectResponseCode, weir's own: what the asker of another name hears
	Kafka   []KafkaRule
	GRPC    []GRPCRule          // weir's own
	L7Proto string              // l7proto: another parser's name
	L7      []map[string]string // l7: that parser's rules
}

// Reject says what becomes of a question that dns rules refuse. The values beside
// the default are Cilium's, which has them for a whole agent.
type Reject string

// RejectDrop lets the sending fail. The others answer in the resolver's name.
const (
	RejectDrop      Reject = ""
	RejectNameError Reject = "nameError" // NXDOMAIN
	RejectRefused   Reject = "refused"   // REFUSED
)

// Code is the response code (RFC 1035, section 4.1.1), 0 for none.
func (r Reject) Code() uint8 {
	switch r {
	case RejectNameError:
		return 3
	case RejectRefused:
		return 5
	}
	return 0
}

// HTTPRule matches requests. Path, Method and Host are extended regular
// expressions that must match as a whole; an empty field matches everything.
type HTTPRule struct {
	Path, Method, Host string
	Headers            []string // "Name" or "Name: value", which must be there
	HeaderMatches      []HeaderMatch
}

// HeaderMatch is a header that must be there, with Value if that is set.
type HeaderMatch struct {
	Name, Value string
}

// KafkaRule matches requests to a Kafka broker. An empty field matches everything.
type KafkaRule struct {
	Role       string // produce or consume; else APIKey
	APIKey     string
	APIVersion string
	ClientID   string
	Topic      string
}

// GRPCRule matches calls; an empty field matches everything.
type GRPCRule struct {
	Service, Method string
}

// Guard says who alone may reach a destination. Everyone else is denied it,
// and nothing but it: a Guard puts nobody into default deny.
type Guard struct {
	Mode        Mode
	Description string
	To          Peers // of any kind but Entities
	Ports       []PortRule
	AllowedFrom []Selector // nobody when empty
	Pos         Pos
}
