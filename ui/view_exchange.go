package ui

import (
	"crypto/tls"
	"strconv"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// newExchangePage shows all that is known of one exchange. It never changes.
func newExchangePage(m *model, x *flow.L7) *page {
	return &page{title: "at " + instant(x.Exchange.Start, m.now.Location()), tabs: []*tab{{name: "Exchange", lines: func(width int) []line {
		return exchangeDetails(x, m.moment(), width)
	}}}}
}

func exchangeDetails(x *flow.L7, now time.Time, width int) []line {
	var s sheet
	e := x.Exchange
	s.heading("EXCHANGE")
	s.put("protocol", protocolName(e.Protocol)+" over "+text(e.Transport.String()), plain)
	s.put("outcome", statusText(e.Protocol, e.Status), outcomeRole(e.Protocol, e.Status, x.Error))
	s.put("latency", latency(e.Latency), plain)
	s.put("began", clock(e.Start, now)+" ("+instant(e.Start, now.Location())+")", plain)
	s.put("request", bytes(e.RequestBytes), plain)
	s.put("answer", bytes(e.ResponseBytes), plain)
	s.put("told because", whyText(e.Why), dim)
	s.put("seen at", "the "+text(x.Seen.String())+"'s socket", dim)
	if e.PID != 0 || e.Comm != (flow.Comm{}) {
		s.put("by process", join(" ", clean(e.Comm.String()), "pid "+text(strconv.FormatUint(uint64(e.PID), 10))), plain)
	}
	s.http(x)
	s.lookup(x)
	s.handshake(x)
	var client, server sheet
	client.endpoint("CLIENT", &x.Client, e.Transport)
	server.endpoint("SERVER", &x.Server, e.Transport)
	return s.withEnds(&client, &server, width)
}

func whyText(w flow.Why) text {
	switch w {
	case flow.WhyNew:
		return "its operation was new, or not told for a minute"
	case flow.WhyError:
		return "it failed"
	case flow.WhySlow:
		return "it was slow"
	case flow.WhySample:
		return "one of many"
	}
	return ""
}

func (s *sheet) http(x *flow.L7) {
	h := x.Exchange.HTTP
	if h == nil {
		return
	}
	s.heading("HTTP")
	s.put("method", clean(h.Method), plain)
	s.put("path", clean(h.Path), plain)
	switch {
	case h.Path == "":
		s.put("path", "not kept", dim)
	case h.Cut:
		s.put("", "it was longer", dim)
	}
	if h.Query {
		s.put("query", "there was one; queries are not kept", dim)
	}
	s.put("counted as", join(" ", clean(x.Route), ruleText(x.Rule)), plain)
	if h.Version != 0 {
		s.put("version", text(strconv.Itoa(int(h.Version/10)))+"."+text(strconv.Itoa(int(h.Version%10))), plain)
	}
	s.put("upgraded to", clean(h.Upgrade), plain)
	s.put("trace", clean(x.TraceID), plain)
}

func (s *sheet) lookup(x *flow.L7) {
	d := x.Exchange.DNS
	if d == nil {
		return
	}
	s.heading("DNS")
	s.put("name", clean(d.Name), plain)
	s.put("type", clean(l7.TypeName(d.Type)), plain)
	list(s, "addresses", d.Addrs, address)
	if more := int(d.Addresses) - len(d.Addrs); more > 0 {
		s.put("", "and "+count(uint64(more))+" more", dim)
	}
	s.put("aliases", orNone(uint64(d.CNAMEs)), plain)
	if d.TTL > 0 {
		s.put("valid for", age(int64(d.TTL)*int64(time.Second)), plain)
	}
	s.put("id", number16(d.ID), dim)
}

func (s *sheet) handshake(x *flow.L7) {
	t := x.Exchange.TLS
	if t == nil {
		return
	}
	s.heading("TLS")
	s.put("server name", clean(t.ServerName), plain)
	if t.ECH {
		s.put("", "the client encrypts its hello: the true name may be another", warn)
	}
	if t.Version != 0 {
		s.put("version", clean(tls.VersionName(t.Version)), plain)
	}
	if t.Cipher != 0 {
		s.put("cipher", clean(tls.CipherSuiteName(t.Cipher)), plain)
	}
	var offered text
	for _, p := range t.ALPN {
		offered = join(", ", offered, clean(p))
	}
	s.put("ALPN offered", offered, plain)
	s.put("ALPN chosen", clean(t.Chosen), plain)
	if t.Resumed {
		s.put("session", "resumed", plain)
	}
	s.put("JA4", clean(t.JA4), plain)
}

func number16(n uint16) text { return text(strconv.Itoa(int(n))) }
