package native

import (
	"fmt"
	"net/netip"
	"strings"
)

// DNSReason is why the DNS parser gave up: enum dns_reason.
type DNSReason uint16

var dnsReasons = [...]string{"short", "questions", "label", "name length", "pointer", "rdlength", "truncated"}

// String is the reason's name.
func (r DNSReason) String() string { return reason(uint16(r)-200, dnsReasons[:]) }

// Kinds of DNS messages.
const (
	DNSQuery    = 1
	DNSResponse = 2
)

// DNSOut is struct dns_out.
type DNSOut struct {
	Flags, Kind                                                 uint8
	Reason                                                      DNSReason
	ID, Head, Type, Class, Answers, Addresses, Aliases, NameLen uint16
	TTL                                                         uint32
	Size, Authorities, Additionals, Reserved                    uint16
	Hash                                                        uint64
}

// DNSCapture is struct dns_capture.
type DNSCapture struct {
	NameBytes [264]byte
	Address   [8][16]byte
}

// DNSTold is struct dns_told: what one step told, At bytes into the stream.
type DNSTold struct {
	At, Reserved uint32
	DNSOut
	DNSCapture
}

// DNSRun is a run of the DNS parser. Its argument is a datagram's size, or 0 for
// a stream.
type DNSRun = Run[[64]byte, DNSOut, DNSCapture, [64]DNSTold]

// Trim zeroes what means nothing in a capture.
func (t *DNSTold) Trim() {
	clear(t.NameBytes[min(int(t.NameLen), 255):])
	clear(t.Address[min(int(t.Addresses), len(t.Address)):])
}

// Name is the question's name, labels as they are with dots behind them.
func (t *DNSTold) Name() string {
	var b strings.Builder
	wire := t.NameBytes[:min(int(t.NameLen), 255)]
	for len(wire) > 0 && wire[0] != 0 {
		n := min(int(wire[0]), len(wire)-1)
		b.Write(wire[1 : 1+n])
		b.WriteByte('.')
		wire = wire[1+n:]
	}
	return b.String()
}

// Addrs is as many of the answer's addresses as were captured.
func (t *DNSTold) Addrs() []netip.Addr {
	var addrs []netip.Addr
	for _, a := range t.Address[:min(int(t.Addresses), len(t.Address))] {
		addrs = append(addrs, netip.AddrFrom16(a).Unmap())
	}
	return addrs
}

// String is one line with all that is valid.
func (t *DNSTold) String() string {
	if t.Flags&FlagError != 0 {
		return fmt.Sprintf("%d: error %d %v", t.At, t.Reason, t.Reason)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d: %s id=%04x flags=%04x", t.At, [...]string{"", "query", "response"}[t.Kind], t.ID, t.Head)
	if t.NameLen > 0 {
		fmt.Fprintf(&b, " %q type=%d class=%d hash=%016x", t.Name(), t.Type, t.Class, t.Hash)
	}
	if t.Kind == DNSResponse {
		fmt.Fprintf(&b, " answers=%d addresses=%d %v aliases=%d", t.Answers, t.Addresses, t.Addrs(), t.Aliases)
		if t.TTL != ^uint32(0) {
			fmt.Fprintf(&b, " ttl=%d", t.TTL)
		}
	}
	fmt.Fprintf(&b, " authorities=%d additionals=%d size=%d", t.Authorities, t.Additionals, t.Size)
	return b.String()
}

// TellDNS is a line for each thing that a run told.
func TellDNS(r *DNSRun) []string {
	var told []string
	for i := range r.Told[:min(int(r.Notes), len(r.Told))] {
		told = append(told, r.Told[i].String())
	}
	return told
}
