package prom

import (
	"strings"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// fold takes what is told of exchanges: a Tally counts them, an Exchange is
// one of those that a Tally counts, told in full, and must not be counted again.
func (s *store) fold(l *flow.L7, now time.Time) {
	p := s.exchanges.between(l.Client.Workload, l.Server.Workload, l7Label(l.Protocol), now)
	if x := l.Exchange; x != nil {
		s.add(p, mShown, whyLabel(x.Why), 1, now)
	}
	t := l.Tally
	if t == nil {
		return
	}
	s.add(p, mL7Bytes, "sent", t.RequestBytes, now)
	s.add(p, mL7Bytes, "received", t.ResponseBytes, now)
	switch l.Protocol {
	case flow.HTTP:
		method := methodLabel(l.Method)
		route := routeLabel(method, l.Route)
		if l.Both || l.Seen == flow.RoleServer {
			s.tally(p, operationKey{mHTTPServer, method, route, bounded(mHTTPServer, t.Status)}, t, now)
		}
		if l.Both || l.Seen != flow.RoleServer {
			s.tally(p, operationKey{mHTTPClient, method, route, bounded(mHTTPClient, t.Status)}, t, now)
		}
	case flow.DNS:
		s.tally(p, operationKey{mDNS, questionType(l.Method), questionName(l.Route), bounded(mDNS, t.Status)}, t, now)
	case flow.TLS:
		s.tally(p, operationKey{mTLS, "", clean(l.Route), bounded(mTLS, t.Status)}, t, now)
	}
}

// values are the label values of an operation of p, in the table's order.
func (k operationKey) values(p *pair) []string {
	v := p.ends(len(metrics[k.metric].labels))
	status := statusLabel(k.metric, k.status)
	switch k.metric {
	case mDNS:
		return append(v, k.name, k.method, status, errorLabel(k.metric, k.status))
	case mTLS:
		return append(v, k.name, outcomeLabel(k.status))
	}
	return append(v, k.method, status, k.name, errorLabel(k.metric, k.status))
}

// l7Label is the protocol's name; what weir does not read shares one.
func l7Label(p flow.L7Protocol) string {
	if s := p.String(); s != "" {
		return s
	}
	return other
}

func whyLabel(w flow.Why) string {
	if s := w.String(); s != "" {
		return s
	}
	return other
}

// methodLabel is OpenTelemetry's http.request.method: those that it knows, as
// they are written, and _OTHER for whatever else a client may send.
func methodLabel(method string) string {
	switch method {
	case "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY":
		return method
	}
	return "_OTHER"
}

// routeLabel is the route's template. That of CONNECT is an address, which is
// never a label.
func routeLabel(method, route string) string {
	if method == "CONNECT" {
		return ""
	}
	return clean(route)
}

// questionType is the name of a type that applications ask for.
func questionType(t string) string {
	switch t {
	case "A", "AAAA", "ANY", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SVCB", "TLSA", "TXT":
		return t
	}
	return other
}

// questionName is the name asked for. Those below the reverse trees are
// addresses, which are never labels: each tree counts as one name.
func questionName(name string) string {
	for _, tree := range [...]string{"in-addr.arpa", "ip6.arpa"} {
		if name == tree || strings.HasSuffix(name, "."+tree) {
			return tree
		}
	}
	return clean(name)
}
