package convert

import (
	"fmt"
	"net/netip"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// Tally tells whether f is a tally of exchanges, which weir's servers send to
// weir's clients alone.
func Tally(f *flowpb.Flow) bool { return f.GetType() == flowpb.FlowType_L7 && f.GetL7() == nil }

// l7 is the exchange or the tally that in, with the extensions o, was made of.
func (d *Decoder) l7(in *flowpb.Flow, o reader, tally bool) (*flow.L7, error) {
	l := &flow.L7{
		Both: o.flag("both"), Method: o.text("method"), Route: o.text("route"), Rule: o.text("rule"), Error: o.flag("error"),
		Client: endpoint(o, "client"), Server: endpoint(o, "server"),
	}
	var err error
	if l.Protocol, err = l7Protocol(o.text("l7_protocol")); err != nil {
		return nil, err
	}
	l.Seen = roleOf(o.text("seen_by"))
	if tally {
		l.Tally = tallyOf(l, o)
		client, _ := o.object("client")
		server, _ := o.object("server")
		d.ends(in, &l.Client, &l.Server)
		l.Client.Addr, l.Server.Addr = client.addrPort("address"), server.addrPort("address")
		return l, nil
	}
	src, dst := &l.Client, &l.Server
	if in.GetIsReply().GetValue() {
		src, dst = dst, src
	}
	d.ends(in, src, dst)
	if l.Exchange, err = exchangeOf(in, l, o); err != nil {
		return nil, err
	}
	l.TraceID = cut(in.GetTraceContext().GetParent().GetTraceId())
	return l, nil
}

func l7Protocol(s string) (flow.L7Protocol, error) {
	for p := flow.L7None + 1; p < flow.L7Protocols; p++ {
		if p.String() == s {
			return p, nil
		}
	}
	return 0, fmt.Errorf("protocol %q", cut(s))
}

func roleOf(s string) flow.Role {
	for _, r := range []flow.Role{flow.RoleClient, flow.RoleServer} {
		if r.String() == s {
			return r
		}
	}
	return flow.RoleUnknown
}

func whyOf(s string) (flow.Why, error) {
	for _, w := range []flow.Why{flow.WhyNew, flow.WhyError, flow.WhySlow, flow.WhySample} {
		if w.String() == s {
			return w, nil
		}
	}
	return 0, fmt.Errorf("why %q", cut(s))
}

func countedOf(l *flow.L7, o reader, cgroup uint64) flow.Counted {
	return flow.Counted{
		Protocol: l.Protocol, Role: l.Seen, Cgroup: cgroup, Peer: o.number("peer_cgroup_id"), Remote: o.addrPort("remote").Addr(),
		Port: uint16(o.number("server_port")), Operation: flow.Operation(o.number("operation")),
	}
}

func statusOf(o reader) uint16 {
	if o.flag("no_answer") {
		return flow.NoAnswer
	}
	return uint16(o.number("status"))
}

func tallyOf(l *flow.L7, o reader) *flow.Tally {
	return &flow.Tally{
		Counted: countedOf(l, o, o.number("cgroup_id")), Status: statusOf(o), Bucket: uint16(o.number("bucket")), Count: o.number("count"),
		Latency: o.number("latency_ns"), RequestBytes: o.number("request_bytes"), ResponseBytes: o.number("response_bytes"),
	}
}

func exchangeOf(in *flowpb.Flow, l *flow.L7, o reader) (*flow.Exchange, error) {
	s, _ := o.object("socket")
	why, err := whyOf(o.text("why"))
	if err != nil {
		return nil, err
	}
	x := &flow.Exchange{
		Counted: countedOf(l, o, in.GetCgroupId()), Cookie: in.GetSocketCookie(), ConnID: s.number("connection"), NetNS: uint32(s.number("netns")),
		PID: uint32(s.number("pid")), Comm: flow.MakeComm(s.text("command")), Local: s.addrPort("local"), RemotePort: uint16(s.number("remote_port")),
		Transport: flow.Protocol(o.number("protocol_number")), Status: statusOf(o), Why: why, Start: o.instant("start"),
		Latency: int64(min(in.GetL7().GetLatencyNs(), 1<<63-1)), RequestBytes: o.number("request_bytes"), ResponseBytes: o.number("response_bytes"),
	}
	switch l.Protocol {
	case flow.HTTP:
		x.HTTP = httpOf(in.GetL7().GetHttp(), o)
	case flow.DNS:
		x.DNS = dnsOf(in.GetL7().GetDns(), o)
	case flow.TLS:
		x.TLS = tlsOf(o)
	}
	return x, nil
}

func httpOf(h *flowpb.HTTP, o reader) *flow.HTTPExchange {
	o, _ = o.object("http")
	x := &flow.HTTPExchange{
		Method: cut(h.GetMethod()), Path: o.text("path"), Cut: o.flag("cut"), Query: o.flag("query"), Version: 11,
		Upgrade: o.text("upgrade"), Traceparent: o.text("traceparent"),
	}
	if h.GetProtocol() == http10 {
		x.Version = 10
	}
	return x
}

func dnsOf(d *flowpb.DNS, o reader) *flow.DNSExchange {
	o, _ = o.object("dns")
	x := &flow.DNSExchange{
		ID: uint16(o.number("id")), Name: cut(strings.TrimSuffix(d.GetQuery(), ".")), Type: uint16(o.number("type")),
		Addresses: uint16(o.number("addresses")), CNAMEs: uint16(o.number("cnames")), TTL: d.GetTtl(),
	}
	ips := d.GetIps()
	for _, s := range ips[:min(len(ips), maxAddrs)] {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			x.Addrs = append(x.Addrs, a)
		}
	}
	return x
}

func tlsOf(o reader) *flow.TLSHandshake {
	o, _ = o.object("tls")
	return &flow.TLSHandshake{
		Version: uint16(o.number("version_number")), ServerName: o.text("server_name"), ALPN: o.texts("alpn", maxNames), Chosen: o.text("alpn_chosen"),
		Cipher: uint16(o.number("cipher_number")), Alert: uint8(o.number("alert")), Resumed: o.flag("resumed"), ECH: o.flag("ech"), JA4: o.text("ja4"),
	}
}
