package pack

import (
	"encoding/binary"
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// Of an exchange or a tally, in the place of a flow's flags.
const (
	l7Tally = 1 << iota
	l7Exchange
	l7Both
	l7Error
	l7ClientSeen
	l7ServerSeen
)

// Which of an exchange's parts follow, and what of them is true.
const (
	hasHTTP = 1 << iota
	hasDNS
	hasTLS
	httpCut
	httpQuery
	tlsResumed
	tlsECH
)

// l7 appends r, of which L7 is set. The order is that of cursor.l7.
func (p *Packer) l7(b []byte, r *flow.Record) []byte {
	l := r.L7
	flags := byte(0)
	set := func(bit byte, on bool) {
		if on {
			flags |= bit
		}
	}
	set(l7Tally, l.Tally != nil)
	set(l7Exchange, l.Exchange != nil)
	set(l7Both, l.Both)
	set(l7Error, l.Error)
	set(l7ClientSeen, l.Client.Seen)
	set(l7ServerSeen, l.Server.Seen)

	b = append(appendHead(b, r, flags), byte(l.Protocol), byte(l.Seen))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Time))
	b = p.endpoint(b, &l.Client)
	b = p.endpoint(b, &l.Server)
	for _, s := range [...]string{l.Method, l.Route, l.Rule, l.TraceID} {
		b = binary.AppendUvarint(b, p.text(s))
	}
	if t := l.Tally; t != nil {
		b = appendCounted(b, &t.Counted)
		for _, n := range [...]uint64{uint64(t.Status), uint64(t.Bucket), t.Count, t.Latency, t.RequestBytes, t.ResponseBytes} {
			b = binary.AppendUvarint(b, n)
		}
	}
	if l.Exchange != nil {
		b = p.exchange(b, r.Time, l.Exchange)
	}
	return b
}

func appendCounted(b []byte, c *flow.Counted) []byte {
	b = append(b, byte(c.Protocol), byte(c.Role))
	b = binary.AppendUvarint(b, c.Cgroup)
	b = binary.AppendUvarint(b, c.Peer)
	b = appendAddrPort(b, netip.AddrPortFrom(c.Remote, c.Port))
	return binary.LittleEndian.AppendUint64(b, uint64(c.Operation)) // a hash: a varint would be longer
}

func (p *Packer) exchange(b []byte, now int64, x *flow.Exchange) []byte {
	parts := byte(0)
	set := func(bit byte, on bool) {
		if on {
			parts |= bit
		}
	}
	set(hasHTTP, x.HTTP != nil)
	set(hasDNS, x.DNS != nil)
	set(hasTLS, x.TLS != nil)
	set(httpCut, x.HTTP != nil && x.HTTP.Cut)
	set(httpQuery, x.HTTP != nil && x.HTTP.Query)
	set(tlsResumed, x.TLS != nil && x.TLS.Resumed)
	set(tlsECH, x.TLS != nil && x.TLS.ECH)

	b = append(b, parts, byte(x.Transport), byte(x.Why))
	b = appendCounted(b, &x.Counted)
	b = binary.AppendUvarint(b, x.Cookie)
	b = binary.LittleEndian.AppendUint64(b, x.ConnID)
	b = binary.AppendUvarint(b, uint64(x.NetNS))
	b = binary.AppendUvarint(b, uint64(x.PID))
	b = appendComm(b, &x.Comm)
	b = appendAddrPort(b, x.Local)
	b = binary.AppendUvarint(b, uint64(x.RemotePort))
	b = binary.AppendUvarint(b, uint64(x.Status))
	b = binary.AppendVarint(b, x.Start-now)
	b = binary.AppendVarint(b, x.Latency)
	b = binary.AppendUvarint(b, x.RequestBytes)
	b = binary.AppendUvarint(b, x.ResponseBytes)
	if h := x.HTTP; h != nil {
		b = append(b, h.Version)
		for _, s := range [...]string{h.Method, h.Path, h.Upgrade, h.Traceparent} {
			b = binary.AppendUvarint(b, p.text(s))
		}
	}
	if d := x.DNS; d != nil {
		b = binary.AppendUvarint(b, p.text(d.Name))
		for _, n := range [...]uint64{uint64(d.ID), uint64(d.Type), uint64(d.Addresses), uint64(d.CNAMEs), uint64(d.TTL), uint64(len(d.Addrs))} {
			b = binary.AppendUvarint(b, n)
		}
		for _, a := range d.Addrs {
			b = appendAddrPort(b, netip.AddrPortFrom(a, 0))
		}
	}
	if h := x.TLS; h != nil {
		b = append(b, h.Alert)
		for _, s := range [...]string{h.ServerName, h.Chosen, h.JA4} {
			b = binary.AppendUvarint(b, p.text(s))
		}
		for _, n := range [...]uint64{uint64(h.Version), uint64(h.Cipher), uint64(len(h.ALPN))} {
			b = binary.AppendUvarint(b, n)
		}
		for _, s := range h.ALPN {
			b = binary.AppendUvarint(b, p.text(s))
		}
	}
	return b
}
