package flow

import (
	"math"
	"net/netip"
)

// L7Protocol is what is spoken over a connection. The numbers are part of the
// recording format and of the kernel's keys: they are never reused.
type L7Protocol uint8

// The protocols that weir reads.
const (
	L7None L7Protocol = 0
	HTTP   L7Protocol = 1 // HTTP/1.0 and 1.1
	DNS    L7Protocol = 2
	TLS    L7Protocol = 3 // handshakes
)

// L7Protocols is one above the highest protocol: the length of an array by protocol.
const L7Protocols = 4

// String is Hubble's name of the protocol, as --protocol takes it.
func (p L7Protocol) String() string {
	switch p {
	case HTTP:
		return "http"
	case DNS:
		return "dns"
	case TLS:
		return "tls"
	}
	return ""
}

// Why says why an exchange is told in full.
type Why uint8

// The reasons, in the order in which they are tried. The numbers are part of the
// recording format.
const (
	WhyNew    Why = 1 // an operation that was not told in the last minute
	WhyError  Why = 2 // it failed
	WhySlow   Why = 3 // it took longer than the threshold
	WhySample Why = 4
)

// String is "new", "error", "slow" or "sample".
func (w Why) String() string {
	switch w {
	case WhyNew:
		return "new"
	case WhyError:
		return "error"
	case WhySlow:
		return "slow"
	case WhySample:
		return "sample"
	}
	return ""
}

// NoAnswer stands in an exchange's or a tally's Status where no answer came:
// the connection ended first, or an answer is overdue.
const NoAnswer = 0xffff

// Operation is the kernel's number for what was asked for: a hash of HTTP's
// method and path with numbers, hexadecimal and UUIDs collapsed, of a DNS name
// and type, of a TLS server name. 0 is the rest for which a kernel table had no
// room.
type Operation uint64

// Counted is whose exchanges a Tally counts: the kernel's key, but for the
// status and the latency. It can be compared.
type Counted struct {
	Protocol  L7Protocol
	Role      Role       // of the socket that was read: RoleClient counts what a workload asked, RoleServer what it was asked
	Cgroup    uint64     // of that socket's owner
	Peer      uint64     // of the other end's owner where that is a socket of this host; else 0
	Remote    netip.Addr // the other end, as that socket's application sees it
	Port      uint16     // the server's
	Operation Operation
}

// Tally counts exchanges of one kind since the reading before. An exchange
// between two sockets of this host is counted once, by the client's (Peer is
// set then): it belongs to both workloads.
type Tally struct {
	Counted
	Status        uint16 // HTTP status, DNS response code, TLS alert (0: none); NoAnswer
	Bucket        uint16 // of the latencies, see BucketBound
	Count         uint64
	Latency       uint64 // sum, ns
	RequestBytes  uint64 // heads and bodies
	ResponseBytes uint64
}

// Exchange is a request and its answer, told in full. It is one of those that a
// Tally counts, never an additional one.
type Exchange struct {
	Counted
	Cookie        uint64 // of the socket that was read
	ConnID        uint64 // as in Socket; 0 for UDP
	NetNS         uint32
	PID           uint32
	Comm          Comm
	Local         netip.AddrPort
	RemotePort    uint16
	Transport     Protocol // TCP or UDP
	Status        uint16   // as in Tally
	Why           Why
	Start         int64 // first byte of the request, ns since the Unix epoch
	Latency       int64 // to the last byte of the answer, ns; for TLS from hello to hello
	RequestBytes  uint64
	ResponseBytes uint64
	HTTP          *HTTPExchange // for HTTP
	DNS           *DNSExchange  // for DNS
	TLS           *TLSHandshake // for TLS
}

// HTTPExchange is what only HTTP has. All strings come from the peer: they are
// hostile.
type HTTPExchange struct {
	Method      string
	Path        string // without the query; "" where it was not kept (pipelined requests); for CONNECT the authority
	Cut         bool   // the path was longer
	Query       bool   // there was a query
	Version     uint8  // 10 or 11
	Upgrade     string // "websocket" or "h2c", where the answer was 101
	Traceparent string // W3C trace context, "" where there is none
}

// DNSExchange is what only DNS has.
type DNSExchange struct {
	ID        uint16
	Name      string // as asked, lower case, without the final dot; hostile
	Type      uint16
	Addrs     []netip.Addr
	Addresses uint16 // how many there were
	CNAMEs    uint16
	TTL       uint32 // the smallest, seconds
}

// TLSHandshake is the two hellos of a connection.
type TLSHandshake struct {
	Version    uint16   // chosen, else the highest offered: 0x0304 is TLS 1.3
	ServerName string   // SNI, lower case; hostile
	ALPN       []string // offered
	Chosen     string   // ALPN that the server chose, where that can be seen
	Cipher     uint16   // chosen; 0 without a ServerHello
	Alert      uint8    // description, where one ended it
	Resumed    bool
	ECH        bool   // the name may be another's
	JA4        string // of the client
}

// bucketOrigin is the bucket that ends at one second.
const bucketOrigin = 240

// BucketBound is the upper bound of a tally's bucket in seconds, the bucket's own:
// 2^((bucket-240)/8). They are the buckets of Prometheus' native histograms of
// schema 3, and of OpenTelemetry's exponential histograms of scale 3.
func BucketBound(bucket uint16) float64 {
	return math.Exp2(float64(int(bucket)-bucketOrigin) / 8)
}

// BucketIndex is the bucket's number in a native histogram of schema 3: the bucket
// that ends at 1 s is 0.
func BucketIndex(bucket uint16) int32 { return int32(bucket) - bucketOrigin }

// BucketOf is the bucket of a latency, as the kernel computes it.
func BucketOf(ns int64) uint16 {
	if ns <= 0 {
		return 0
	}
	i := math.Ceil(8*math.Log2(float64(ns)/1e9)) + bucketOrigin
	return uint16(min(max(i, 0), 8*41))
}

// L7 is one thing told of a workload pair's exchanges, with both ends named and
// the operation in words: a Tally, or an Exchange in full (never both).
type L7 struct {
	Protocol L7Protocol
	Client   Endpoint
	Server   Endpoint
	Seen     Role   // the socket that was read: RoleClient or RoleServer
	Both     bool   // both ends are on this host: it counts for the client and for the server
	Method   string // HTTP method, DNS type; "" for TLS
	Route    string // HTTP path template like /users/{id}, DNS name, TLS server name; "" when unknown
	Rule     string // which rule made the template: "", "collapsed", "learned"
	Error    bool   // HTTP 5xx, DNS code other than NOERROR and NXDOMAIN, TLS alert, no answer
	Tally    *Tally
	Exchange *Exchange
	TraceID  string // of an Exchange with a traceparent, 32 hex digits; else ""
}

// CountsFor tells whether it is to be counted for the workload that plays a role in
// it. The end that was not read tells of its exchanges itself, unless both are told
// of at once or nobody stands behind it.
func (l *L7) CountsFor(r Role) bool {
	if r == RoleServer {
		return l.Both || l.Seen == RoleServer || l.Server.Workload == nil
	}
	return l.Both || l.Seen != RoleServer || l.Client.Workload == nil
}

// Unseen counts what was not read of connections whose protocol is read: stretches,
// and the bytes in them, by cause.
type Unseen struct {
	Protocol  L7Protocol
	Reason    string // "gap", "mid_stream", "busy", "error", …
	Stretches uint64
	Bytes     uint64
}
