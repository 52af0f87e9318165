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

// l7 writes an exchange or a tally.
func (o *object) l7(l *flow.L7) {
	if l.Exchange != nil {
		o.text("record", recordExchange)
	} else {
		o.text("record", recordTally)
	}
	o.text("l7_protocol", l.Protocol.String())
	if l.Seen != flow.RoleUnknown {
		o.text("seen_by", l.Seen.String())
	}
	o.flag("both", l.Both)
	o.text("method", l.Method)
	o.text("route", l.Route)
	o.text("rule", l.Rule)
	o.flag("error", l.Error)
	switch {
	case l.Exchange != nil:
		o.exchange(l.Exchange)
		o.object("client", false, func(o *object) { o.end(&l.Client) })
		o.object("server", false, func(o *object) { o.end(&l.Server) })
	case l.Tally != nil:
		o.tally(l.Tally)
		o.object("client", false, func(o *object) { o.addressed(&l.Client) })
		o.object("server", false, func(o *object) { o.addressed(&l.Server) })
	}
}

// addressed is an end with its address, which a tally's flow has no other place for.
func (o *object) addressed(e *flow.Endpoint) {
	o.end(e)
	o.text("address", addrText(e.Addr))
}

func (o *object) tally(t *flow.Tally) {
	o.counted(&t.Counted, t.Status)
	o.number("cgroup_id", t.Cgroup)
	o.number("bucket", uint64(t.Bucket))
	o.number("count", t.Count)
	o.number("latency_ns", t.Latency)
	o.number("request_bytes", t.RequestBytes)
	o.number("response_bytes", t.ResponseBytes)
}

// counted writes what the kernel counts by; the protocol, the role and an
// exchange's cgroup stand elsewhere.
func (o *object) counted(c *flow.Counted, status uint16) {
	o.number("peer_cgroup_id", c.Peer)
	o.text("remote", addrText(netip.AddrPortFrom(c.Remote, 0)))
	o.number("server_port", uint64(c.Port))
	o.number("operation", uint64(c.Operation))
	if status == flow.NoAnswer {
		o.flag("no_answer", true)
	} else {
		o.number("status", uint64(status))
	}
}

func (o *object) exchange(x *flow.Exchange) {
	o.text("why", x.Why.String())
	o.text("protocol", x.Transport.String())
	o.number("protocol_number", uint64(x.Transport))
	o.counted(&x.Counted, x.Status)
	o.instant("start", x.Start)
	o.number("request_bytes", x.RequestBytes)
	o.number("response_bytes", x.ResponseBytes)
	o.object("socket", false, func(o *object) { o.exchangeSocket(x) })
	if x.HTTP != nil {
		o.object("http", false, func(o *object) { o.httpExtras(x.HTTP) })
	}
	if x.DNS != nil {
		o.object("dns", false, func(o *object) { o.dnsExtras(x.DNS) })
	}
	if x.TLS != nil {
		o.object("tls", true, func(o *object) { o.tlsExtras(x.TLS) })
	}
}

func (o *object) exchangeSocket(x *flow.Exchange) {
	o.number("connection", x.ConnID)
	o.number("netns", uint64(x.NetNS))
	o.number("pid", uint64(x.PID))
	o.text("command", x.Comm.String())
	o.text("local", addrText(x.Local))
	o.number("remote_port", uint64(x.RemotePort))
}

func (o *object) httpExtras(h *flow.HTTPExchange) {
	o.text("path", h.Path)
	o.flag("cut", h.Cut)
	o.flag("query", h.Query)
	o.text("upgrade", h.Upgrade)
	o.text("traceparent", h.Traceparent)
}

func (o *object) dnsExtras(d *flow.DNSExchange) {
	o.number("id", uint64(d.ID))
	o.number("type", uint64(d.Type))
	o.number("addresses", uint64(d.Addresses))
	o.number("cnames", uint64(d.CNAMEs))
}

func (o *object) tlsExtras(h *flow.TLSHandshake) {
	o.text("version", tlsVersion(h.Version))
	o.number("version_number", uint64(h.Version))
	o.text("server_name", h.ServerName)
	o.texts("alpn", h.ALPN)
	o.text("alpn_chosen", h.Chosen)
	if h.Cipher != 0 {
		o.text("cipher", tls.CipherSuiteName(h.Cipher))
	}
	o.number("cipher_number", uint64(h.Cipher))
	o.number("alert", uint64(h.Alert))
	o.flag("resumed", h.Resumed)
	o.flag("ech", h.ECH)
	o.text("ja4", h.JA4)
}
