package replay

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// version is the format's. A reader takes no other. It grows when an older reader
// would take something for what it is not; a new kind of event, or a new field, is
// something that it refuses with a reason.
const version = 1

// header is a recording's first line.
type header struct {
	Recording int   `json:"weir_recording"`
	Weir      text  `json:"weir"`
	Host      text  `json:"host"`
	Kernel    text  `json:"kernel"`
	Started   int64 `json:"started"`
}

// line is any line but the first: an event, or the end.
type line struct {
	Kind     flow.Kind     `json:"k,omitzero"`
	Time     int64         `json:"t,omitzero"`
	CPU      uint16        `json:"cpu,omitzero"`
	Socket   *wireSocket   `json:"s,omitzero"`
	Drop     *wireDrop     `json:"drop,omitzero"`
	Cgroup   *wireCgroup   `json:"cgroup,omitzero"`
	DNS      *wireDNS      `json:"dns,omitzero"`
	Workload *wireWorkload `json:"workload,omitzero"`
	Exchange *wireExchange `json:"exchange,omitzero"`
	Tally    *wireTally    `json:"tally,omitzero"`
	Judged   *wireJudged   `json:"judged,omitzero"`
	End      *wireEnd      `json:"end,omitzero"`
}

// wireSocket is written by appendSocket, field by field, because sockets are
// nearly all of a recording.
type wireSocket struct {
	Cookie      uint64        `json:"cookie"`
	Cgroup      uint64        `json:"cgroup"`
	NetNS       uint32        `json:"netns"`
	PID         uint32        `json:"pid"`
	Comm        text          `json:"comm"`
	Protocol    flow.Protocol `json:"proto"`
	Role        flow.Role     `json:"role"`
	Local       string        `json:"local"`
	Remote      string        `json:"remote"`
	Wire        string        `json:"wire"`
	ICMP        [2]uint8      `json:"icmp"`
	ConnID      string        `json:"conn"`
	Start       int64         `json:"start"`
	End         flow.End      `json:"end"`
	Preexisting bool          `json:"old"`
	Self        bool          `json:"self"`
	Latency     int64         `json:"latency"`
	RTT         int64         `json:"rtt"`
	Retransmits uint32        `json:"retrans"`
	Sent        [3]uint64     `json:"sent"` // packets, payload, wire
	Received    [3]uint64     `json:"received"`
}

type wireDrop struct {
	NetNS       uint32        `json:"netns"`
	Protocol    flow.Protocol `json:"proto"`
	Source      string        `json:"src"`
	Destination string        `json:"dst"`
	Reason      text          `json:"reason"`
	Packets     uint64        `json:"packets"`
	Bytes       uint64        `json:"bytes"`
}

type wireCgroup struct {
	ID   uint64 `json:"id"`
	Path text   `json:"path"`
}

type wireDNS struct {
	Cgroup   uint64   `json:"cgroup"`
	NetNS    uint32   `json:"netns"`
	Resolver string   `json:"resolver"`
	Name     text     `json:"name"`
	Addrs    []string `json:"addrs,omitempty"`
	CNAMEs   []text   `json:"cnames,omitempty"`
	TTL      uint32   `json:"ttl"`
	RCode    uint8    `json:"rcode,omitzero"`
}

type wireWorkload struct {
	CgroupID  uint64    `json:"cgroup"`
	Cgroup    text      `json:"path"`
	Runtime   text      `json:"runtime"`
	Container text      `json:"container,omitempty"`
	Name      text      `json:"name"`
	Namespace text      `json:"namespace,omitempty"`
	Image     text      `json:"image,omitempty"`
	Owner     [2]text   `json:"owner"`            // kind, name
	Labels    [][3]text `json:"labels,omitempty"` // source, key, value
	Addrs     []string  `json:"addrs,omitempty"`
	PID       uint32    `json:"pid,omitzero"`
	Pending   bool      `json:"pending,omitzero"`
}

// wireEnd is the last line.
type wireEnd struct {
	Events uint64    `json:"events"` // lines between the first and this one
	Stats  wireStats `json:"stats"`
}

type wireStats struct {
	CPUs   [][3]uint64  `json:"cpus,omitempty"` // produced, delivered, lost
	Lost   []wireLoss   `json:"lost,omitempty"`
	Unread uint64       `json:"unread"`
	Ring   uint64       `json:"ring"`
	Tables []wireTable  `json:"tables,omitempty"`
	Unseen []wireUnseen `json:"unseen,omitempty"`
}

type wireLoss struct {
	Stage  text   `json:"stage"`
	Reason text   `json:"reason"`
	Count  uint64 `json:"n"`
}

type wireTable struct {
	Name    text   `json:"name"`
	Entries uint64 `json:"entries"`
	Max     uint64 `json:"max"`
}

func addrPortText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
}

func addrTexts(in []netip.Addr) (out []string) {
	for _, a := range in {
		if a.IsValid() {
			out = append(out, a.WithZone("").String())
		}
	}
	return out
}
