package bpf

import (
	"net/netip"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
	"golang.org/x/net/dns/dnsmessage"
)

// Bounds of what is kept of one answer.
const (
	maxAnswerAddrs  = 32
	maxAnswerCNAMEs = 16
)

// parseDNS reads a DNS response (RFC 1035) for the names of addresses. What was
// cut off by the capture's length is parsed as far as it goes. ok is false for
// anything that is not a response with one question.
func parseDNS(msg []byte) (*flow.DNSAnswer, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !h.Response {
		return nil, false
	}
	q, err := p.Question()
	if err != nil || q.Class != dnsmessage.ClassINET {
		return nil, false
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, false
	}
	a := &flow.DNSAnswer{Name: dnsName(q.Name), RCode: uint8(h.RCode)}
	for {
		rh, err := p.AnswerHeader()
		if err != nil {
			return a, true
		}
		if rh.Class != dnsmessage.ClassINET {
			if p.SkipAnswer() != nil {
				return a, true
			}
			continue
		}
		if !answer(&p, rh, a) {
			return a, true
		}
	}
}

// answer takes one resource record; it returns false at the first broken one.
func answer(p *dnsmessage.Parser, rh dnsmessage.ResourceHeader, a *flow.DNSAnswer) bool {
	switch rh.Type {
	case dnsmessage.TypeA:
		r, err := p.AResource()
		if err != nil {
			return false
		}
		addAddr(a, netip.AddrFrom4(r.A), rh.TTL)
	case dnsmessage.TypeAAAA:
		r, err := p.AAAAResource()
		if err != nil {
			return false
		}
		addAddr(a, netip.AddrFrom16(r.AAAA), rh.TTL)
	case dnsmessage.TypeCNAME:
		r, err := p.CNAMEResource()
		if err != nil {
			return false
		}
		if len(a.CNAMEs) < maxAnswerCNAMEs {
			a.CNAMEs = append(a.CNAMEs, dnsName(r.CNAME))
		}
	default:
		return p.SkipAnswer() == nil
	}
	return true
}

func addAddr(a *flow.DNSAnswer, addr netip.Addr, ttl uint32) {
	if len(a.Addrs) >= maxAnswerAddrs {
		return
	}
	if len(a.Addrs) == 0 || ttl < a.TTL {
		a.TTL = ttl
	}
	a.Addrs = append(a.Addrs, addr)
}

func dnsName(n dnsmessage.Name) string {
	return strings.ToLower(strings.TrimSuffix(n.String(), "."))
}
