package otel

import (
	"crypto/tls"
	"net/netip"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// otherMethod stands for every method that OpenTelemetry does not know.
const otherMethod = "_OTHER"

// Recordings of other makers may lack what belongs to the protocol.
func httpOf(l *flow.L7) *flow.HTTPExchange {
	if h := l.Exchange.HTTP; h != nil {
		return h
	}
	return &flow.HTTPExchange{}
}

func dnsOf(l *flow.L7) *flow.DNSExchange {
	if d := l.Exchange.DNS; d != nil {
		return d
	}
	return &flow.DNSExchange{}
}

func tlsOf(l *flow.L7) *flow.TLSHandshake {
	if h := l.Exchange.TLS; h != nil {
		return h
	}
	return &flow.TLSHandshake{}
}

// httpName is "{method} {route}"; without a route the method alone, never the path.
func httpName(l *flow.L7) string {
	method := knownMethod(l.Method)
	if method == otherMethod {
		method = "HTTP"
	}
	if l.Route == "" || l.Method == "CONNECT" {
		return method
	}
	return method + " " + clean(l.Route)
}

// knownMethod is the method as it is written, where OpenTelemetry knows it.
func knownMethod(m string) string {
	switch m {
	case "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY":
		return m
	}
	return otherMethod
}

// method is the exchange's own where the operation's is not known.
func method(l *flow.L7) string {
	if m := httpOf(l).Method; m != "" {
		return m
	}
	return l.Method
}

func httpMethod(l *flow.L7) value { return text(knownMethod(method(l))) }

func httpMethodOriginal(l *flow.L7) value {
	if m := method(l); knownMethod(m) == otherMethod {
		return text(m)
	}
	return value{}
}

func httpStatus(l *flow.L7) value {
	if l.Exchange.Status == flow.NoAnswer {
		return value{}
	}
	return some(uint64(l.Exchange.Status))
}

func httpRoute(l *flow.L7) value {
	if l.Method == "CONNECT" {
		return value{}
	}
	return text(l.Route)
}

// urlPath is empty for CONNECT, whose target is no path.
func urlPath(l *flow.L7) value {
	if method(l) == "CONNECT" {
		return value{}
	}
	path, _, _ := strings.Cut(httpOf(l).Path, "?")
	return text(path)
}

// urlFull is made of what is known: without user information, and without the
// query, which is never kept.
func urlFull(l *flow.L7) value {
	path := httpOf(l).Path
	if path == "" || method(l) == "CONNECT" {
		return value{}
	}
	path, _, _ = strings.Cut(path, "?")
	if !strings.HasPrefix(path, "/") {
		if path != "*" {
			return text(withoutUser(path)) // to a proxy: it is the whole of it
		}
		path = ""
	}
	host := serverAddress(l).String()
	if host == "" {
		return value{}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if l.Exchange.Port == 80 {
		return text("http://" + host + path)
	}
	return text("http://" + host + ":" + decimal(l.Exchange.Port) + path)
}

// withoutUser takes the user information out of an absolute URL.
func withoutUser(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url[strings.LastIndexByte(url, '@')+1:]
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	return scheme + "://" + authority[strings.LastIndexByte(authority, '@')+1:] + path
}

func urlScheme(l *flow.L7) value { return text("http") }

func httpVersion(l *flow.L7) value {
	switch httpOf(l).Version {
	case 10:
		return text("1.0")
	case 11:
		return text("1.1")
	}
	return value{}
}

func httpUpgrade(l *flow.L7) value { return text(httpOf(l).Upgrade) }

// dnsName is of few words: the question itself is an attribute.
func dnsName(l *flow.L7) string { return strings.TrimSpace("DNS " + clean(dnsType(l))) }

func dnsType(l *flow.L7) string {
	if l.Exchange.DNS == nil {
		return l.Method
	}
	return l7.TypeName(l.Exchange.DNS.Type)
}

func dnsAnswers(l *flow.L7) value {
	var list []string
	for _, a := range dnsOf(l).Addrs {
		list = append(list, a.String())
	}
	return texts(list)
}

func dnsCode(l *flow.L7) value {
	if l.Exchange.Status == flow.NoAnswer {
		return value{}
	}
	return text(l7.Of(flow.DNS).Status(l.Exchange.Status))
}

func tlsName(*flow.L7) string { return "TLS handshake" }

// tlsServer is the name that the client asked for, else as for every protocol.
func tlsServer(l *flow.L7) value {
	if v := text(tlsOf(l).ServerName); v.kind != absent {
		return v
	}
	return serverAddress(l)
}

func tlsVersion(l *flow.L7) value {
	switch v := tlsOf(l).Version; v {
	case tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13:
		return text("1." + decimal(v-tls.VersionTLS10))
	}
	return value{}
}

func tlsCipher(l *flow.L7) value {
	if c := tlsOf(l).Cipher; c != 0 {
		return text(tls.CipherSuiteName(c))
	}
	return value{}
}

// networkType is "ipv4" or "ipv6".
func networkType(a netip.Addr) value {
	switch {
	case !a.IsValid():
		return value{}
	case a.Unmap().Is4():
		return text("ipv4")
	}
	return text("ipv6")
}
