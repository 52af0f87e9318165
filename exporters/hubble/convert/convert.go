// Package convert turns weir's flow records into Hubble's flows and back.
//
// What Hubble's schema has a field for goes there. What it lacks (bytes, round
// trip time, processes, containers, how a flow ended) goes into the flow's
// extensions as a google.protobuf.Struct: docs/hubble-extensions.md.
package convert

import (
	"hash"
	"hash/fnv"
	"net/netip"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// Converter makes Hubble flows of records. It remembers what it made of a
// workload, so one that lives is cheaper than many. It is used by one
// goroutine at a time.
type Converter struct {
	node    string
	emitter *flowpb.Emitter
	cache   map[*flow.Workload]*identity

	naming    hash.Hash // of the record that gets its UUID
	extending object    // of the extensions that are being written
	lending   bool      // Lend is at work
	lent      parts
	exchange  exchangeParts // lent too
}

// maxCache bounds the workloads that a Converter remembers.
const maxCache = 4096

// New is a Converter for the flows of the host node, seen by a weir of version.
func New(node, version string) *Converter {
	return &Converter{
		node:    valid(node),
		emitter: &flowpb.Emitter{Name: "Weir", Version: valid(version)},
		cache:   make(map[*flow.Workload]*identity),
		naming:  fnv.New128a(),
	}
}

// Flow is r as Hubble has it, without extensions: Extend adds them. The caller
// may change the Flow and its direct sub-messages, but must not change the
// elements of lists: flows share them. A RecordL7 must have an L7; of a tally
// Hubble knows nothing, so only weir's own clients may see what is made of it.
func (c *Converter) Flow(r *flow.Record) *flowpb.Flow {
	var out *flowpb.Flow
	if r.Kind == flow.RecordL7 {
		out = c.l7(r)
	} else {
		out = c.l4(r)
	}
	if r.More > 0 {
		setAggregate(out, r.More)
	}
	return out
}

// l4 is r, of which L7 is not set.
func (c *Converter) l4(r *flow.Record) *flowpb.Flow {
	f := &r.Flow
	src, dst := &f.Client, &f.Server
	reply := isReply(r)
	if reply {
		src, dst = dst, src
	}
	p := c.blank(r.Time)
	p.setReply(reply)
	out := &p.flow
	out.Uuid = c.uuid(r)
	out.Verdict = flowpb.Verdict(r.Verdict)
	out.Type = flowpb.FlowType_L3_L4
	p.setTransport(r, src.Addr, dst.Addr)
	out.TrafficDirection = direction(f, reply)
	//lint:ignore SA1019 deprecated, and the only text that Hubble's CLI shows
	out.Summary = summary(r)
	c.ends(out, src, dst)
	if x := f.ClientXlated.Addr(); x.IsValid() && !reply && x != f.Client.Addr.Addr() {
		out.IP.SourceXlated = x.WithZone("").String()
	}
	if r.Judged != nil {
		p.setJudged(r.Judged)
	} else {
		p.setTrace(r, dst)
	}
	setSocket(out, f)
	return out
}

// ends says who the source and the destination are.
func (c *Converter) ends(out *flowpb.Flow, src, dst *flow.Endpoint) {
	setNetwork(out.IP, src.Addr.Addr(), dst.Addr.Addr())
	out.Source, out.Destination = c.endpoint(src), c.endpoint(dst)
	out.SourceNames, out.DestinationNames = validAll(src.Names), validAll(dst.Names)
	// Hubble's text formats ask for services, not for names: a peer that only
	// DNS knows is shown by its name through this field.
	if out.Source.PodName == "" && len(out.SourceNames) > 0 {
		out.SourceService = &flowpb.Service{Name: out.SourceNames[0]}
	}
	if out.Destination.PodName == "" && len(out.DestinationNames) > 0 {
		out.DestinationService = &flowpb.Service{Name: out.DestinationNames[0]}
	}
}

// isReply tells whether r is about packets from the server to the client. A
// record counts both ways and stands for the client's direction; only a drop
// is about packets of one direction.
func isReply(r *flow.Record) bool {
	if r.Drop == nil || r.Flow.Client.Addr == r.Drop.Source {
		return false
	}
	src := r.Drop.Source
	return src.IsValid() && (src == r.Flow.Server.Addr || src == r.Flow.ServerXlated)
}

// direction is the way the packets go, seen from the end that is on this host;
// where both are, from the client.
func direction(f *flow.Flow, reply bool) flowpb.TrafficDirection {
	out, in := flowpb.TrafficDirection_EGRESS, flowpb.TrafficDirection_INGRESS
	if reply {
		out, in = in, out
	}
	switch {
	case f.Client.Seen:
		return out
	case f.Server.Seen:
		return in
	}
	return flowpb.TrafficDirection_TRAFFIC_DIRECTION_UNKNOWN
}

// setSocket names the socket that reported the flow, the client's where both
// ends did.
func setSocket(out *flowpb.Flow, f *flow.Flow) {
	e := &f.Client
	if !e.Seen {
		e = &f.Server
	}
	out.SocketCookie = e.Cookie
	if e.Workload != nil {
		out.CgroupId = e.Workload.CgroupID
	}
}

func setNetwork(ip *flowpb.IP, src, dst netip.Addr) {
	if src.IsValid() {
		ip.Source = src.WithZone("").String()
	}
	if dst.IsValid() {
		ip.Destination = dst.WithZone("").String()
	}
	switch {
	case src.Is4() || dst.Is4():
		ip.IpVersion = flowpb.IPVersion_IPv4
	case src.Is6() || dst.Is6():
		ip.IpVersion = flowpb.IPVersion_IPv6
	}
}
