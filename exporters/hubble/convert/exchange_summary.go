package convert

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// exchangeSummary words an exchange as Hubble does: pkg/hubble/parser/seven.
// Its first word is the protocol, as in Hubble's summaries of protocols without
// a record of their own; filters go by that.
func exchangeSummary(l *flow.L7, as *flowpb.Layer7) string {
	x := l.Exchange
	switch {
	case x.HTTP != nil:
		return httpSummary(x, as.GetHttp())
	case x.DNS != nil:
		return dnsSummary(x, as.GetDns())
	case x.TLS != nil:
		return tlsSummary(x)
	}
	return l.Protocol.String()
}

const noAnswer = "; no answer"

func httpSummary(x *flow.Exchange, h *flowpb.HTTP) string {
	what := h.GetMethod() + " " + h.GetUrl()
	switch {
	case h.GetUrl() == "":
		what = h.GetMethod() + ", path not kept"
	case x.HTTP.Cut:
		what += "…"
	}
	if x.Status == flow.NoAnswer {
		return h.GetProtocol() + " " + what + noAnswer
	}
	code, took := strconv.Itoa(int(h.GetCode())), strconv.FormatInt(milliseconds(x), 10)
	return h.GetProtocol() + " " + code + " " + took + "ms (" + what + ")"
}

func milliseconds(x *flow.Exchange) int64 {
	return int64(time.Duration(max(0, x.Latency)) / time.Millisecond)
}

func dnsSummary(x *flow.Exchange, d *flowpb.DNS) string {
	asked := d.GetQuery() + " " + strings.Join(d.GetQtypes(), ",")
	if x.Status == flow.NoAnswer {
		return "DNS Query " + asked + noAnswer
	}
	answer := ""
	switch {
	case x.Status != 0:
		answer = "RCode: " + responseCode(x.Status)
	case len(d.GetIps()) > 0:
		list := strings.Join(d.GetIps(), ",")
		if len(d.GetIps()) < int(x.DNS.Addresses) {
			list += ",…"
		}
		answer = strconv.Quote(list)
	}
	return fmt.Sprintf("DNS Answer %s TTL: %d (Query %s)", answer, d.GetTtl(), asked)
}

// queryType is a DNS type as a word.
func queryType(l *flow.L7) string {
	if l.Method != "" {
		return valid(l.Method)
	}
	return "TYPE" + strconv.Itoa(int(l.Exchange.DNS.Type))
}

// responseCode words a DNS response code as Hubble does.
func responseCode(code uint16) string {
	names := [...]string{
		"No Error", "Format Error", "Server Failure", "Non-Existent Domain", "Not Implemented", "Query Refused",
		"Name Exists when it should not", "RR Set Exists when it should not", "RR Set that should exist does not", "Server Not Authoritative for zone",
		"Name not contained in zone",
	}
	if int(code) < len(names) {
		return names[code]
	}
	return "Unknown"
}

func tlsSummary(x *flow.Exchange) string {
	h := x.TLS
	head := strings.TrimSpace("TLS " + tlsVersion(h.Version))
	var parts []string
	if h.ServerName != "" {
		parts = append(parts, valid(h.ServerName))
	}
	if h.Chosen != "" {
		parts = append(parts, valid(h.Chosen))
	}
	if h.Cipher != 0 {
		parts = append(parts, tls.CipherSuiteName(h.Cipher))
	}
	if h.Resumed {
		parts = append(parts, "resumed")
	}
	tail := ""
	if len(parts) > 0 {
		tail = " (" + strings.Join(parts, ", ") + ")"
	}
	switch {
	case x.Status == flow.NoAnswer:
		return head + tail + noAnswer
	case x.Status != 0:
		return head + " alert: " + alertName(x.Status) + tail
	}
	return fmt.Sprintf("%s %dms%s", head, milliseconds(x), tail)
}

// tlsVersion is a version's number as people write it; empty for one that is
// not TLS.
func tlsVersion(v uint16) string {
	if v < tls.VersionTLS10 || v > tls.VersionTLS13 {
		return ""
	}
	return "1." + strconv.Itoa(int(v-tls.VersionTLS10))
}

func alertName(code uint16) string {
	if code > 0xff {
		return strconv.Itoa(int(code))
	}
	return strings.TrimPrefix(tls.AlertError(code).Error(), "tls: ")
}
