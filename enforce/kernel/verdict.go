package kernel

import (
	"fmt"
	"hash/fnv"
	"net/netip"

	"github.com/seed79351815/weir/enforce/policy"
)

// Verdict is what was denied, or would be, counted since the reading before.
type Verdict struct {
	Cgroup     uint64 // whose policy spoke
	PeerCgroup uint64 // where the peer's socket is known; else 0
	Peer       netip.AddrPort
	LocalPort  uint16
	Port       uint16 // the server's; the type of ICMP
	Protocol   uint8
	Direction  policy.Direction
	Denied     bool   // else audited: it passed
	Asked      bool   // it is about a question of DNS, and not about who may speak to whom
	Name       string // that was asked for, "?" for bytes that names of hosts do not have; empty where it could not be read
	Rule       uint32 // RuleNumber; 0: no rule allows it
	Identity   policy.Identity
	Count      uint64 // connections that were refused, packets that were dropped
	Last       uint64 // CLOCK_BOOTTIME ns
	PID        uint32
	Comm       [16]byte
}

// RuleNumber is the kernel's number for a rule: the same whatever other rules
// there are, so that a table stays what it is when another one changes. It is 0
// for the zero Rule alone.
func RuleNumber(r policy.Rule) uint32 {
	if r == (policy.Rule{}) {
		return 0
	}
	h := fnv.New32a()
	// A hash's Write never fails.
	_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d\x00%s\x00%s", r.Kind, r.Policy, r.Section, r.Index, r.Mode, r.Description)
	return h.Sum32() | 1
}
