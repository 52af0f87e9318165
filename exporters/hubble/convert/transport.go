package convert

import (
	"net/netip"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

const protocolVRRP flow.Protocol = 112

// setTransport gives the flow its layer 4 header as far as a record tells it. There is
// none for protocols that Hubble's schema does not know: those are layer 3 flows.
func (p *parts) setTransport(r *flow.Record, src, dst netip.AddrPort) {
	f := &r.Flow
	sport, dport := uint32(src.Port()), uint32(dst.Port())
	switch f.Protocol {
	case flow.TCP:
		p.setTCP(src.Port(), dst.Port(), tcpFlag(r))
	case flow.UDP:
		p.flow.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{SourcePort: sport, DestinationPort: dport}}}
	case flow.SCTP:
		p.flow.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_SCTP{SCTP: &flowpb.SCTP{SourcePort: sport, DestinationPort: dport}}}
	case flow.ICMP:
		p.flow.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv4{ICMPv4: &flowpb.ICMPv4{Type: uint32(f.ICMPType), Code: uint32(f.ICMPCode)}}}
	case flow.ICMPv6:
		p.flow.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv6{ICMPv6: &flowpb.ICMPv6{Type: uint32(f.ICMPType), Code: uint32(f.ICMPCode)}}}
	case flow.IGMP:
		igmp := &flowpb.IGMP{}
		if dst.Addr().IsMulticast() {
			igmp.GroupAddress = dst.Addr().String()
		}
		p.flow.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_IGMP{IGMP: igmp}}
	case protocolVRRP:
		p.flow.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_VRRP{VRRP: &flowpb.VRRP{}}}
	}
}

// setPorts gives the flow the layer 4 header of an exchange, which is of no single
// packet.
func (p *parts) setPorts(proto flow.Protocol, src, dst netip.AddrPort) {
	if proto == flow.UDP {
		udp := &flowpb.UDP{SourcePort: uint32(src.Port()), DestinationPort: uint32(dst.Port())}
		p.flow.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: udp}}
		return
	}
	p.setTCP(src.Port(), dst.Port(), "")
}

// The flags of TCP, as Hubble's summaries name them.
const (
	flagSYN = "SYN"
	flagACK = "ACK"
	flagFIN = "FIN"
	flagRST = "RST"
)

// tcpFlag is that of the packet that a record stands for: the SYN that began the
// connection, the FIN or RST that ended it. An end that no packet made has none, and
// a drop does not tell.
func tcpFlag(r *flow.Record) string {
	switch r.Kind {
	case flow.RecordStart:
		if r.Flow.Preexisting {
			return flagACK
		}
		return flagSYN
	case flow.RecordUpdate:
		return flagACK
	case flow.RecordEnd:
		switch r.Flow.End {
		case flow.EndClosed:
			return flagFIN
		case flow.EndResetLocal, flow.EndResetRemote, flow.EndRefused:
			return flagRST
		}
	}
	return ""
}
