package prom

import (
	"slices"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// fold takes what is told of exchanges: a Tally counts them, an Exchange is
// one of those that a Tally counts, told in full, and must not be counted again.
func (s *store) fold(l *flow.L7, now time.Time) {
	p := s.exchanges.between(l.Client.Workload, l.Server.Workload, uint8(l.Protocol), now)
	if x := l.Exchange; x != nil {
		s.add(p, mShown, whyLabel(x.Why), 1, now)
		if l.TraceID != "" {
			keys, n := s.keys(l, x.Status)
			for _, k := range keys[:n] {
				s.exemplify(p, k, x, l.TraceID, now)
			}
		}
	}
	t := l.Tally
	if t == nil {
		return
	}
	s.count(p, oRequests, t.RequestBytes, now)
	s.count(p, oAnswers, t.ResponseBytes, now)
	keys, n := s.keys(l, t.Status)
	for _, k := range keys[:n] {
		s.tally(p, k, t, now)
	}
}

// keys are the n histograms that an exchange with this status belongs to.
func (s *store) keys(l *flow.L7, status uint16) (keys [2]operationKey, n int) {
	add := func(m id, method, name string) {
		keys[n] = operationKey{m, method, name, bounded(m, status)}
		n++
	}
	switch l.Protocol {
	case flow.HTTP:
		method := methodLabel(l.Method)
		route := s.labels.keep("http_route", routeLabel(method, l.Route))
		method = s.labels.keep("http_request_method", method)
		if l.Both || l.Seen == flow.RoleServer {
			add(mHTTPServer, method, route)
		}
		if l.Both || l.Seen != flow.RoleServer {
			add(mHTTPClient, method, route)
		}
	case flow.DNS:
		add(mDNS, s.labels.keep("dns_question_type", questionType(l.Method)),
			s.labels.keep("dns_question_name", clean(l7.QuestionName(l.Route))))
	case flow.TLS:
		add(mTLS, "", s.labels.keep("server_name", clean(l.Route)))
	}
	return keys, n
}

// values are the label values of an operation of p, in the table's order.
func (k operationKey) values(p *pair) []string {
	v := slices.Clone(p.ends)
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
