package flow

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Judged is what policies said to attempts of one kind, counted since the reading
// before. What they allow is not told.
type Judged struct {
	Cgroup     uint64 // of the workload whose policy spoke
	PeerCgroup uint64 // of the other end, where that is a socket of this host; else 0
	Ingress    bool   // the workload was asked; else it asked
	Denied     bool   // else audited: it passed, and would not if all policies were enforced
	Ended      bool   // a living connection was ended by it
	Protocol   Protocol
	Local      netip.AddrPort // the workload's own end; the address may be missing
	Remote     netip.AddrPort // the other end
	Port       uint16         // the server's; the type for ICMP
	PID        uint32         // of the workload's process; 0 when unknown
	Comm       Comm           //
	Asked      string         // the DNS name of a question that was judged, "?" for one that cannot be read; empty: no question
	Count      uint64         // connections that were refused, or packets that were dropped
	Rule       string         // the rule in words; empty where no rule allows it
	By         []PolicyRef    // whose rule it is, or the policies that want one
}

// PolicyRef names a policy.
type PolicyRef struct {
	Name      string
	Namespace string
	Kind      string // as in its text: CiliumNetworkPolicy, NetworkPolicy, Guard
	Mode      string // audit or enforce
	Section   string // ingress, egress, ingressDeny, egressDeny, guard; empty without a rule
	Index     int    // of the rule in the section
}

// String is "namespace/name", or the name alone.
func (p PolicyRef) String() string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// maxNamed is how many policies one label names.
const maxNamed = 4

// PolicyNames is "a/x,b/y": a policy that has a rule stands alone, of those that
// have none for what was tried each wanted one. A verdict stays one series and is
// counted once, however many policies there are: a workload is selected by one set
// of them at a time. Beyond four they are counted, as "a/w,a/x,a/y,a/z,+2".
func (j *Judged) PolicyNames() string {
	names := make([]string, 0, len(j.By))
	for _, p := range j.By {
		names = append(names, p.String())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed], fmt.Sprintf("+%d", more))
	}
	return strings.Join(names, ",")
}
