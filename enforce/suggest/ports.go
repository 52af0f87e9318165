package suggest

import (
	"slices"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/policy"
)

// protocols are those that toPorts can name.
var protocols = map[flow.Protocol]policy.Proto{
	flow.TCP: policy.ProtoTCP, flow.UDP: policy.ProtoUDP, flow.SCTP: policy.ProtoSCTP, flow.IGMP: policy.ProtoIGMP,
	4: policy.ProtoIPIP, 41: policy.ProtoIPv6, 47: policy.ProtoGRE, 50: policy.ProtoESP, 51: policy.ProtoAH, 112: policy.ProtoVRRP,
}

const (
	dnsPort  = 53
	maxPorts = 40 // of one element of toPorts, as Cilium has it
)

// expressible tells whether a rule can name the service.
func expressible(s baseline.Service) bool {
	switch s.Protocol {
	case flow.ICMP, flow.ICMPv6:
		return s.Port <= 255
	case flow.TCP, flow.UDP, flow.SCTP:
		return s.Any || s.Port != 0 // port 0 would mean every port
	}
	return protocols[s.Protocol] != ""
}

func isDNS(s baseline.Service) bool {
	return s.Port == dnsPort && (s.Protocol == flow.UDP || s.Protocol == flow.TCP)
}

// portsOf makes toPorts of services that are in order. DNS that a workload asks
// for stands alone: it has rules, by which answers open what toFQDNs names.
func (s *suggester) portsOf(d side, services []baseline.Service, c *baseline.Contact) (out []policy.PortRule) {
	var dns, others []policy.Port
	for _, svc := range services {
		proto := protocols[svc.Protocol]
		switch {
		case proto == "":
		case d.egress && isDNS(svc):
			dns = append(dns, policy.Port{Port: svc.Port, Protocol: proto})
		default:
			others = append(others, policy.Port{Port: svc.Port, Protocol: proto})
		}
	}
	for ports := range slices.Chunk(ranges(others), maxPorts) {
		out = append(out, policy.PortRule{Ports: ports})
	}
	if dns != nil {
		out = append(out, policy.PortRule{Ports: dns, Rules: &policy.L7Rules{DNS: s.questionsOf(d, c)}})
	}
	return out
}

// ranges writes three ports and more that follow each other as one range.
func ranges(ports []policy.Port) (out []policy.Port) {
	for i := 0; i < len(ports); {
		j := i + 1
		for j < len(ports) && ports[i].Port != 0 && ports[j].Protocol == ports[i].Protocol && int(ports[j].Port) == int(ports[j-1].Port)+1 {
			j++
		}
		if j-i >= 3 {
			out = append(out, policy.Port{Port: ports[i].Port, End: ports[j-1].Port, Protocol: ports[i].Protocol})
		} else {
			out = append(out, ports[i:j]...)
		}
		i = j
	}
	return out
}

// icmpsOf makes icmps of services that are in order.
func icmpsOf(services []baseline.Service) []policy.ICMPRule {
	var fields []policy.ICMPField
	for _, s := range services {
		if s.Protocol == flow.ICMP || s.Protocol == flow.ICMPv6 {
			fields = append(fields, policy.ICMPField{IPv6: s.Protocol == flow.ICMPv6, Type: uint8(s.Port)})
		}
	}
	if fields == nil {
		return nil
	}
	return []policy.ICMPRule{{Fields: fields}}
}
