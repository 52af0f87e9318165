package aggregate

import (
	"net/netip"
	"strings"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	maxVerdicts = 4096
	keepVerdict = time.Hour // what was refused is looked for later
)

// viewVerdicts is what a View keeps of policies' verdicts.
type viewVerdicts struct {
	kinds    map[verdictKey]*verdict
	total    [2]attempts // each verdict once: what passed, what was denied
	overflow uint64      // attempts of kinds for which there was no room
}

func newViewVerdicts() viewVerdicts { return viewVerdicts{kinds: map[verdictKey]*verdict{}} }

// verdictKey tells kinds of attempts apart. Those for which there was no room are
// told apart by denied alone.
type verdictKey struct {
	workload, peer         workloadKey
	remote                 string // of a peer that no workload stands behind
	rule, by               string
	protocol               flow.Protocol
	port                   uint16
	ingress, denied, other bool
}

// verdict is the account of one kind of attempts. row is as in a snapshot, but for
// what depends on the time.
type verdict struct {
	row VerdictRow
	attempts
}

// attempts are counted with their present rate.
type attempts struct {
	count uint64
	flux  flux
}

func (a *attempts) add(at int64, n uint64) {
	a.count += n
	a.flux.opened[a.flux.at(at)] += n
}

func (a *attempts) rate(now int64) float64 {
	_, _, r := a.flux.rates(now)
	return r
}

// takeVerdict counts what policies said. It makes no flow and no workload: what was
// denied became none, and what passed has records of its own.
func (v *View) takeVerdict(r *flow.Record, at int64) {
	j := r.Judged
	near, far := &r.Flow.Client, &r.Flow.Server
	if j.Ingress {
		near, far = far, near
	}
	key := verdictKey{
		workload: keyOf(near.Workload), peer: keyOf(far.Workload), remote: remoteOf(far), rule: j.Rule, by: policyNames(j.By),
		protocol: j.Protocol, port: j.Port, ingress: j.Ingress, denied: j.Denied,
	}
	x := v.verdicts.kinds[key]
	if x == nil && len(v.verdicts.kinds) >= maxVerdicts {
		v.verdicts.overflow += j.Count
		key = verdictKey{denied: j.Denied, other: true}
		x = v.verdicts.kinds[key]
	}
	if x == nil {
		x = &verdict{row: VerdictRow{First: at}}
		v.verdicts.kinds[key] = x
	}
	x.add(at, j.Count)
	side := 0
	if j.Denied {
		side = 1
	}
	v.verdicts.total[side].add(at, j.Count)
	row := &x.row
	row.Last = max(row.Last, at)
	if j.Ended {
		row.Ended += j.Count
	}
	if row.Denied = j.Denied; key.other {
		row.Other = true
		return
	}
	row.Ingress, row.Protocol, row.Port, row.Rule, row.By = j.Ingress, j.Protocol, j.Port, j.Rule, j.By
	row.Remote, row.PID, row.Comm = key.remote, j.PID, j.Comm
	row.Local, row.PeerAddr = near.Addr.Addr(), far.Addr.Addr()
	if !worse(near.Workload, row.Workload) {
		row.Workload = near.Workload
	}
	if !worse(far.Workload, row.Peer) {
		row.Peer = far.Workload
	}
}

// policyNames joins what tells policies and their rules apart.
func policyNames(by []flow.PolicyRef) string {
	if len(by) == 1 {
		return by[0].Kind + "\x00" + by[0].String()
	}
	var b strings.Builder
	for _, p := range by {
		b.WriteString(p.Kind + "\x00" + p.String() + "\x00")
	}
	return b.String()
}

// buildVerdicts gives every kind of attempts its row, but for those of which
// nothing was told for long. When there is no room for new ones, long is less.
func (v *View) buildVerdicts(s *Snapshot, now int64) {
	keep := keepVerdict
	if len(v.verdicts.kinds) >= maxVerdicts {
		keep = keepWorkload
	}
	s.Verdicts = make([]VerdictRow, 0, len(v.verdicts.kinds))
	for k, x := range v.verdicts.kinds {
		if now-x.row.Last > int64(keep) {
			delete(v.verdicts.kinds, k)
			continue
		}
		row := x.row
		row.Count, row.Rate = x.count, x.rate(now)
		v.moving = v.moving || row.Rate > 0
		s.Verdicts = append(s.Verdicts, row)
	}
	t, total := &s.Totals, &v.verdicts.total
	t.Audited, t.AuditedRate = total[0].count, total[0].rate(now)
	t.Denied, t.DeniedRate = total[1].count, total[1].rate(now)
}

// VerdictRow is what policies said to attempts of one kind: of one workload and one
// peer, by one rule or for want of one.
type VerdictRow struct {
	Workload *flow.Workload // whose policy spoke
	Peer     *flow.Workload // nil: the world
	Remote   string         // of a peer that no workload stands behind: its name or address
	Ingress  bool           // the workload was asked; else it asked
	Denied   bool           // else audited: they passed
	Other    bool           // the rest, for which there was no room: nothing but Denied, counts and times
	Protocol flow.Protocol
	Port     uint16           // the server's; the type for ICMP
	Rule     string           // in words; empty where no rule allows it
	By       []flow.PolicyRef // whose rule it is, or the policies that want one; not to be changed
	Count    uint64           // since weir looks
	Ended    uint64           // of them: living connections that were ended
	Rate     float64          // per second
	First    int64            // ns since the Unix epoch
	Last     int64

	// Of the newest of them.
	Local    netip.Addr // the workload's
	PeerAddr netip.Addr
	PID      uint32 // of the workload's process; 0 when unknown
	Comm     flow.Comm
}
