package l7

import (
	"strconv"

	"github.com/seed79351815/weir/collector/flow"
)

// httpWords: of pipelined requests no path is kept. CONNECT's target is a host,
// which is no part of the operation.
func httpWords(x *flow.Exchange) (words, bool) {
	h := x.HTTP
	switch {
	case h == nil || h.Method == "":
		return words{}, false
	case h.Method == "CONNECT":
		return words{method: h.Method}, true
	case h.Path == "":
		return words{}, false
	}
	return words{h.Method, h.Path, h.Cut}, true
}

func dnsWords(x *flow.Exchange) (words, bool) {
	if x.DNS == nil {
		return words{}, false
	}
	return words{method: TypeName(x.DNS.Type), path: x.DNS.Name}, true
}

func tlsWords(x *flow.Exchange) (words, bool) {
	if x.TLS == nil {
		return words{}, false
	}
	return words{path: x.TLS.ServerName}, true
}

// TypeName is the name of a DNS type (IANA, "Resource Record (RR) TYPEs"), or
// TYPEn (RFC 3597). It allocates for the rare ones alone.
func TypeName(t uint16) string {
	switch t {
	case 1:
		return "A"
	case 2:
		return "NS"
	case 5:
		return "CNAME"
	case 6:
		return "SOA"
	case 12:
		return "PTR"
	case 13:
		return "HINFO"
	case 15:
		return "MX"
	case 16:
		return "TXT"
	case 28:
		return "AAAA"
	case 33:
		return "SRV"
	case 35:
		return "NAPTR"
	case 39:
		return "DNAME"
	case 41:
		return "OPT"
	case 43:
		return "DS"
	case 46:
		return "RRSIG"
	case 47:
		return "NSEC"
	case 48:
		return "DNSKEY"
	case 50:
		return "NSEC3"
	case 52:
		return "TLSA"
	case 64:
		return "SVCB"
	case 65:
		return "HTTPS"
	case 99:
		return "SPF"
	case 251:
		return "IXFR"
	case 252:
		return "AXFR"
	case 255:
		return "ANY"
	case 257:
		return "CAA"
	}
	return "TYPE" + strconv.Itoa(int(t))
}
