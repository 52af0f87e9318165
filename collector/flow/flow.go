package flow

import "net/netip"

// Flow is one conversation between a client and a server, made of what the
// sockets at its two ends reported. Where both ends are on this host it is one
// Flow with two sides.
type Flow struct {
	ID           uint64 // unique within one run of the collector
	Protocol     Protocol
	Client       Endpoint
	Server       Endpoint
	ServerXlated netip.AddrPort // the server's real address where NAT changed it; else the zero value
	ClientXlated netip.AddrPort // the client's address as the server sees it where NAT changed it; else the zero value
	ICMPType     uint8
	ICMPCode     uint8

	Start          int64 // ns since the Unix epoch
	Last           int64 // last packet or report, ns since the Unix epoch
	Ended          int64 // 0 while it lives
	End            End   // seen from the client
	Preexisting    bool
	ConnectLatency int64    // ns
	RTT            int64    // ns, as the client measured it, else the server
	Retransmits    uint32   // of both sides
	Sent           Counters // client to server
	Received       Counters // server to client
	Drops          uint64   // packets of this flow that the kernel dropped
	DropReason     string   // the latest reason
}

// Endpoint is one end of a flow.
type Endpoint struct {
	Addr     netip.AddrPort // as this end's application sees it; for a remote end as the local one names it
	Workload *Workload      // nil when no socket and no address told who it is
	Names    []string       // DNS names for the address, newest first; shared, do not change
	Seen     bool           // a socket of this host reported this end
	Via      string         // "docker-proxy" when a proxy's socket stands for the workload
	Cookie   uint64
	NetNS    uint32
	PID      uint32
	Comm     Comm
}

// Verdict is what was decided about a flow, numbered as Hubble's Verdict.
type Verdict uint8

// Hubble's verdicts that weir gives.
const (
	VerdictUnknown   Verdict = 0
	VerdictForwarded Verdict = 1
	VerdictDropped   Verdict = 2
	VerdictError     Verdict = 3
	VerdictAudit     Verdict = 4
)

// RecordKind says why a Record was made.
type RecordKind uint8

// A flow gives one RecordStart, RecordUpdates while it lives, one RecordEnd, and
// a RecordDrop for each reading in which packets of it were dropped. A RecordL7 is of no single flow.
const (
	RecordStart  RecordKind = 1
	RecordUpdate RecordKind = 2
	RecordEnd    RecordKind = 3
	RecordDrop   RecordKind = 4
	RecordL7     RecordKind = 5 // L7 is set, Flow and Delta are not
	// RecordVerdict has Judged, and in Flow no more than its two ends: what was
	// refused became no flow, and what passed has records of its own.
	RecordVerdict RecordKind = 6
)

// Record is one thing that the aggregator tells its sinks: the state of a flow
// at a moment. The Flow is a copy that nobody changes.
type Record struct {
	Kind    RecordKind
	Time    int64 // ns since the Unix epoch
	Verdict Verdict
	Flow    Flow
	Delta   Delta   // what was added since the flow's previous record
	Drop    *Drop   // for RecordDrop
	L7      *L7     // for RecordL7
	Judged  *Judged // for RecordVerdict

	// More is how many records like this one it stands for besides itself, where a sink
	// is told of so many that alike ones were merged: the numbers of the Flow are of all
	// of them, everything else is of one.
	More uint64
}

// Delta is what a flow's counters gained between two records.
type Delta struct {
	Sent, Received Counters
	Retransmits    uint32
}
