package recordtest

import (
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
)

// Exchange is one of protocol p from Web to a remote server with a DNS name,
// told in full: answered, after 3.2 ms, without a fault.
func Exchange(id uint64, p flow.L7Protocol) flow.Record {
	r := New(id, flow.RecordStart)
	client, server := r.Flow.Client, r.Flow.Server
	server.Addr = netip.AddrPortFrom(server.Addr.Addr(), 8080)
	x := &flow.Exchange{
		Counted: flow.Counted{
			Protocol: p, Role: flow.RoleClient, Cgroup: client.Workload.CgroupID, Remote: server.Addr.Addr(), Port: 8080, Operation: 0xfeed,
		},
		Cookie: client.Cookie, ConnID: 99, NetNS: client.NetNS, PID: client.PID, Comm: client.Comm,
		Local: client.Addr, RemotePort: 8080, Transport: flow.TCP, Why: flow.WhySample,
		Start: r.Time - 3_200_000, Latency: 3_200_000, RequestBytes: 120, ResponseBytes: 4096,
	}
	l := &flow.L7{Protocol: p, Client: client, Server: server, Seen: flow.RoleClient, Exchange: x}
	switch p {
	case flow.HTTP:
		x.Status = 200
		x.HTTP = &flow.HTTPExchange{Method: "GET", Path: "/users/17", Query: true, Version: 11, Traceparent: "00-" + traceID + "-00f067aa0ba902b7-01"}
		l.Method, l.Route, l.Rule, l.TraceID = "GET", "/users/{id}", "collapsed", traceID
	case flow.DNS:
		x.Transport = flow.UDP
		x.DNS = &flow.DNSExchange{
			ID: 7, Name: "cart.shop.example", Type: 1, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")}, Addresses: 2, TTL: 30,
		}
		l.Method, l.Route = "A", "cart.shop.example"
	case flow.TLS:
		x.TLS = &flow.TLSHandshake{
			Version: 0x0304, ServerName: "api.example.com", ALPN: []string{"h2", "http/1.1"}, Cipher: 0x1301, JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1",
		}
		l.Route = "api.example.com"
	}
	return flow.Record{Kind: flow.RecordL7, Time: r.Time, Verdict: flow.VerdictForwarded, L7: l}
}

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// Tally counts n exchanges like x, which is an Exchange's record.
func Tally(x flow.Record, n uint64) flow.Record {
	l := *x.L7
	l.Tally = &flow.Tally{
		Counted: l.Exchange.Counted, Status: l.Exchange.Status, Bucket: flow.BucketOf(l.Exchange.Latency), Count: n,
		Latency: n * uint64(l.Exchange.Latency), RequestBytes: n * l.Exchange.RequestBytes, ResponseBytes: n * l.Exchange.ResponseBytes,
	}
	l.Exchange, l.TraceID = nil, ""
	x.L7 = &l
	x.Time += int64(time.Second)
	return x
}

// AnyL7 draws exchanges and tallies of every shape, with hostile strings in
// them.
func AnyL7() *rapid.Generator[flow.Record] { return rapid.Custom(anyL7) }

func anyL7(t *rapid.T) flow.Record {
	six := rapid.Bool().Draw(t, "six")
	l := &flow.L7{
		Protocol: rapid.SampledFrom([]flow.L7Protocol{flow.HTTP, flow.DNS, flow.TLS}).Draw(t, "protocol"),
		Client:   endpoint(t, "client", six, true), Server: endpoint(t, "server", six, true),
		Seen: rapid.SampledFrom([]flow.Role{flow.RoleClient, flow.RoleServer}).Draw(t, "seen"), Both: rapid.Bool().Draw(t, "both"),
		Method: text(t, "method"), Route: text(t, "route"), Rule: rapid.SampledFrom([]string{"", "collapsed", "learned"}).Draw(t, "rule"),
		Error: rapid.Bool().Draw(t, "error"),
	}
	counted := flow.Counted{
		Protocol: l.Protocol, Role: l.Seen, Cgroup: rapid.Uint64().Draw(t, "cgroup"), Peer: rapid.Uint64().Draw(t, "peer"),
		Remote: address(t, "remote", six, false).Addr(), Port: rapid.Uint16().Draw(t, "port"), Operation: flow.Operation(rapid.Uint64().Draw(t, "operation")),
	}
	status := rapid.OneOf(rapid.Just(uint16(flow.NoAnswer)), rapid.Uint16()).Draw(t, "status")
	r := flow.Record{Kind: flow.RecordL7, Time: instant(t, "time"), Verdict: flow.VerdictForwarded, L7: l}
	if rapid.Bool().Draw(t, "tally") {
		l.Tally = &flow.Tally{
			Counted: counted, Status: status, Bucket: rapid.Uint16().Draw(t, "bucket"), Count: rapid.Uint64().Draw(t, "count"),
			Latency: rapid.Uint64().Draw(t, "latency"), RequestBytes: rapid.Uint64().Draw(t, "request"), ResponseBytes: rapid.Uint64().Draw(t, "response"),
		}
		return r
	}
	l.TraceID = rapid.SampledFrom([]string{"", traceID}).Draw(t, "trace")
	x := &flow.Exchange{
		Counted: counted, Cookie: rapid.Uint64().Draw(t, "cookie"), ConnID: rapid.Uint64().Draw(t, "conn"), NetNS: rapid.Uint32().Draw(t, "netns"),
		PID: rapid.Uint32().Draw(t, "pid"), Comm: flow.MakeComm(rapid.SampledFrom([]string{"", "curl", "\x1b]0;x"}).Draw(t, "comm")),
		Local: address(t, "local", six, true), RemotePort: rapid.Uint16().Draw(t, "rport"),
		Transport: rapid.SampledFrom([]flow.Protocol{flow.TCP, flow.UDP}).Draw(t, "transport"), Status: status,
		Why:   rapid.SampledFrom([]flow.Why{flow.WhyNew, flow.WhyError, flow.WhySlow, flow.WhySample}).Draw(t, "why"),
		Start: instant(t, "start"), Latency: rapid.Int64Range(0, 1<<40).Draw(t, "latency"),
		RequestBytes: rapid.Uint64().Draw(t, "request"), ResponseBytes: rapid.Uint64().Draw(t, "response"),
	}
	l.Exchange = x
	switch l.Protocol {
	case flow.HTTP:
		x.HTTP = anyHTTP(t)
	case flow.DNS:
		x.DNS = anyDNS(t)
	case flow.TLS:
		x.TLS = anyTLS(t)
	}
	return r
}

func anyHTTP(t *rapid.T) *flow.HTTPExchange {
	path := rapid.SampledFrom([]string{
		"", "*", "/", "/users/17", "/%zz/%2", "/a%20b%2f", "/\x1b[2J", "//x/../y", "db.example.com:443", "/日本?#", `/"<>\^{|}` + "`", "http://x/y", "/\u009b",
	})
	return &flow.HTTPExchange{
		Method: rapid.SampledFrom([]string{"GET", "CONNECT", "", "\x1b]0;x"}).Draw(t, "hmethod"), Path: path.Draw(t, "path"),
		Cut: rapid.Bool().Draw(t, "cut"), Query: rapid.Bool().Draw(t, "query"), Version: rapid.SampledFrom([]uint8{10, 11}).Draw(t, "version"),
		Upgrade:     rapid.SampledFrom([]string{"", "websocket", "h2c"}).Draw(t, "upgrade"),
		Traceparent: rapid.SampledFrom([]string{"", "00-" + traceID + "-00f067aa0ba902b7-01"}).Draw(t, "traceparent"),
	}
}

func anyDNS(t *rapid.T) *flow.DNSExchange {
	d := &flow.DNSExchange{
		ID: rapid.Uint16().Draw(t, "id"), Name: text(t, "qname"), Type: rapid.Uint16().Draw(t, "qtype"),
		Addresses: rapid.Uint16().Draw(t, "addresses"), CNAMEs: rapid.Uint16().Draw(t, "cnames"), TTL: rapid.Uint32().Draw(t, "ttl"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "answers") {
		d.Addrs = append(d.Addrs, address(t, "answer", rapid.Bool().Draw(t, "answer6"), false).Addr())
	}
	return d
}

func anyTLS(t *rapid.T) *flow.TLSHandshake {
	h := &flow.TLSHandshake{
		Version: rapid.SampledFrom([]uint16{0, 0x0300, 0x0301, 0x0303, 0x0304, 0x7f1c}).Draw(t, "tversion"), ServerName: text(t, "sni"),
		Chosen: text(t, "chosen"), Cipher: rapid.SampledFrom([]uint16{0, 0x1301, 0xc02f, 0xfafa}).Draw(t, "cipher"), Alert: rapid.Byte().Draw(t, "alert"),
		Resumed: rapid.Bool().Draw(t, "resumed"), ECH: rapid.Bool().Draw(t, "ech"), JA4: text(t, "ja4"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "protocols") {
		h.ALPN = append(h.ALPN, text(t, "alpn"))
	}
	return h
}
