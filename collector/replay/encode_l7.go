package replay

import (
	"strconv"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

func encodeTally(t *flow.Tally) *wireTally {
	return &wireTally{encodeCounted(&t.Counted), t.Status, t.Bucket, t.Count, t.Latency, t.RequestBytes, t.ResponseBytes}
}

func encodeCounted(c *flow.Counted) wireCounted {
	w := wireCounted{Protocol: c.Protocol, Role: c.Role, Cgroup: c.Cgroup, Peer: c.Peer, Port: c.Port, Operation: hexText(uint64(c.Operation))}
	if c.Remote.IsValid() {
		w.Remote = c.Remote.WithZone("").String()
	}
	return w
}

func encodeExchange(x *flow.Exchange) *wireExchange {
	w := &wireExchange{
		wireCounted: encodeCounted(&x.Counted), Cookie: x.Cookie, ConnID: hexText(x.ConnID), NetNS: x.NetNS, PID: x.PID,
		Comm: text(x.Comm.String()), Local: addrPortText(x.Local), RemotePort: x.RemotePort, Transport: x.Transport,
		Status: x.Status, Why: x.Why, Start: x.Start, Latency: x.Latency, Request: x.RequestBytes, Response: x.ResponseBytes,
	}
	if h := x.HTTP; h != nil {
		// Events have none, but this is the last place to make sure of it.
		path, _, query := strings.Cut(h.Path, "?")
		w.HTTP = &wireHTTP{text(h.Method), text(path), h.Cut, h.Query || query, h.Version, text(h.Upgrade), text(h.Traceparent)}
	}
	if d := x.DNS; d != nil {
		w.DNS = &wireLookup{d.ID, text(d.Name), d.Type, addrTexts(d.Addrs), d.Addresses, d.CNAMEs, d.TTL}
	}
	if t := x.TLS; t != nil {
		w.TLS = &wireTLS{
			t.Version, text(t.ServerName), texts(t.ALPN), text(t.Chosen), t.Cipher, t.Alert, t.Resumed, t.ECH, text(t.JA4),
		}
	}
	return w
}

// hexText is empty for 0.
func hexText(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 16)
}
