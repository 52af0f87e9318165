//go:build cgo && linux

package native

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/net/dns/dnsmessage"
)

// oracleDNS is what two libraries read in a message, as DNSTold says it.
type oracleDNS struct {
	question  bool // golang.org/x/net/dns/dnsmessage read one, or there is none
	answers   bool // and all answers
	broken    bool // it cannot even pass over the answers
	miekg     bool // miekg/dns read all of the message
	name      []byte
	addrs     []netip.Addr
	aliases   int
	ttl       uint32
	qtype     uint16
	qclass    uint16
	questions int
}

func askOracles(msg []byte) oracleDNS {
	o := oracleDNS{ttl: ^uint32(0)}
	var m dns.Msg
	o.miekg = m.Unpack(msg) == nil && len(msg) > 12
	if len(m.Question) > 0 {
		wire := make([]byte, 256)
		n, err := dns.PackDomainName(m.Question[0].Name, wire, 0, nil, false)
		if err == nil {
			for _, c := range wire[:n] {
				if 'A' <= c && c <= 'Z' {
					c += 'a' - 'A'
				}
				o.name = append(o.name, c)
			}
		}
		o.qtype, o.qclass = m.Question[0].Qtype, m.Question[0].Qclass
	}
	var p dnsmessage.Parser
	if _, err := p.Start(msg); err != nil {
		return o
	}
	o.questions = int(binary.BigEndian.Uint16(msg[4:]))
	if p.SkipAllQuestions() != nil {
		return o
	}
	o.question = true
	skipping := p
	o.broken = skipping.SkipAllAnswers() != nil
	for {
		h, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			o.answers = true
			return o
		}
		if err != nil {
			return o
		}
		o.record(&p, h)
		if p.SkipAnswer() != nil {
			return o
		}
	}
}

func (o *oracleDNS) record(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) {
	if h.Class != dnsmessage.ClassINET {
		return
	}
	copied := *p
	switch h.Type {
	case dnsmessage.TypeA:
		if r, err := copied.AResource(); err == nil {
			o.addrs = append(o.addrs, netip.AddrFrom4(r.A))
		}
	case dnsmessage.TypeAAAA:
		if r, err := copied.AAAAResource(); err == nil {
			o.addrs = append(o.addrs, netip.AddrFrom16(r.AAAA).Unmap())
		}
	case dnsmessage.TypeCNAME:
		o.aliases++
	default:
		return
	}
	if h.TTL >= 1<<31 {
		h.TTL = 0
	}
	o.ttl = min(o.ttl, h.TTL)
}

// agree fails where the parser says of a datagram what a library reads otherwise,
// or refuses one that both read whole.
func agree(t testing.TB, r *DNSRun, msg []byte) {
	t.Helper()
	said := dnsSays(r, msg, true, Cut{})
	o := askOracles(msg)
	if len(said) != 1 {
		if len(said) > 1 || len(msg) >= 8 {
			t.Fatalf("%x: says%s", msg, lines(pointers(said)))
		}
		return
	}
	got := &said[0]
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%x\nsays%s\n"+format, append([]any{msg, lines(pointers(said))}, args...)...)
	}
	if got.Flags&FlagError != 0 {
		response := len(msg) > 2 && msg[2]&0x80 != 0
		// They follow pointers ahead and in questions, and do not look at an address's length.
		stricter := got.Reason.String() == "pointer" || got.Reason.String() == "rdlength" ||
			got.Reason.String() == "label" && msg[got.At-1] >= 0xc0
		if o.miekg && o.question && (o.answers || !response) && o.questions == 1 && !stricter {
			fail("both libraries read it")
		}
		return
	}
	if got.ID != binary.BigEndian.Uint16(msg) || got.Head != binary.BigEndian.Uint16(msg[2:]) ||
		got.Answers != binary.BigEndian.Uint16(msg[6:]) || int(got.Size) != len(msg) {
		fail("not the header's id, flags and counts")
	}
	if o.name != nil && (int(got.NameLen) != len(o.name) || fmt.Sprintf("%016x", got.Hash) != hashOf(string(o.name)) ||
		!bytes.Equal(o.name, got.NameBytes[:got.NameLen]) || got.Type != o.qtype || got.Class != o.qclass) {
		fail("want name %q of %d bytes, type %d, class %d", o.name, len(o.name), o.qtype, o.qclass)
	}
	if o.name == nil && o.questions == 1 {
		fail("miekg/dns reads no question")
	}
	if got.Kind != DNSResponse || !o.question {
		return
	}
	if o.broken {
		fail("dnsmessage cannot pass over the answers")
	}
	if !o.answers {
		return // a name that is only read by who follows its pointers
	}
	if int(got.Addresses) != len(o.addrs) || int(got.Aliases) != o.aliases || got.TTL != o.ttl || !slices.Equal(got.Addrs(), o.addrs[:min(8, len(o.addrs))]) {
		fail("want addresses %v, %d aliases, TTL %d", o.addrs, o.aliases, o.ttl)
	}
}
