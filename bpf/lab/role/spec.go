package role

import (
	"net/netip"
	"time"
)

// Name says which program to be.
type Name string

// The programs there are. Servers listen on Spec.Address, clients dial it.
const (
	TCPServer      Name = "tcp-server"
	TCPClient      Name = "tcp-client"
	UDPServer      Name = "udp-server"
	UDPClient      Name = "udp-client"
	HTTPServer     Name = "http-server"
	HTTPClient     Name = "http-client"
	DatagramServer Name = "datagram-server"
	DatagramClient Name = "datagram-client"
	// Asker sends each datagram of a script from one socket, and waits Timeout for what
	// comes back before the next. With Detail its report has what that was.
	Asker        Name = "asker"
	Ping         Name = "ping"
	ScriptServer Name = "script-server"
	ScriptClient Name = "script-client"
	// Steady keeps one connection to an echo server busy until it is told to stop:
	// its report tells how many echoes came.
	Steady Name = "steady"
	// Sneak sends once to Address in the way that Way names.
	Sneak Name = "sneak"
	// Connector connects a UDP socket to Address Count times, which sends nothing; with
	// Behaviour Reset TCP sockets, which are reset. Its report has the time.
	Connector Name = "connector"
	// RawServer counts the packets of protocol number Count that arrive.
	RawServer Name = "raw-server"
	// Flood tries Count times to send by one of the ways Plain, Knock, SendTo and Raw,
	// each by a socket of its own, to Messages ports from Address on. With Wait it ends
	// when told to.
	Flood Name = "flood"
)

// Behaviour changes how a TCP role treats its connections.
type Behaviour string

const (
	// Echo, the default, sends back what came until the peer has finished.
	Echo Behaviour = ""
	// Sink reads everything and answers nothing.
	Sink Behaviour = "sink"
	// Reset ends the connection with RST: a server after the first bytes, a
	// client after the whole exchange.
	Reset Behaviour = "reset"
	// Defer makes a script server's listener wait for the first data
	// (TCP_DEFER_ACCEPT).
	Defer Behaviour = "defer"
	// Connected makes an asker connect its socket.
	Connected Behaviour = "connected"
	// Stream makes an asker say its script over TCP, in as many pieces, and hear what
	// comes back of all of it.
	Stream Behaviour = "stream"
)

// Spec is all that a role is told. The zero value of a number means its default.
type Spec struct {
	Role      Name      `json:"role"`
	Address   string    `json:"address"` // host:port; for Ping the host alone
	Behaviour Behaviour `json:"behaviour,omitempty"`
	Path      string    `json:"path,omitempty"` // HTTP client: default "/"; of a script: the file; Sneak: another host:port
	Way       Way       `json:"way,omitempty"`  // of Sneak

	Count    int `json:"count,omitempty"`    // connections, sockets, requests or echoes; default 1
	Parallel int `json:"parallel,omitempty"` // how many of them at once; default 1
	Messages int `json:"messages,omitempty"` // UDP client: datagrams of each socket; default 1
	Bytes    int `json:"bytes,omitempty"`    // payload of each; default 64

	Delay   time.Duration `json:"delay,omitempty"`   // server: before the answer begins; Flood: after each attempt
	Timeout time.Duration `json:"timeout,omitempty"` // client: for each of Count; default 10 s

	// Wait keeps a client's connections open after the exchange until its
	// standard input is closed.
	Wait bool `json:"wait,omitempty"`
	// Detail lists every connection in the report.
	Detail bool `json:"detail,omitempty"`
}

func (s Spec) withDefaults() Spec {
	s.Count = max(s.Count, 1)
	s.Parallel = max(s.Parallel, 1)
	s.Messages = max(s.Messages, 1)
	if s.Bytes <= 0 {
		s.Bytes = 64
	}
	if s.Timeout <= 0 {
		s.Timeout = 10 * time.Second
	}
	if s.Path == "" {
		s.Path = "/"
	}
	return s
}

// Ready is the first line that a role prints.
type Ready struct {
	PID     int    `json:"pid"`     // in the role's own PID namespace
	Address string `json:"address"` // a server's, with the port it was given
}

// Report is a role's account of itself, counted where the sockets are used.
type Report struct {
	// Conns counts connections established or accepted, sockets for UDP,
	// requests answered for HTTP, echoes answered for Ping.
	Conns int `json:"conns"`
	// Failed counts what did not come to a good end, by reason: refused,
	// reset, timeout, unreachable, denied, dropped (at a device), other.
	Failed map[string]int `json:"failed,omitempty"`
	// Sent and Received are payload bytes that passed the socket; HTTP counts
	// bodies only.
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	// Messages counts datagrams sent and received.
	Messages uint64 `json:"messages,omitempty"`
	Each     []Conn `json:"each,omitempty"` // only with Spec.Detail
	// Median is how long one call took, of a Connector.
	Median time.Duration `json:"median,omitempty"`
}

// Conn is one connection as its own end saw it.
type Conn struct {
	Local    netip.AddrPort `json:"local"`
	Remote   netip.AddrPort `json:"remote"`
	Sent     uint64         `json:"sent"`
	Received uint64         `json:"received"`
	Failure  string         `json:"failure,omitempty"`
	Heard    []byte         `json:"heard,omitempty"` // of an asker: the answer
	Took     time.Duration  `json:"took,omitempty"`  // of an asker over TCP: from the last piece to the end of the answer
}
