package convert

import (
	"crypto/tls"
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// What extensions call an exchange and a tally, under "record".
const (
	recordExchange = "exchange"
	recordTally    = "tally"
)

// l7 writes an exchange or a tally: what they have in common is what the kernel counts
// by. Of that the protocol, the role and an exchange's cgroup stand elsewhere.
func (o *object) l7(l *flow.L7) {
	var c flow.Counted
	var status uint16
	var request, response uint64
	record, x, t := recordTally, l.Exchange, l.Tally
	switch {
	case x != nil:
		record, t = recordExchange, nil
		c, status, request, response = x.Counted, x.Status, x.RequestBytes, x.ResponseBytes
	case t != nil:
		c, status, request, response = t.Counted, t.Status, t.RequestBytes, t.ResponseBytes
	}
	o.flag("both", l.Both)
	if t != nil {
		o.number("bucket", uint64(t.Bucket))
		o.number("cgroup_id", c.Cgroup)
	}
	o.object("client", false, func(o *object) { o.peer(&l.Client, t != nil) })
	if t != nil {
		o.number("count", t.Count)
	}
	if x != nil && x.DNS != nil {
		o.object("dns", false, func(o *object) { o.dnsExtras(x.DNS) })
	}
	o.flag("error", l.Error)
	if x != nil && x.HTTP != nil {
		o.object("http", false, func(o *object) { o.httpExtras(x.HTTP) })
	}
	o.text("l7_protocol", l.Protocol.String())
	if t != nil {
		o.number("latency_ns", t.Latency)
	}
	o.text("method", l.Method)
	o.flag("no_answer", status == flow.NoAnswer)
	o.number("operation", uint64(c.Operation))
	o.number("peer_cgroup_id", c.Peer)
	if x != nil {
		o.text("protocol", x.Transport.String())
		o.number("protocol_number", uint64(x.Transport))
	}
	o.text("record", record)
	o.address("remote", netip.AddrPortFrom(c.Remote, 0))
	o.number("request_bytes", request)
	o.number("response_bytes", response)
	o.text("route", l.Route)
	o.text("rule", l.Rule)
	if l.Seen != flow.RoleUnknown {
		o.text("seen_by", l.Seen.String())
	}
	o.object("server", false, func(o *object) { o.peer(&l.Server, t != nil) })
	o.number("server_port", uint64(c.Port))
	if x != nil {
		o.object("socket", false, func(o *object) { o.exchangeSocket(x) })
		o.instant("start", x.Start)
	}
	if status != flow.NoAnswer {
		o.number("status", uint64(status))
	}
	if x != nil && x.TLS != nil {
		o.object("tls", true, func(o *object) { o.tlsExtras(x.TLS) })
	}
	if x != nil {
		o.text("why", x.Why.String())
	}
}

// peer is an end, of a tally with its address: a tally's flow has no other place for it.
func (o *object) peer(e *flow.Endpoint, addressed bool) {
	if addressed {
		o.address("address", e.Addr)
	}
	o.end(e)
}

func (o *object) exchangeSocket(x *flow.Exchange) {
	o.text("command", x.Comm.String())
	o.number("connection", x.ConnID)
	o.address("local", x.Local)
	o.number("netns", uint64(x.NetNS))
	o.number("pid", uint64(x.PID))
	o.number("remote_port", uint64(x.RemotePort))
}

func (o *object) httpExtras(h *flow.HTTPExchange) {
	o.flag("cut", h.Cut)
	o.text("path", h.Path)
	o.flag("query", h.Query)
	o.text("traceparent", h.Traceparent)
	o.text("upgrade", h.Upgrade)
}

func (o *object) dnsExtras(d *flow.DNSExchange) {
	o.number("addresses", uint64(d.Addresses))
	o.number("cnames", uint64(d.CNAMEs))
	o.number("id", uint64(d.ID))
	o.number("type", uint64(d.Type))
}

func (o *object) tlsExtras(h *flow.TLSHandshake) {
	o.number("alert", uint64(h.Alert))
	o.texts("alpn", h.ALPN)
	o.text("alpn_chosen", h.Chosen)
	if h.Cipher != 0 {
		o.text("cipher", tls.CipherSuiteName(h.Cipher))
	}
	o.number("cipher_number", uint64(h.Cipher))
	o.flag("ech", h.ECH)
	o.text("ja4", h.JA4)
	o.flag("resumed", h.Resumed)
	o.text("server_name", h.ServerName)
	o.text("version", tlsVersion(h.Version))
	o.number("version_number", uint64(h.Version))
}
