package aggregate

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// addr is an address with its port in 18 bytes; netip's takes 32. Zones are not
// kept, and IPv4 is stored as mapped, so a mapped address equals its plain form.
type addr struct {
	ip   [16]byte
	port uint16
}

func pack(a netip.AddrPort) addr { return addr{a.Addr().As16(), a.Port()} }

// unpack is the zero AddrPort for the zero addr.
func (a addr) unpack() netip.AddrPort {
	if a == (addr{}) {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.ip).Unmap(), a.port)
}

// side is which end of a flow; it indexes entry.ends.
type side uint32

const (
	client side = 0
	server side = 1
)

func (s side) other() side { return s ^ 1 }

// end is what is known of one end of a flow. All of it stays zero, but for
// workload and names, until a socket of this host reports the end.
type end struct {
	local, remote addr // as this end's application sees them
	netns, pid    uint32
	nextSock      node
	nextView      node
	retransmits   uint32
	comm          flow.Comm
	cookie        uint64
	cgroup        uint64
	workload      *flow.Workload
	names         []string
	how           flow.End // how this end saw the flow end
	seen          bool
	closed        bool
	proxied       bool // the socket is docker-proxy's
	guessed       bool // nothing but a heuristic says that it is this side
}

// entry is one flow in the table. It is kept compact: 50,000 of them are a
// usual load.
type entry struct {
	ends           [2]end
	id             uint64
	conn           uint64 // TCP's ConnID, 0 unknown
	start          int64
	last           int64
	ended          int64 // latest close of either end
	lastRecord     int64
	latency, rtt   int64
	sent, received flow.Counters
	sentTold       flow.Counters // what the records so far, and what was before weir, account for
	receivedTold   flow.Counters
	drops          uint64

	retransmitsTold uint32
	gen             uint32 // grows each time the slot is given away
	heard           uint32 // second of the idle clock in which it was last heard of
	older, newer    uint32 // the slab's list by heard; 0 is none
	nextConn        node
	nextXlated      node
	xlated          addr // the server's real address, from NAT or a proxy
	reason          uint16
	proto           flow.Protocol
	icmpType        uint8
	icmpCode        uint8

	live        bool // the slot is in use
	started     bool // its start record was made
	dirty       bool // waits in the list of changed flows
	preexisting bool
	rttByClient bool
	translated  bool // xlated is in the index of views, beside the client's address
	self        bool // one end is weir's own: no record is ever made
}

// seen tells whether both ends have sockets on this host.
func (e *entry) paired() bool { return e.ends[client].seen && e.ends[server].seen }

// lone is the only seen end of an unpaired flow; of a paired one it is the client.
func (e *entry) lone() side {
	if e.ends[client].seen {
		return client
	}
	return server
}

// done tells whether every end that was seen has closed.
func (e *entry) done() bool {
	return (!e.ends[client].seen || e.ends[client].closed) && (!e.ends[server].seen || e.ends[server].closed)
}

func (e *entry) retransmits() uint32 { return e.ends[client].retransmits + e.ends[server].retransmits }

// clientAddr is how the flow names its client, serverAddr how it names its server.
func (e *entry) clientAddr() addr {
	if e.ends[client].seen {
		return e.ends[client].local
	}
	return e.ends[server].remote
}

func (e *entry) serverAddr() addr {
	if e.ends[client].seen {
		return e.ends[client].remote
	}
	return e.ends[server].local
}

// realServer is where the server really is, and whether that differs from how
// the client names it.
func (e *entry) realServer() (addr, bool) {
	if e.xlated != (addr{}) {
		return e.xlated, e.xlated != e.serverAddr()
	}
	if e.paired() && e.ends[server].local != e.ends[client].remote {
		return e.ends[server].local, true
	}
	return e.serverAddr(), false
}
