package printer

import (
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/exporters/hubble/filter"
)

// Cilium's event types that have texts of their own.
const (
	eventDrop          = 1
	eventCapture       = 3
	eventTrace         = 4
	eventPolicyVerdict = 5
	eventTraceSock     = 7
)

// typeName is what stands in the column TYPE.
func typeName(f *flowpb.Flow) string {
	if l7 := f.GetL7(); l7 != nil {
		kind := strings.ToLower(l7.GetType().String())
		switch l7.GetRecord().(type) {
		case *flowpb.Layer7_Http:
			return "http-" + kind
		case *flowpb.Layer7_Dns:
			return "dns-" + kind + " " + l7.GetDns().GetObservationSource()
		}
		return "l7-" + kind
	}
	e := f.GetEventType()
	switch e.GetType() {
	case eventTrace:
		return filter.TracePoint(e.GetSubType())
	case eventDrop:
		return dropName(flowpb.DropReason(e.GetSubType()))
	case eventPolicyVerdict:
		return "policy-verdict:" + matchName(f.GetPolicyMatchType()) + " " + f.GetTrafficDirection().String()
	case eventCapture:
		return f.GetDebugCapturePoint().String()
	case eventTraceSock:
		switch flowpb.SocketTranslationPoint(e.GetSubType()) {
		case flowpb.SocketTranslationPoint_SOCK_XLATE_POINT_PRE_DIRECTION_FWD:
			return "pre-xlate-fwd"
		case flowpb.SocketTranslationPoint_SOCK_XLATE_POINT_POST_DIRECTION_FWD:
			return "post-xlate-fwd"
		case flowpb.SocketTranslationPoint_SOCK_XLATE_POINT_PRE_DIRECTION_REV:
			return "pre-xlate-rev"
		case flowpb.SocketTranslationPoint_SOCK_XLATE_POINT_POST_DIRECTION_REV:
			return "post-xlate-rev"
		}
		return flowpb.SocketTranslationPoint_SOCK_XLATE_POINT_UNKNOWN.String()
	}
	return "UNKNOWN"
}

// dropName is a drop reason as Cilium words it; the enum's names are mostly the
// same words.
func dropName(r flowpb.DropReason) string {
	switch r {
	case flowpb.DropReason_FIB_LOOKUP_FAILED:
		return "FIB lookup failed"
	case flowpb.DropReason_UNKNOWN_L3_TARGET_ADDRESS:
		return "Unknown L3 target address"
	case flowpb.DropReason_UNKNOWN_L4_PROTOCOL:
		return "Unknown L4 protocol"
	case flowpb.DropReason_UNSUPPORTED_L3_PROTOCOL:
		return "Unsupported L3 protocol"
	case flowpb.DropReason_DROP_RATE_LIMITED:
		return "Rate limited"
	case flowpb.DropReason_INVALID_PACKET_DROPPED:
		return "Invalid packet"
	case flowpb.DropReason_POLICY_DENY:
		return "Policy denied by denylist"
	}
	name, ok := flowpb.DropReason_name[int32(r)]
	if !ok || r == flowpb.DropReason_DROP_REASON_UNKNOWN {
		return "Dropped by the kernel"
	}
	words := strings.ToLower(strings.ReplaceAll(name, "_", " "))
	return strings.ToUpper(words[:1]) + words[1:]
}

func matchName(m uint32) string {
	names := []string{"none", "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only"}
	if int(m) < len(names) {
		return names[m]
	}
	return "unknown"
}

func (p *Printer) verdict(f *flowpb.Flow) string {
	text := f.GetVerdict().String()
	policy := f.GetEventType().GetType() == eventPolicyVerdict
	switch f.GetVerdict() {
	case flowpb.Verdict_FORWARDED, flowpb.Verdict_REDIRECTED:
		if policy {
			text = "ALLOWED" + p.policies(f, f.GetEgressAllowedBy(), f.GetIngressAllowedBy())
		}
		return p.color(green, text)
	case flowpb.Verdict_DROPPED, flowpb.Verdict_ERROR:
		if policy {
			text = "DENIED" + p.policies(f, f.GetEgressDeniedBy(), f.GetIngressDeniedBy())
		}
		return p.color(red, text)
	case flowpb.Verdict_AUDIT:
		if policy {
			text = "AUDITED" + p.policies(f, f.GetEgressDeniedBy(), f.GetIngressDeniedBy())
		}
		return p.color(yellow, text)
	case flowpb.Verdict_TRACED, flowpb.Verdict_TRANSLATED:
		return p.color(yellow, text)
	}
	return text
}

// policies names the policies behind a verdict, of the flow's direction.
func (p *Printer) policies(f *flowpb.Flow, egress, ingress []*flowpb.Policy) string {
	if !p.o.PolicyNames {
		return ""
	}
	list := egress
	if f.GetTrafficDirection() == flowpb.TrafficDirection_INGRESS {
		list = ingress
	}
	var named []string
	for _, pol := range list {
		if pol.GetName() != "" && pol.GetKind() != "" {
			named = append(named, Sanitize(pol.GetName())+" ("+Sanitize(pol.GetKind())+")")
		}
	}
	if len(named) == 0 {
		return ""
	}
	return " BY " + strings.Join(named, ", ")
}
