package bpf

import (
	"bytes"

	"github.com/seed79351815/weir/collector/flow"
)

// exchange makes what every exchange has.
func (d *decoder) exchange(r *sharedExchangeReport) *flow.Exchange {
	return &flow.Exchange{
		Counted: counted(&r.Key), Cookie: r.Cookie, ConnID: r.Conn, NetNS: r.Netns, PID: r.Pid, Comm: flow.Comm(r.Comm),
		Local: addrPort(&r.Local), RemotePort: r.RemotePort, Transport: flow.Protocol(r.Transport),
		Status: r.Key.Status, Why: flow.Why(r.Why),
		Start: int64(r.Start) + d.monotonic, Latency: int64(r.Value.Latency),
		RequestBytes: r.Value.RequestBytes, ResponseBytes: r.Value.ResponseBytes,
	}
}

// httpMethods are the methods by enum http1_method; others are told by their
// first eight bytes.
var httpMethods = [...]string{"", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func httpMethod(e *sharedHttpEvent) string {
	if e.Method != 0 && int(e.Method) < len(httpMethods) {
		return httpMethods[e.Method]
	}
	if e.PathLen == 0 {
		return "" // what is there is of another request
	}
	return string(bytes.TrimRight(e.MethodText[:], "\x00"))
}

func httpExchange(e *sharedHttpEvent) *flow.HTTPExchange {
	asked, answered := httpHttp1Mark(e.RequestMarks), httpHttp1Mark(e.ResponseMarks)
	h := &flow.HTTPExchange{
		Method: httpMethod(e), Path: string(e.Path[:min(int(e.PathLen), len(e.Path))]),
		// The kernel keeps no more than that, and does not tell a path of just this length from a longer one.
		Cut:   int(e.PathLen) >= len(e.Path),
		Query: asked&httpHttp1MarkHTTP1QUERY != 0, Version: 10,
		Traceparent: string(e.Trace[:min(int(e.TraceLen), len(e.Trace))]),
	}
	if asked&httpHttp1MarkHTTP1VERSION_1 != 0 {
		h.Version = 11
	}
	if e.Exchange.Key.Status == 101 && answered != 0 {
		switch {
		case asked&httpHttp1MarkHTTP1WEBSOCKET != 0:
			h.Upgrade = "websocket"
		case asked&httpHttp1MarkHTTP1H2C != 0:
			h.Upgrade = "h2c"
		}
	}
	return h
}
