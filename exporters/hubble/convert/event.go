package convert

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// Cilium's event types and observation points: pkg/monitor/api/types.go.
const (
	eventDrop  = 1
	eventTrace = 4

	traceToEndpoint = 0
	traceToHost     = 2
	traceToStack    = 3
)

// setTrace fills what Hubble's TYPE column is made of: clients show a flow
// without it as UNKNOWN.
func (p *parts) setTrace(r *flow.Record, dst *flow.Endpoint) {
	out := &p.flow
	if r.Kind == flow.RecordDrop {
		reason := dropReason(r)
		out.DropReasonDesc = reason
		sub := int32(reason)
		if reason == flowpb.DropReason_DROP_REASON_UNKNOWN {
			sub = dropUnknown
		}
		//lint:ignore SA1019 deprecated, but old clients read it
		out.DropReason = uint32(sub)
		p.setEvent(eventDrop, sub)
		return
	}
	out.TraceReason = flowpb.TraceReason_ESTABLISHED
	if r.Kind == flow.RecordStart && !r.Flow.Preexisting {
		out.TraceReason = flowpb.TraceReason_NEW
	}
	sub := int32(traceToStack)
	out.TraceObservationPoint = flowpb.TraceObservationPoint_TO_STACK
	switch {
	case dst.Workload == nil || dst.Workload.Runtime == flow.RuntimeWorld:
	case dst.Workload.Runtime == flow.RuntimeHost:
		sub, out.TraceObservationPoint = traceToHost, flowpb.TraceObservationPoint_TO_HOST
	default:
		sub, out.TraceObservationPoint = traceToEndpoint, flowpb.TraceObservationPoint_TO_ENDPOINT
	}
	p.setEvent(eventTrace, sub)
}

// dropUnknown is the sub-type of drops whose kernel reason none of Cilium's
// fits. It is not 0, which Hubble's CLI shows as "Success".
const dropUnknown = 255

// dropReason is the one of Cilium's reasons that says the same as the kernel's.
// The kernel's own is in the summary and the extensions.
func dropReason(r *flow.Record) flowpb.DropReason {
	name := r.Flow.DropReason
	if r.Drop != nil {
		name = r.Drop.Reason
	}
	switch name {
	case "NETFILTER_DROP", "BPF_CGROUP_EGRESS", "SOCKET_FILTER", "TC_INGRESS", "TC_EGRESS", "XDP":
		return flowpb.DropReason_POLICY_DENIED
	case "NO_SOCKET":
		return flowpb.DropReason_SOCKET_LOOKUP_FAILED
	case "IP_RPFILTER", "IP_INVALID_SOURCE", "IP_LOCAL_SOURCE":
		return flowpb.DropReason_INVALID_SOURCE_IP
	case "IP_INNOROUTES", "IP_OUTNOROUTES", "IP_INADDRERRORS":
		return flowpb.DropReason_FIB_LOOKUP_FAILED
	case "NEIGH_FAILED", "NEIGH_QUEUEFULL", "NEIGH_DEAD":
		return flowpb.DropReason_UNKNOWN_L3_TARGET_ADDRESS
	case "UNHANDLED_PROTO", "IP_NOPROTO":
		return flowpb.DropReason_UNKNOWN_L4_PROTOCOL
	case "QDISC_DROP", "QDISC_OVERLIMIT", "QDISC_CONGESTED", "FULL_RING", "CPU_BACKLOG", "ICMP_RATELIMITED":
		return flowpb.DropReason_DROP_RATE_LIMITED
	case "IP_CSUM", "TCP_CSUM", "UDP_CSUM", "ICMP_CSUM", "SKB_CSUM", "IP_INHDR", "PKT_TOO_SMALL", "HDR_TRUNC", "IPV6_BAD_EXTHDR":
		return flowpb.DropReason_INVALID_PACKET_DROPPED
	case "IPV6DISABLED":
		return flowpb.DropReason_UNSUPPORTED_L3_PROTOCOL
	}
	return flowpb.DropReason_DROP_REASON_UNKNOWN
}
