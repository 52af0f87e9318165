package filter

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

func sourceIP(f *flowpb.Flow) string                { return f.GetIP().GetSource() }
func destinationIP(f *flowpb.Flow) string           { return f.GetIP().GetDestination() }
func sourceXlated(f *flowpb.Flow) string            { return f.GetIP().GetSourceXlated() }
func ipVersion(f *flowpb.Flow) flowpb.IPVersion     { return f.GetIP().GetIpVersion() }
func encrypted(f *flowpb.Flow) bool                 { return f.GetIP().GetEncrypted() }
func ipTraceID(f *flowpb.Flow) uint64               { return f.GetIpTraceId().GetTraceId() }
func traceID(f *flowpb.Flow) string                 { return f.GetTraceContext().GetParent().GetTraceId() }
func sourcePort(f *flowpb.Flow) (uint32, bool)      { src, _, ok := ports(f); return src, ok }
func destinationPort(f *flowpb.Flow) (uint32, bool) { _, dst, ok := ports(f); return dst, ok }

// ips takes addresses and CIDR ranges.
func ips(list []string, get func(*flowpb.Flow) string) (Match, error) {
	if len(list) == 0 {
		return nil, nil
	}
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if !strings.Contains(s, "/") {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("%q is no IP address", s)
			}
			prefixes = append(prefixes, netip.PrefixFrom(a.Unmap().WithZone(""), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is no range of IP addresses", s)
		}
		prefixes = append(prefixes, p)
	}
	return func(f *flowpb.Flow) bool {
		a, err := netip.ParseAddr(get(f))
		if err != nil {
			return false
		}
		a = a.Unmap()
		return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
	}, nil
}

func portList(list []string, get func(*flowpb.Flow) (uint32, bool)) (Match, error) {
	if len(list) == 0 {
		return nil, nil
	}
	want := make([]uint32, len(list))
	for i, s := range list {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is no port", s)
		}
		want[i] = uint32(n)
	}
	return func(f *flowpb.Flow) bool {
		p, ok := get(f)
		return ok && slices.Contains(want, p)
	}, nil
}

func ports(f *flowpb.Flow) (src, dst uint32, ok bool) {
	switch p := f.GetL4().GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		return p.TCP.GetSourcePort(), p.TCP.GetDestinationPort(), true
	case *flowpb.Layer4_UDP:
		return p.UDP.GetSourcePort(), p.UDP.GetDestinationPort(), true
	case *flowpb.Layer4_SCTP:
		return p.SCTP.GetSourcePort(), p.SCTP.GetDestinationPort(), true
	}
	return 0, 0, false
}

// protocolList are the names that the protocol field takes; "tls" is weir's.
var protocolList = []string{"icmp", "icmpv4", "icmpv6", "tcp", "udp", "sctp", "vrrp", "igmp", "dns", "http", "tls"}

func protocols(list []string) (Match, error) {
	if len(list) == 0 {
		return nil, nil
	}
	want := make([]string, len(list))
	for i, s := range list {
		want[i] = strings.ToLower(s)
		if !slices.Contains(protocolList, want[i]) {
			return nil, errors.New(unknown("protocol", s, protocolList))
		}
	}
	return func(f *flowpb.Flow) bool {
		l4, l7 := f.GetL4(), f.GetL7()
		return slices.ContainsFunc(want, func(p string) bool {
			switch p {
			case "icmp":
				return l4.GetICMPv4() != nil || l4.GetICMPv6() != nil
			case "icmpv4":
				return l4.GetICMPv4() != nil
			case "icmpv6":
				return l4.GetICMPv6() != nil
			case "tcp":
				return l4.GetTCP() != nil
			case "udp":
				return l4.GetUDP() != nil
			case "sctp":
				return l4.GetSCTP() != nil
			case "vrrp":
				return l4.GetVRRP() != nil
			case "igmp":
				return l4.GetIGMP() != nil
			case "dns":
				return l7.GetDns() != nil
			case "http":
				return l7.GetHttp() != nil
			default:
				return p == summarised(f)
			}
		})
	}, nil
}

// summarised is the protocol of a layer 7 flow for which Hubble's schema has no
// record: the first word of its summary. It is empty for any other flow.
func summarised(f *flowpb.Flow) string {
	if f.GetL7() == nil || f.GetL7().GetRecord() != nil {
		return ""
	}
	//lint:ignore SA1019 deprecated, and the only field that names the protocol
	name, _, _ := strings.Cut(f.GetSummary(), " ")
	return strings.ToLower(name)
}

// tcpFlags matches a flow that has all flags of one of list; it may have more.
func tcpFlags(list []*flowpb.TCPFlags) Match {
	if len(list) == 0 {
		return nil
	}
	return func(f *flowpb.Flow) bool {
		have := f.GetL4().GetTCP().GetFlags()
		return have != nil && slices.ContainsFunc(list, func(w *flowpb.TCPFlags) bool {
			return (!w.FIN || have.FIN) && (!w.SYN || have.SYN) && (!w.RST || have.RST) && (!w.PSH || have.PSH) && (!w.ACK || have.ACK) &&
				(!w.URG || have.URG) && (!w.ECE || have.ECE) && (!w.CWR || have.CWR) && (!w.NS || have.NS)
		})
	}
}

func interfaces(list []*flowpb.NetworkInterface) Match {
	if len(list) == 0 {
		return nil
	}
	return func(f *flowpb.Flow) bool {
		have := f.GetInterface()
		return have != nil && slices.ContainsFunc(list, func(w *flowpb.NetworkInterface) bool {
			return (w.GetIndex() == 0 || w.GetIndex() == have.GetIndex()) && (w.GetName() == "" || w.GetName() == have.GetName())
		})
	}
}
