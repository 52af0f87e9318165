package flow

import "strconv"

// Protocol is an IP protocol number (IANA "Protocol Numbers").
type Protocol uint8

// The protocols that weir names; every other one is kept as its number.
const (
	ICMP   Protocol = 1
	IGMP   Protocol = 2
	TCP    Protocol = 6
	UDP    Protocol = 17
	ICMPv6 Protocol = 58
	SCTP   Protocol = 132
)

// String is the protocol's name in lower case as OpenTelemetry's
// network.transport has it, or "ip-N".
func (p Protocol) String() string {
	switch p {
	case ICMP:
		return "icmp"
	case IGMP:
		return "igmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmpv6"
	case SCTP:
		return "sctp"
	}
	return "ip-" + strconv.Itoa(int(p))
}

// HasPorts tells whether the ports of a five-tuple of this protocol mean ports.
func (p Protocol) HasPorts() bool { return p == TCP || p == UDP || p == SCTP }

// Role is the part that a socket plays in its flow.
type Role uint8

// A socket is the client when it opened the connection or sent the first
// packet, the server when it was reached.
const (
	RoleUnknown Role = iota
	RoleClient
	RoleServer
)

// Other is the role of the socket at the other end.
func (r Role) Other() Role {
	switch r {
	case RoleClient:
		return RoleServer
	case RoleServer:
		return RoleClient
	}
	return RoleUnknown
}

func (r Role) String() string {
	switch r {
	case RoleClient:
		return "client"
	case RoleServer:
		return "server"
	}
	return "unknown"
}

// End is how a flow ended.
type End uint8

// Live flows have EndNone. Local and Remote are seen from the socket that
// reports; a Flow's End is seen from the client.
const (
	EndNone        End = iota // still alive
	EndClosed                 // closed in order by both sides
	EndResetLocal             // this side sent RST
	EndResetRemote            // the other side sent RST
	EndRefused                // connection refused: RST (or ICMP) in answer to SYN
	EndTimedOut               // no answer: SYN, data or keep-alive given up
	EndUnreachable            // the network said that the peer cannot be reached
	EndAborted                // given up locally before it was established
	EndIdle                   // no packet for the idle time (UDP and others)
	EndLost                   // the socket is gone, its end was not seen
)

var endNames = [...]string{
	EndNone: "", EndClosed: "closed", EndResetLocal: "reset-by-client", EndResetRemote: "reset-by-server",
	EndRefused: "refused", EndTimedOut: "timed-out", EndUnreachable: "unreachable", EndAborted: "aborted",
	EndIdle: "idle", EndLost: "lost",
}

// String names the end as seen from the client; empty while the flow is alive.
func (e End) String() string {
	if int(e) < len(endNames) {
		return endNames[e]
	}
	return "end-" + strconv.Itoa(int(e))
}

// ParseEnd is the inverse of String; ok is false for an unknown name.
func ParseEnd(s string) (e End, ok bool) {
	for i, n := range endNames {
		if n == s {
			return End(i), true
		}
	}
	return EndNone, false
}

// Failed tells whether the flow ended because something went wrong.
func (e End) Failed() bool {
	switch e {
	case EndResetLocal, EndResetRemote, EndRefused, EndTimedOut, EndUnreachable:
		return true
	}
	return false
}

// Flip turns an end around, to see it from the other side.
func (e End) Flip() End {
	switch e {
	case EndResetLocal:
		return EndResetRemote
	case EndResetRemote:
		return EndResetLocal
	}
	return e
}
