package aggregate

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// Judged takes KindVerdict events from beside the source: they are not counted as
// its events.
func (t *Table) Judged(events []flow.Event) {
	for i := range events {
		t.advance(events[i].Time)
		t.judged(&events[i])
	}
}

// judged makes a record of a verdict. Its flow has ended as it begins: what was
// refused became none.
func (t *Table) judged(ev *flow.Event) {
	j := ev.Judged
	if j == nil {
		return
	}
	t.lastID++
	r := t.next()
	r.Kind, r.Time, r.Judged = flow.RecordVerdict, ev.Time, j
	r.Verdict = flow.VerdictAudit
	if j.Denied {
		r.Verdict = flow.VerdictDropped
	}
	f := &r.Flow
	f.ID, f.Protocol, f.Start, f.Last, f.Ended = t.lastID, j.Protocol, ev.Time, ev.Time, ev.Time
	if j.Protocol == flow.ICMP || j.Protocol == flow.ICMPv6 {
		f.ICMPType = uint8(j.Port)
	}
	near, far := &f.Client, &f.Server
	if j.Ingress {
		near, far = far, near
	}
	near.Addr, near.Seen, near.PID, near.Comm = j.Local, true, j.PID, j.Comm
	near.Workload = t.identity.Workload(j.Cgroup)
	far.Addr = j.Remote
	switch {
	case j.PeerCgroup != 0:
		far.Seen, far.Workload = true, t.identity.Workload(j.PeerCgroup)
	case j.Remote.Addr().IsLoopback():
		far.Workload = near.Workload
	default:
		far.Workload = t.identity.ByAddr(j.Remote.Addr())
	}
	if j.Ingress {
		f.Server.Addr = netip.AddrPortFrom(j.Local.Addr(), serverPort(j))
		return
	}
	f.Server.Addr = netip.AddrPortFrom(j.Remote.Addr(), serverPort(j))
	// The kernel asked about the peer that was named: behind a translation is another.
	if real, ok := t.identity.Translated(j.Protocol, f.Client.Addr, f.Server.Addr); ok && real != f.Server.Addr {
		f.ServerXlated = real
		if w := t.identity.ByAddr(real.Addr()); w != nil {
			f.Server.Workload = w
		}
	}
	f.Server.Names = t.identity.Names(j.Cgroup, j.Remote.Addr())
}

// serverPort is the port that was asked for; ICMP has none.
func serverPort(j *flow.Judged) uint16 {
	if j.Protocol == flow.ICMP || j.Protocol == flow.ICMPv6 {
		return 0
	}
	return j.Port
}
