package replay

import (
	"strconv"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

func (w *wireCounted) decode(c *flow.Counted) (err error) {
	switch {
	case !known(w.Protocol):
		return wrong(`"l7"`, "protocol %d: unknown to this weir: read the recording with the weir that made it, or a newer one", w.Protocol)
	case w.Role != flow.RoleClient && w.Role != flow.RoleServer:
		return wrong(`"role"`, "role %d: it must be that of the client or the server", w.Role)
	}
	if w.Remote != "" {
		remote, err := addrs([]string{w.Remote})
		if err != nil {
			return err
		}
		c.Remote = remote[0]
	}
	operation, err := hexNumber("operation", w.Operation)
	c.Protocol, c.Role, c.Cgroup, c.Peer, c.Port, c.Operation = w.Protocol, w.Role, w.Cgroup, w.Peer, w.Port, flow.Operation(operation)
	return err
}

func known(p flow.L7Protocol) bool { return p != flow.L7None && p < flow.L7Protocols }

func (w *wireTally) decode() (*flow.Tally, error) {
	t := &flow.Tally{
		Status: w.Status, Bucket: w.Bucket, Count: w.Count, Latency: w.Latency, RequestBytes: w.Request, ResponseBytes: w.Response,
	}
	if last := flow.BucketOf(maxTime); w.Bucket > last {
		return nil, wrong(`"bucket"`, "bucket %d: the last is %d", w.Bucket, last)
	}
	return t, w.wireCounted.decode(&t.Counted)
}

func (w *wireExchange) decode() (*flow.Exchange, error) {
	x := &flow.Exchange{
		Cookie: w.Cookie, NetNS: w.NetNS, PID: w.PID, Comm: flow.MakeComm(string(w.Comm)), RemotePort: w.RemotePort, Transport: w.Transport,
		Status: w.Status, Why: w.Why, Start: w.Start, Latency: w.Latency, RequestBytes: w.Request, ResponseBytes: w.Response,
	}
	if err := w.wireCounted.decode(&x.Counted); err != nil {
		return nil, err
	}
	var err error
	if x.Local, err = addrPort(w.Local); err != nil {
		return nil, err
	}
	if x.ConnID, err = hexNumber("connection id", w.ConnID); err != nil {
		return nil, err
	}
	if err := checkComm(w.Comm); err != nil {
		return nil, err
	}
	switch {
	case w.Transport != flow.TCP && w.Transport != flow.UDP:
		return nil, wrong(`"proto"`, "transport %d: it must be TCP or UDP", w.Transport)
	case w.Why < flow.WhyNew || w.Why > flow.WhySample:
		return nil, wrong(`"why"`, "why %d: unknown", w.Why)
	case w.Start < 0 || w.Start >= maxTime:
		return nil, wrong(`"start"`, "start %d: it must be nanoseconds since 1970", w.Start)
	case w.Latency < 0 || w.Latency >= maxTime:
		return nil, wrong(`"latency"`, "latency %d: it must be nanoseconds, and not negative", w.Latency)
	case (w.HTTP != nil) != (w.Protocol == flow.HTTP), (w.DNS != nil) != (w.Protocol == flow.DNS), (w.TLS != nil) != (w.Protocol == flow.TLS):
		// Who reads an exchange goes by its protocol.
		return nil, wrong(`"l7"`, "exchange of protocol %v: it must have what that protocol tells, and nothing of another", w.Protocol)
	case w.HTTP != nil:
		x.HTTP, err = w.HTTP.decode()
	case w.DNS != nil:
		x.DNS, err = w.DNS.decode()
	case w.TLS != nil:
		x.TLS, err = w.TLS.decode()
	}
	return x, err
}

func (w *wireHTTP) decode() (*flow.HTTPExchange, error) {
	if err := bounded(w.Method, w.Path, w.Upgrade, w.Traceparent); err != nil {
		return nil, err
	}
	switch {
	case strings.Contains(string(w.Path), "?"):
		return nil, wrong(`"path"`, "path with a query: a recording has none")
	case w.Version != 10 && w.Version != 11:
		return nil, wrong(`"version"`, "HTTP version %d: it must be 10 or 11", w.Version)
	}
	return &flow.HTTPExchange{
		Method: string(w.Method), Path: string(w.Path), Cut: w.Cut, Query: w.Query, Version: w.Version,
		Upgrade: string(w.Upgrade), Traceparent: string(w.Traceparent),
	}, nil
}

func (w *wireLookup) decode() (*flow.DNSExchange, error) {
	if err := bounded(w.Name); err != nil {
		return nil, err
	}
	if len(w.Addrs) > maxList {
		return nil, wrong(`"addrs"`, "%d addresses: there are at most %d", len(w.Addrs), maxList)
	}
	list, err := addrs(w.Addrs)
	return &flow.DNSExchange{
		ID: w.ID, Name: string(w.Name), Type: w.Type, Addrs: list, Addresses: w.Addresses, CNAMEs: w.CNAMEs, TTL: w.TTL,
	}, err
}

func (w *wireTLS) decode() (*flow.TLSHandshake, error) {
	if len(w.ALPN) > maxList {
		return nil, wrong(`"alpn"`, "%d protocols offered: there are at most %d", len(w.ALPN), maxList)
	}
	if err := bounded(append([]text{w.ServerName, w.Chosen, w.JA4}, w.ALPN...)...); err != nil {
		return nil, err
	}
	return &flow.TLSHandshake{
		Version: w.Version, ServerName: string(w.ServerName), ALPN: stringsOf(w.ALPN), Chosen: string(w.Chosen), Cipher: w.Cipher,
		Alert: w.Alert, Resumed: w.Resumed, ECH: w.ECH, JA4: string(w.JA4),
	}, nil
}

// checkUnseen checks what the last line says was not read.
func (w *wireStats) checkUnseen() error {
	if len(w.Unseen) > maxUnseen {
		return wrong(`"unseen"`, "%d reasons why something was not seen: there are at most %d", len(w.Unseen), maxUnseen)
	}
	for _, u := range w.Unseen {
		if u.Protocol >= flow.L7Protocols {
			return wrong(`"unseen"`, "protocol %d: unknown to this weir: read the recording with the weir that made it, or a newer one", u.Protocol)
		}
		if err := bounded(u.Reason); err != nil {
			return err
		}
	}
	return nil
}

func bounded(ts ...text) error {
	for _, t := range ts {
		if len(t) > maxString {
			return wrong("", "text of %d bytes: it has at most %d", len(t), maxString)
		}
	}
	return nil
}

func checkComm(t text) error {
	if len(t) >= len(flow.Comm{}) || strings.ContainsRune(string(t), 0) {
		return wrong(`"comm"`, "command name of %d bytes: it has at most 15, none of them NUL", len(t))
	}
	return nil
}

// hexNumber is 0 for an empty text.
func hexNumber(what, s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0, wrong(s, "%s %q: it must be a hexadecimal number of 64 bits", what, s)
	}
	return n, nil
}
