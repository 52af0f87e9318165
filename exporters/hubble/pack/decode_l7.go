package pack

import "github.com/seed79351815/weir/collector/flow"

// l7 reads what Packer.l7 wrote, up to the time of which record has read.
func (c *cursor) l7(r *flow.Record, b *Batch, flags byte) {
	l := &flow.L7{Protocol: flow.L7Protocol(c.byte()), Seen: flow.Role(c.byte()), Both: flags&l7Both != 0, Error: flags&l7Error != 0}
	r.Time = int64(c.fixed())
	c.endpoint(&l.Client, b)
	c.endpoint(&l.Server, b)
	l.Client.Seen, l.Server.Seen = flags&l7ClientSeen != 0, flags&l7ServerSeen != 0
	for _, s := range [...]*string{&l.Method, &l.Route, &l.Rule, &l.TraceID} {
		*s = c.text(b)
	}
	if flags&l7Tally != 0 {
		l.Tally = &flow.Tally{
			Counted: c.counted(), Status: uint16(c.uvarint()), Bucket: uint16(c.uvarint()), Count: c.uvarint(), Latency: c.uvarint(),
			RequestBytes: c.uvarint(), ResponseBytes: c.uvarint(),
		}
	}
	if flags&l7Exchange != 0 {
		l.Exchange = c.exchange(r.Time, b)
	}
	r.L7 = l
}

func (c *cursor) counted() flow.Counted {
	n := flow.Counted{Protocol: flow.L7Protocol(c.byte()), Role: flow.Role(c.byte()), Cgroup: c.uvarint(), Peer: c.uvarint()}
	remote := c.addrPort()
	n.Remote, n.Port, n.Operation = remote.Addr(), remote.Port(), flow.Operation(c.fixed())
	return n
}

func (c *cursor) exchange(now int64, b *Batch) *flow.Exchange {
	parts := c.byte()
	x := &flow.Exchange{
		Transport: flow.Protocol(c.byte()), Why: flow.Why(c.byte()), Counted: c.counted(), Cookie: c.uvarint(), ConnID: c.fixed(),
		NetNS: uint32(c.uvarint()), PID: uint32(c.uvarint()), Comm: c.comm(), Local: c.addrPort(), RemotePort: uint16(c.uvarint()),
		Status: uint16(c.uvarint()), Start: now + c.varint(), Latency: c.varint(), RequestBytes: c.uvarint(), ResponseBytes: c.uvarint(),
	}
	if parts&hasHTTP != 0 {
		x.HTTP = &flow.HTTPExchange{
			Version: c.byte(), Method: c.text(b), Path: c.text(b), Upgrade: c.text(b), Traceparent: c.text(b),
			Cut: parts&httpCut != 0, Query: parts&httpQuery != 0,
		}
	}
	if parts&hasDNS != 0 {
		x.DNS = c.dns(b)
	}
	if parts&hasTLS != 0 {
		x.TLS = c.tls(b)
		x.TLS.Resumed, x.TLS.ECH = parts&tlsResumed != 0, parts&tlsECH != 0
	}
	return x
}

func (c *cursor) dns(b *Batch) *flow.DNSExchange {
	d := &flow.DNSExchange{
		Name: c.text(b), ID: uint16(c.uvarint()), Type: uint16(c.uvarint()), Addresses: uint16(c.uvarint()),
		CNAMEs: uint16(c.uvarint()), TTL: uint32(c.uvarint()),
	}
	for range c.count() {
		d.Addrs = append(d.Addrs, c.addrPort().Addr())
	}
	return d
}

func (c *cursor) tls(b *Batch) *flow.TLSHandshake {
	h := &flow.TLSHandshake{
		Alert: c.byte(), ServerName: c.text(b), Chosen: c.text(b), JA4: c.text(b),
		Version: uint16(c.uvarint()), Cipher: uint16(c.uvarint()),
	}
	for range c.count() {
		h.ALPN = append(h.ALPN, c.text(b))
	}
	return h
}
