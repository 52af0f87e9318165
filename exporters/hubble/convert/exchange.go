package convert

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// eventL7 is Cilium's event type of layer 7 flows: pkg/monitor/api/types.go.
const eventL7 = 129

// l7 is r, of which L7 is set, as Hubble has it. An exchange is its answer: it
// goes from the server to the client, and is a reply. One that got no answer is
// its request.
//
// A tally is nothing that Hubble has: what is made of it is for weir's own
// clients, with extensions.
func (c *Converter) l7(r *flow.Record) *flowpb.Flow {
	l := r.L7
	src, dst := &l.Client, &l.Server
	answered := l.Exchange != nil && l.Exchange.Status != flow.NoAnswer
	if answered {
		src, dst = dst, src
	}
	p := c.blank(r.Time)
	out := &p.flow
	out.Verdict = flowpb.Verdict(r.Verdict)
	out.Type = flowpb.FlowType_L7
	out.TrafficDirection = seenFrom(l.Seen)
	c.ends(out, src, dst)
	x := l.Exchange
	if x == nil {
		return out
	}
	out.Uuid = c.uuid(r)
	p.setPorts(x.Transport, src.Addr, dst.Addr)
	p.setEvent(eventL7, 0)
	p.setReply(answered)
	q := &c.exchange
	if !c.lending {
		q = new(exchangeParts)
	}
	out.L7 = q.layer7(l)
	out.SocketCookie, out.CgroupId = x.Cookie, x.Cgroup
	if l.TraceID != "" {
		q.parent.TraceId = valid(l.TraceID)
		q.trace.Parent = &q.parent
		out.TraceContext = &q.trace
	}
	//lint:ignore SA1019 deprecated, and the only text that Hubble's CLI shows
	out.Summary = exchangeSummary(l, out.L7)
	return out
}

// seenFrom is the direction of the connection at the socket that was read, for
// requests and answers alike.
func seenFrom(r flow.Role) flowpb.TrafficDirection {
	switch r {
	case flow.RoleClient:
		return flowpb.TrafficDirection_EGRESS
	case flow.RoleServer:
		return flowpb.TrafficDirection_INGRESS
	}
	return flowpb.TrafficDirection_TRAFFIC_DIRECTION_UNKNOWN
}

// layer7 is an exchange as Hubble tells it. Of TLS it has no record: the summary
// and the extensions do.
func (q *exchangeParts) layer7(l *flow.L7) *flowpb.Layer7 {
	x := l.Exchange
	answered := x.Status != flow.NoAnswer
	out := &q.l7
	out.Type, out.LatencyNs, out.Record = flowpb.L7FlowType_REQUEST, unsigned(x.Latency), nil
	if answered {
		out.Type = flowpb.L7FlowType_RESPONSE
	}
	switch {
	case x.HTTP != nil:
		h := &q.record
		h.Method, h.Url, h.Protocol, h.Code = valid(x.HTTP.Method), requestURL(&l.Server, x.HTTP), httpVersion(x.HTTP.Version), 0
		if answered {
			h.Code = uint32(x.Status)
		}
		q.http.Http = h
		out.Record = &q.http
	case x.DNS != nil:
		d := &flowpb.DNS{
			Query: valid(x.DNS.Name) + ".", Ttl: x.DNS.TTL, ObservationSource: dnsSource, Qtypes: []string{queryType(l)},
		}
		if answered {
			d.Rcode = uint32(x.Status)
		}
		for _, a := range x.DNS.Addrs {
			d.Ips = append(d.Ips, a.WithZone("").String())
		}
		out.Record = &flowpb.Layer7_Dns{Dns: d}
	}
	return out
}

// dnsSource is who saw a DNS message. Cilium's is "proxy", which weir is not.
const dnsSource = "kernel"

// The HTTP versions, by flow.HTTPExchange's Version.
const (
	http10 = "HTTP/1.0"
	http11 = "HTTP/1.1"
)

func httpVersion(v uint8) string {
	if v == 10 {
		return http10
	}
	return http11
}
