package bpf

import (
	"net/netip"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

func dnsExchange(e *sharedLookupEvent) *flow.DNSExchange {
	x := &flow.DNSExchange{
		ID: e.Id, Name: wireName(e.Name[:min(int(e.NameLen), len(e.Name))]), Type: e.Type,
		Addresses: e.Addresses, CNAMEs: e.Aliases,
	}
	if e.Ttl != ^uint32(0) {
		x.TTL = e.Ttl
	}
	if n := min(int(e.Addresses), len(e.Address)); n > 0 {
		x.Addrs = make([]netip.Addr, n)
		for i := range x.Addrs {
			x.Addrs[i] = netip.AddrFrom16(e.Address[i]).Unmap()
		}
	}
	return x
}

// wireName turns a name's wire form (RFC 1035 §3.1) into text without the final
// dot; the root is "". Dots and backslashes inside of a label get a backslash, what is no
// printable ASCII is written as its three decimal digits (§5.1): no two names look
// alike, and nothing that a peer made up reaches a terminal.
func wireName(wire []byte) string {
	var b strings.Builder
	for len(wire) > 0 && wire[0] != 0 && int(wire[0]) < len(wire) {
		end := 1 + int(wire[0])
		label := wire[1:end]
		wire = wire[end:]
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		for _, c := range label {
			writeLabelByte(&b, c)
		}
	}
	return b.String()
}

func writeLabelByte(b *strings.Builder, c byte) {
	switch {
	case c == '.' || c == '\\':
		b.WriteByte('\\')
		b.WriteByte(c)
	case c > ' ' && c < 0x7f:
		b.WriteByte(c)
	default:
		b.Write([]byte{'\\', '0' + c/100, '0' + c/10%10, '0' + c%10})
	}
}
