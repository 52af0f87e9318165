package ui

import (
	"net/netip"
	"strconv"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// peerRow sums the flows between one workload and one of its peers, seen from
// the workload.
type peerRow struct {
	Key      string
	End      flow.Endpoint // one of the peer's ends, for its name
	Service  text          // what is asked for, "tcp/6379", or how many such
	Serves   bool          // the peer was the server of some flow
	Asks     bool          // the peer was the client of some flow
	Live     int
	Failed   uint64
	Drops    uint64
	Retrans  uint64
	RTT      int64 // mean over the living flows that have one
	In, Out  uint64
	InRate   float64
	OutRate  float64
	rtts     int64
	services map[service]struct{}
}

type service struct {
	proto flow.Protocol
	port  uint16
}

// peersOf sums a workload's flows, those that match, by peer: a workload, or a
// remote address. match may be nil.
func peersOf(flows []aggregate.FlowRow, match func(*aggregate.FlowRow) bool, of *flow.Workload, key string) []peerRow {
	byPeer := make(map[string]*peerRow)
	var order []string
	for i := range flows {
		f := &flows[i]
		isClient := sameWorkload(f.Client.Workload, of, key)
		if !isClient && !sameWorkload(f.Server.Workload, of, key) || match != nil && !match(f) {
			continue
		}
		end := &f.Server
		if !isClient {
			end = &f.Client
		}
		k := peerKey(end)
		p := byPeer[k]
		if p == nil {
			p = &peerRow{Key: k, End: *end, services: make(map[service]struct{})}
			byPeer[k] = p
			order = append(order, k)
		}
		p.add(f, isClient)
	}
	out := make([]peerRow, 0, len(order))
	for _, k := range order {
		p := byPeer[k]
		if p.rtts > 0 {
			p.RTT /= p.rtts
		}
		p.Service = servicesText(p.services)
		p.services = nil
		out = append(out, *p)
	}
	return out
}

func (p *peerRow) add(f *aggregate.FlowRow, isClient bool) {
	out, in, outRate, inRate := f.Sent, f.Received, f.SentRate, f.ReceivedRate
	if !isClient {
		out, in, outRate, inRate = in, out, inRate, outRate
	}
	p.In += in.Payload
	p.Out += out.Payload
	p.InRate += inRate.Payload
	p.OutRate += outRate.Payload
	p.Drops += f.Drops
	p.Retrans += uint64(f.Retransmits)
	p.Serves = p.Serves || isClient
	p.Asks = p.Asks || !isClient
	if f.Ended == 0 {
		p.Live++
		if f.RTT > 0 {
			p.RTT += f.RTT
			p.rtts++
		}
	}
	if f.End.Failed() {
		p.Failed++
	}
	if len(p.services) < 100 { // a port scan must not cost more than it tells
		p.services[service{f.Protocol, f.Server.Addr.Port()}] = struct{}{}
	}
}

func peerKey(e *flow.Endpoint) string {
	if e.Workload != nil && e.Workload.Runtime != flow.RuntimeWorld {
		return workloadKey(e.Workload)
	}
	return "ip:" + e.Addr.Addr().Unmap().String()
}

// remote is the peer's address where no workload stands behind it.
func (p *peerRow) remote() netip.Addr {
	if p.End.Workload != nil && p.End.Workload.Runtime != flow.RuntimeWorld {
		return netip.Addr{}
	}
	return p.End.Addr.Addr().Unmap()
}

func servicesText(s map[service]struct{}) text {
	if len(s) != 1 {
		return count(uint64(len(s))) + " ports"
	}
	for v := range s {
		if v.proto.HasPorts() {
			return text(v.proto.String()) + "/" + text(strconv.Itoa(int(v.port)))
		}
		return text(v.proto.String())
	}
	return ""
}

func (p *peerRow) direction() text {
	switch {
	case p.Serves && p.Asks:
		return "both"
	case p.Serves:
		return "server"
	}
	return "client"
}

// peerColumns are the columns of a workload's peers, from left to right.
func peerColumns() []column[peerRow] {
	type row = peerRow
	return []column[row]{
		{ID: "peer", Title: "PEER", Min: 18, Width: 28, Max: 50, Full: 32, Priority: 100, Middle: true, Fixed: true,
			Cell: func(r *row, _ *env) cell { full, brief := endpointName(&r.End); return cell{Text: full, Short: brief} },
			Key:  func(r *row) key { return endpointKey(&r.End) }},
		{ID: "is", Title: "IS THE", Min: 6, Width: 7, Priority: 60,
			Cell: func(r *row, _ *env) cell { return cell{Text: r.direction()} },
			Key:  func(r *row) key { return key{text: string(r.direction())} }},
		{ID: "service", Title: "SERVICE", Min: 9, Width: 12, Priority: 85,
			Cell: func(r *row, _ *env) cell { return cell{Text: r.Service} },
			Key:  func(r *row) key { return key{text: string(r.Service)} }},
		{ID: "live", Title: "LIVE", Min: 5, Width: 6, Priority: 90, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(uint64(r.Live), plain) },
			Key:  func(r *row) key { return number(r.Live) }},
		{ID: "in/s", Title: "IN/S", Min: 6, Width: 9, Priority: 95, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return rateCell(r.InRate) },
			Key:  func(r *row) key { return number(r.InRate) }},
		{ID: "out/s", Title: "OUT/S", Min: 6, Width: 9, Priority: 94, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return rateCell(r.OutRate) },
			Key:  func(r *row) key { return number(r.OutRate) }},
		{ID: "in", Title: "IN", Min: 6, Width: 7, Priority: 50, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.In) },
			Key:  func(r *row) key { return number(r.In) }},
		{ID: "out", Title: "OUT", Min: 6, Width: 7, Priority: 49, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return bytesCell(r.Out) },
			Key:  func(r *row) key { return number(r.Out) }},
		{ID: "rtt", Title: "RTT", Min: 6, Width: 7, Priority: 70, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(latency(r.RTT), plain) },
			Key:  func(r *row) key { return number(r.RTT) }},
		{ID: "retrans", Title: "RETR", Min: 5, Width: 6, Priority: 65, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Retrans, warn) },
			Key:  func(r *row) key { return number(r.Retrans) }},
		{ID: "failed", Title: "FAIL", Min: 5, Width: 6, Priority: 80, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Failed, bad) },
			Key:  func(r *row) key { return number(r.Failed) }},
		{ID: "drops", Title: "DROPS", Min: 6, Width: 6, Priority: 75, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Drops, bad) },
			Key:  func(r *row) key { return number(r.Drops) }},
	}
}
