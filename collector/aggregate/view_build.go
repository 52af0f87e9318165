package aggregate

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// peer is a workload, or an address that none stands behind, as one row's peer.
type peer struct {
	row, other int
	addr       netip.Addr
}

// build makes the snapshot of this moment. Its cost grows with the flows: 10 ms
// or so for 50,000.
func (v *View) build() {
	v.expire()
	now := v.now()
	s := &Snapshot{Time: now, Seq: v.current.Load().Seq + 1, Flows: make([]FlowRow, 0, len(v.flows))}
	v.moving = v.ended.len() > 0
	v.buildWorkloads(s, now)
	v.buildOperations(s, now)
	v.buildVerdicts(s, now)
	clear(v.peers)
	s.Flows = s.Flows[:len(v.flows)]
	i := 0
	for _, x := range v.flows {
		row := &s.Flows[i]
		i++
		row.Flow = x.Flow
		row.SentRate, row.ReceivedRate = x.pace.rates(now)
		v.moving = v.moving || row.SentRate != (Rates{}) || row.ReceivedRate != (Rates{})
		if !x.gone {
			v.addLive(s, x, row)
		}
	}
	for p := range v.peers {
		s.Workloads[p.row].Peers++
	}
	for _, x := range v.workloads {
		if x.rtts > 0 {
			s.Workloads[x.row].RTT = x.rtt / x.rtts
		}
	}
	v.current.Store(s)
}

// buildWorkloads gives every workload its row, but for those that did nothing
// for long.
func (v *View) buildWorkloads(s *Snapshot, now int64) {
	v.round++
	for _, x := range v.flows {
		for _, w := range x.workloads {
			if w != nil {
				w.round = v.round
			}
		}
	}
	s.Workloads = make([]WorkloadRow, 0, len(v.workloads))
	for k, x := range v.workloads {
		if x.round != v.round && now-x.touched > int64(keepWorkload) {
			delete(v.workloads, k)
			continue
		}
		x.row, x.rtt, x.rtts = len(s.Workloads), 0, 0
		s.Workloads = append(s.Workloads, WorkloadRow{
			Workload: x.workload, Opened: x.opened, Failed: x.failed, Drops: x.drops, Retransmits: x.retransmits,
			Sent: x.sent, Received: x.received,
		})
		r := &s.Workloads[x.row]
		r.SentRate, r.ReceivedRate, r.OpenRate = x.flux.rates(now)
		r.Served, r.Asked = v.rows(&x.served, now), v.rows(&x.asked, now)
		v.moving = v.moving || r.OpenRate > 0
	}
	t := &s.Totals
	t.Opened, t.Failed, t.Drops, t.Retransmits, t.Unshown = v.total.opened, v.total.failed, v.total.drops, v.total.retransmits, v.unshown
	t.SentRate, t.ReceivedRate, t.OpenRate = v.total.flux.rates(now)
	t.L7 = v.rows(&v.l7.total, now)
}

// addLive adds a living flow to the rows of its two workloads and to the totals.
func (v *View) addLive(s *Snapshot, x *viewFlow, f *FlowRow) {
	s.Totals.Live++
	s.Totals.SentRate.add(f.SentRate)
	s.Totals.ReceivedRate.add(f.ReceivedRate)
	c, o := x.workloads[client], x.workloads[server]
	if c != nil {
		v.addEnd(s, c, o, &f.Server, f.RTT)
		r := &s.Workloads[c.row]
		r.SentRate.add(f.SentRate)
		r.ReceivedRate.add(f.ReceivedRate)
	}
	if o != nil {
		if o != c {
			v.addEnd(s, o, c, &f.Client, f.RTT)
		}
		r := &s.Workloads[o.row]
		r.SentRate.add(f.ReceivedRate)
		r.ReceivedRate.add(f.SentRate)
	}
}

// addEnd counts a flow of x to far, behind which is other.
func (v *View) addEnd(s *Snapshot, x, other *viewWorkload, far *flow.Endpoint, rtt int64) {
	r := &s.Workloads[x.row]
	r.Live++
	if rtt > 0 {
		x.rtt += rtt
		x.rtts++
	}
	p := peer{row: x.row, other: -1}
	if far.Workload == nil || other == nil {
		p.addr = far.Addr.Addr()
	} else {
		p.other = other.row
	}
	v.peers[p] = struct{}{}
}
