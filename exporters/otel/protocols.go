package otel

import (
	"slices"
	"strconv"

	"github.com/seed79351815/weir/collector/flow"
)

// end is the end of an exchange that a span is of.
type end uint8

const (
	clientEnd end = 1 << iota
	serverEnd
	bothEnds = clientEnd | serverEnd
)

// protocol says what the spans of a protocol's exchanges tell, beside what those of
// all protocols do (everySpan). A protocol that weir learns to read gets a row in
// protocols and a table like those below.
type protocol struct {
	name           func(*flow.L7) string // of the span, of few different words
	rows           []row
	client, server []row // those of each end, and everySpan's
}

// row is an attribute: its name, the spans that have it, and where its value is
// found. A value that is not known is absent, and the attribute is left out.
type row struct {
	key   string
	ends  end
	value func(*flow.L7) value
}

var protocols = [flow.L7Protocols]protocol{
	flow.HTTP: newProtocol(httpName, httpRows),
	flow.DNS:  newProtocol(dnsName, dnsRows),
	flow.TLS:  newProtocol(tlsName, tlsRows),
}

func newProtocol(name func(*flow.L7) string, rows []row) protocol {
	p := protocol{name: name, rows: rows}
	for _, r := range slices.Concat(rows, everySpan) {
		if r.ends&clientEnd != 0 {
			p.client = append(p.client, r)
		}
		if r.ends&serverEnd != 0 {
			p.server = append(p.server, r)
		}
	}
	return p
}

// of is the rows of an end's spans.
func (p *protocol) of(e end) []row {
	if e == serverEnd {
		return p.server
	}
	return p.client
}

// protocolOf is the protocol's row; nil for one that weir does not read.
func protocolOf(p flow.L7Protocol) *protocol {
	if int(p) >= len(protocols) || protocols[p].name == nil {
		return nil
	}
	return &protocols[p]
}

// httpRows are OpenTelemetry's "HTTP spans". The query is never told.
var httpRows = []row{
	{keyHTTPMethod, bothEnds, httpMethod},
	{keyHTTPMethodOriginal, bothEnds, httpMethodOriginal},
	{keyHTTPStatus, bothEnds, httpStatus},
	{keyHTTPRoute, serverEnd, httpRoute},
	{keyURLTemplate, clientEnd, httpRoute},
	{keyURLFull, clientEnd, urlFull},
	{keyURLPath, serverEnd, urlPath},
	{keyURLScheme, serverEnd, urlScheme},
	{keyServerAddress, bothEnds, serverAddress},
	{keyServerPort, bothEnds, serverPort},
	{keyClientAddress, serverEnd, clientAddress},
	{keyClientPort, serverEnd, clientPort},
	{keyNetProtocol, bothEnds, constant("http")},
	{keyNetVersion, bothEnds, httpVersion},
	{keyHTTPUpgrade, bothEnds, httpUpgrade},
}

// dnsRows are OpenTelemetry's registry "DNS".
var dnsRows = []row{
	{keyDNSQuestion, bothEnds, func(l *flow.L7) value { return text(dnsOf(l).Name) }},
	{keyDNSType, bothEnds, func(l *flow.L7) value { return text(dnsType(l)) }},
	{keyDNSAnswers, bothEnds, dnsAnswers},
	{keyDNSCode, bothEnds, dnsCode},
	{keyServerAddress, bothEnds, serverAddress},
	{keyServerPort, bothEnds, serverPort},
	{keyNetProtocol, bothEnds, constant("dns")},
}

// tlsRows are OpenTelemetry's registry "TLS".
var tlsRows = []row{
	{keyServerAddress, bothEnds, tlsServer},
	{keyServerPort, bothEnds, serverPort},
	{keyTLSProtocol, bothEnds, constant("tls")},
	{keyTLSVersion, bothEnds, tlsVersion},
	{keyTLSCipher, bothEnds, tlsCipher},
	{keyTLSNext, bothEnds, func(l *flow.L7) value { return text(tlsOf(l).Chosen) }},
	{keyTLSResumed, bothEnds, func(l *flow.L7) value { return truth(tlsOf(l).Resumed) }},
	{keyTLSEstablished, bothEnds, func(l *flow.L7) value { return truth(l.Exchange.Status == 0) }},
	{keyTLSJA4, bothEnds, func(l *flow.L7) value { return text(tlsOf(l).JA4) }},
	{keyTLSOffered, bothEnds, func(l *flow.L7) value { return texts(tlsOf(l).ALPN) }},
	{keyTLSECH, bothEnds, func(l *flow.L7) value { return onlyTrue(tlsOf(l).ECH) }},
}

// everySpan is what the spans of all protocols tell.
var everySpan = []row{
	{keyNetTransport, bothEnds, func(l *flow.L7) value { return text(l.Exchange.Transport.String()) }},
	{keyNetType, bothEnds, func(l *flow.L7) value { return networkType(l.Exchange.Local.Addr()) }},
	{keyNetPeerAddress, clientEnd, func(l *flow.L7) value { return address(l.Server.Addr) }},
	{keyNetPeerPort, clientEnd, func(l *flow.L7) value { return port(l.Server.Addr) }},
	{keyNetPeerAddress, serverEnd, func(l *flow.L7) value { return address(l.Client.Addr) }},
	{keyNetPeerPort, serverEnd, func(l *flow.L7) value { return port(l.Client.Addr) }},
	{keyPeerName, clientEnd, func(l *flow.L7) value { return peerName(l.Server.Workload) }},
	{keyPeerNamespace, clientEnd, func(l *flow.L7) value { return peerNamespace(l.Server.Workload) }},
	{keyPeerName, serverEnd, func(l *flow.L7) value { return peerName(l.Client.Workload) }},
	{keyPeerNamespace, serverEnd, func(l *flow.L7) value { return peerNamespace(l.Client.Workload) }},
	{keyProcessPID, clientEnd, func(l *flow.L7) value { return some(uint64(l.Client.PID)) }},
	{keyProcessCommand, clientEnd, func(l *flow.L7) value { return text(l.Client.Comm.String()) }},
	{keyProcessPID, serverEnd, func(l *flow.L7) value { return some(uint64(l.Server.PID)) }},
	{keyProcessCommand, serverEnd, func(l *flow.L7) value { return text(l.Server.Comm.String()) }},
	{keyVia, clientEnd, func(l *flow.L7) value { return text(l.Server.Via) }},
	{keyVia, serverEnd, func(l *flow.L7) value { return text(l.Client.Via) }},
	{keyRequestBytes, bothEnds, func(l *flow.L7) value { return some(l.Exchange.RequestBytes) }},
	{keyResponseBytes, bothEnds, func(l *flow.L7) value { return some(l.Exchange.ResponseBytes) }},
	{keyWhy, bothEnds, func(l *flow.L7) value { return text(l.Exchange.Why.String()) }},
}

// constant is a value that all spans of a protocol have.
func constant(s string) func(*flow.L7) value {
	return func(*flow.L7) value { return text(s) }
}

func peerName(w *flow.Workload) value {
	if w == nil {
		return value{}
	}
	name, _ := serviceName(w)
	return text(name)
}

func peerNamespace(w *flow.Workload) value {
	if w == nil {
		return value{}
	}
	return text(w.Namespace)
}

// serverAddress is the name by which the client found the server, else its address.
func serverAddress(l *flow.L7) value {
	if len(l.Server.Names) > 0 {
		return text(l.Server.Names[0])
	}
	return address(l.Server.Addr)
}

func serverPort(l *flow.L7) value    { return some(uint64(l.Exchange.Port)) }
func clientAddress(l *flow.L7) value { return address(l.Client.Addr) }
func clientPort(l *flow.L7) value    { return port(l.Client.Addr) }

// decimal is what strconv gives.
func decimal(n uint16) string { return strconv.Itoa(int(n)) }
