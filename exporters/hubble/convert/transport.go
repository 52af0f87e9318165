package convert

import (
	"net/netip"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

const protocolVRRP flow.Protocol = 112

// transport is the layer 4 header as far as a record tells it. It is nil for
// protocols that Hubble's schema does not know: those are layer 3 flows.
func transport(r *flow.Record, src, dst netip.AddrPort) *flowpb.Layer4 {
	f := &r.Flow
	sport, dport := uint32(src.Port()), uint32(dst.Port())
	switch f.Protocol {
	case flow.TCP:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{SourcePort: sport, DestinationPort: dport, Flags: tcpFlags(r)}}}
	case flow.UDP:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{SourcePort: sport, DestinationPort: dport}}}
	case flow.SCTP:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_SCTP{SCTP: &flowpb.SCTP{SourcePort: sport, DestinationPort: dport}}}
	case flow.ICMP:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv4{ICMPv4: &flowpb.ICMPv4{Type: uint32(f.ICMPType), Code: uint32(f.ICMPCode)}}}
	case flow.ICMPv6:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv6{ICMPv6: &flowpb.ICMPv6{Type: uint32(f.ICMPType), Code: uint32(f.ICMPCode)}}}
	case flow.IGMP:
		igmp := &flowpb.IGMP{}
		if dst.Addr().IsMulticast() {
			igmp.GroupAddress = dst.Addr().String()
		}
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_IGMP{IGMP: igmp}}
	case protocolVRRP:
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_VRRP{VRRP: &flowpb.VRRP{}}}
	}
	return nil
}

// portsOnly is the layer 4 header of an exchange, which is of no single packet.
func portsOnly(p flow.Protocol, src, dst netip.AddrPort) *flowpb.Layer4 {
	sport, dport := uint32(src.Port()), uint32(dst.Port())
	if p == flow.UDP {
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{SourcePort: sport, DestinationPort: dport}}}
	}
	return &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{SourcePort: sport, DestinationPort: dport}}}
}

// tcpFlags are those of the packet that a record stands for: the SYN that began
// the connection, the FIN or RST that ended it. An end that no packet made has
// none, and a drop does not tell.
func tcpFlags(r *flow.Record) *flowpb.TCPFlags {
	switch r.Kind {
	case flow.RecordStart:
		if r.Flow.Preexisting {
			return &flowpb.TCPFlags{ACK: true}
		}
		return &flowpb.TCPFlags{SYN: true}
	case flow.RecordUpdate:
		return &flowpb.TCPFlags{ACK: true}
	case flow.RecordEnd:
		switch r.Flow.End {
		case flow.EndClosed:
			return &flowpb.TCPFlags{FIN: true}
		case flow.EndResetLocal, flow.EndResetRemote, flow.EndRefused:
			return &flowpb.TCPFlags{RST: true}
		}
	}
	return nil
}

// flagText names the flags as Hubble's summaries do.
func flagText(f *flowpb.TCPFlags) string {
	switch {
	case f.GetSYN():
		return "SYN"
	case f.GetFIN():
		return "FIN"
	case f.GetRST():
		return "RST"
	case f.GetACK():
		return "ACK"
	}
	return ""
}
