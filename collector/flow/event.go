package flow

import (
	"bytes"
	"net/netip"
)

// Kind says what an Event tells, and which of its fields are set.
type Kind uint8

// The kinds of events. The numbers are part of the recording format: they are
// never reused.
const (
	KindNone          Kind = 0
	KindOpen          Kind = 1  // Socket: a connection was established, or the first packet of a connectionless flow
	KindUpdate        Kind = 2  // Socket: the counters of a living flow, from a read of the kernel's table
	KindClose         Kind = 3  // Socket: the final counters and the end
	KindDrop          Kind = 4  // Drop
	KindCgroupCreated Kind = 5  // Cgroup
	KindCgroupRemoved Kind = 6  // Cgroup
	KindDNS           Kind = 7  // DNS
	KindWorkload      Kind = 8  // Workload: who is behind a cgroup, in recordings
	KindListen        Kind = 9  // Socket: a listening socket; Remote is the zero AddrPort
	KindExchange      Kind = 10 // Exchange: a request and its answer in full
	KindTally         Kind = 11 // Tally: exchanges that were counted
	KindVerdict       Kind = 12 // Judged: what policies refused, or would have
)

// Event is one observation of a Source. It is a value and holds no reference
// to the Source's buffers: a receiver may keep it.
//
// Only the fields that belong to Kind are set. Socket is a value, so that the
// frequent kinds cost no allocation.
type Event struct {
	Kind     Kind
	CPU      uint16 // the processor that produced it
	Time     int64  // when, nanoseconds since the Unix epoch
	Socket   Socket
	Drop     *Drop
	Cgroup   *Cgroup
	DNS      *DNSAnswer
	Workload *Workload
	Exchange *Exchange
	Tally    *Tally
	Judged   *Judged
}

// Socket is a flow as one socket of this host sees it.
type Socket struct {
	Cookie   uint64         // kernel's socket cookie; unique while the host runs, never 0 for a real socket
	Cgroup   uint64         // cgroup id of the socket's creator
	NetNS    uint32         // inode number of the network namespace
	PID      uint32         // process (thread group) that opened it; 0 when unknown
	Comm     Comm           // its command name
	Protocol Protocol       //
	Role     Role           //
	Local    netip.AddrPort // the socket's own address; port 0 where the protocol has none
	Remote   netip.AddrPort // the peer as the application names it, before NAT
	Wire     netip.AddrPort // the peer after NAT in the socket's own namespace, where that is another (UDP); else zero
	ICMPType uint8          // of the first packet, for ICMP and ICMPv6, in the request's form
	ICMPCode uint8          //

	// ConnID is the same at both ends of a TCP connection, through NAT too: it
	// is made of the two initial sequence numbers. 0 when it is not known.
	ConnID uint64

	Start          int64 // first seen (SYN sent or accepted, first packet), ns since the Unix epoch
	End            End
	Preexisting    bool  // older than weir: Start is when weir found it
	Self           bool  // weir's own socket: its flow is never shown or counted
	ConnectLatency int64 // SYN to established at the client, ns; 0 when not seen
	RTT            int64 // smoothed round trip time, ns; 0 when not measured
	Retransmits    uint32
	Sent           Counters // by this socket
	Received       Counters // by this socket
}

// Counters count one direction of a flow.
type Counters struct {
	Packets uint64 // IP packets on the wire (after segmentation)
	Payload uint64 // bytes of transport payload, retransmissions not counted
	Wire    uint64 // bytes of IP packets, headers and retransmissions counted
}

// Add adds o to c.
func (c *Counters) Add(o Counters) {
	c.Packets += o.Packets
	c.Payload += o.Payload
	c.Wire += o.Wire
}

// Sub is what was counted in c since the earlier reading o; a counter that
// went backwards counts as 0.
func (c Counters) Sub(o Counters) Counters {
	return Counters{sub(c.Packets, o.Packets), sub(c.Payload, o.Payload), sub(c.Wire, o.Wire)}
}

func sub(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// Comm is a kernel task's command name: at most 15 bytes and NUL. It comes
// from a process and is hostile: show it through a sanitising function only.
type Comm [16]byte

// MakeComm is s cut to a command name's length.
func MakeComm(s string) (c Comm) {
	copy(c[:len(c)-1], s)
	return c
}

// String is the name without its NUL bytes. It allocates, unless the compiler sees that
// the name is not kept.
func (c Comm) String() string {
	n := bytes.IndexByte(c[:], 0)
	if n < 0 {
		n = len(c)
	}
	return string(c[:n])
}

// Drop is packets that the kernel dropped, counted by five-tuple and reason.
type Drop struct {
	NetNS       uint32
	Protocol    Protocol
	Source      netip.AddrPort // as the packet had it
	Destination netip.AddrPort
	Reason      string // the kernel's enum skb_drop_reason without its prefix, e.g. "NETFILTER_DROP"
	Packets     uint64
	Bytes       uint64
}

// Cgroup is a cgroup that came or went.
type Cgroup struct {
	ID   uint64
	Path string // below the cgroup v2 root, with a leading slash
}

// DNSAnswer is an answer that a socket of this host received.
type DNSAnswer struct {
	Cgroup   uint64
	NetNS    uint32
	Resolver netip.AddrPort
	Name     string // as asked, lower case, without the final dot
	Addrs    []netip.Addr
	CNAMEs   []string
	TTL      uint32 // the smallest of the answers, seconds
	RCode    uint8
}
