package replay

import "github.com/seed79351815/weir/collector/flow"

// What one exchange may hold. Everything that a kernel program keeps is far
// smaller; more is a broken recording, or a hostile one.
const (
	maxString = 1024 // bytes of a path, a name, …
	maxList   = 64   // addresses of an answer, protocols of a hello
	maxUnseen = 256  // protocols and reasons in the last line
)

// wireCounted is the same in a tally and in an exchange.
type wireCounted struct {
	Protocol  flow.L7Protocol `json:"l7"`
	Role      flow.Role       `json:"role"`
	Cgroup    uint64          `json:"cgroup"`
	Peer      uint64          `json:"peer,omitzero"`
	Remote    string          `json:"remote,omitzero"`
	Port      uint16          `json:"port,omitzero"`
	Operation string          `json:"op,omitzero"` // hexadecimal
}

type wireTally struct {
	wireCounted
	Status   uint16 `json:"status"`
	Bucket   uint16 `json:"bucket"`
	Count    uint64 `json:"n"`
	Latency  uint64 `json:"latency,omitzero"`
	Request  uint64 `json:"request,omitzero"`
	Response uint64 `json:"response,omitzero"`
}

type wireExchange struct {
	wireCounted
	Cookie     uint64        `json:"cookie"`
	ConnID     string        `json:"conn,omitzero"`
	NetNS      uint32        `json:"netns"`
	PID        uint32        `json:"pid,omitzero"`
	Comm       text          `json:"comm,omitzero"`
	Local      string        `json:"local"`
	RemotePort uint16        `json:"rport,omitzero"`
	Transport  flow.Protocol `json:"proto"`
	Status     uint16        `json:"status"`
	Why        flow.Why      `json:"why"`
	Start      int64         `json:"start"`
	Latency    int64         `json:"latency,omitzero"`
	Request    uint64        `json:"request,omitzero"`
	Response   uint64        `json:"response,omitzero"`
	HTTP       *wireHTTP     `json:"http,omitzero"`
	DNS        *wireLookup   `json:"dns,omitzero"`
	TLS        *wireTLS      `json:"tls,omitzero"`
}

// wireHTTP has no query: there is no place for one in a recording.
type wireHTTP struct {
	Method      text  `json:"method"`
	Path        text  `json:"path,omitzero"`
	Cut         bool  `json:"cut,omitzero"`
	Query       bool  `json:"query,omitzero"` // there was one
	Version     uint8 `json:"version"`
	Upgrade     text  `json:"upgrade,omitzero"`
	Traceparent text  `json:"traceparent,omitzero"`
}

type wireLookup struct {
	ID        uint16   `json:"id"`
	Name      text     `json:"name"`
	Type      uint16   `json:"type"`
	Addrs     []string `json:"addrs,omitempty"`
	Addresses uint16   `json:"n,omitzero"`
	CNAMEs    uint16   `json:"cnames,omitzero"`
	TTL       uint32   `json:"ttl,omitzero"`
}

type wireTLS struct {
	Version    uint16 `json:"version"`
	ServerName text   `json:"sni,omitzero"`
	ALPN       []text `json:"alpn,omitempty"`
	Chosen     text   `json:"chosen,omitzero"`
	Cipher     uint16 `json:"cipher,omitzero"`
	Alert      uint8  `json:"alert,omitzero"`
	Resumed    bool   `json:"resumed,omitzero"`
	ECH        bool   `json:"ech,omitzero"`
	JA4        text   `json:"ja4,omitzero"`
}

type wireUnseen struct {
	Protocol  flow.L7Protocol `json:"l7"`
	Reason    text            `json:"reason"`
	Stretches uint64          `json:"stretches"`
	Bytes     uint64          `json:"bytes"`
}
