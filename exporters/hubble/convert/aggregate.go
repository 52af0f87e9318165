package convert

import (
	"math"
	"strconv"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// setAggregate says, as Hubble does, that a flow stands for more like it: all are
// counted, by the way that they go. Hubble's CLI shows nothing of that but the summary.
func setAggregate(out *flowpb.Flow, more uint64) {
	n := uint32(min(more, math.MaxUint32-1) + 1)
	out.Aggregate = &flowpb.Aggregate{}
	switch out.TrafficDirection {
	case flowpb.TrafficDirection_INGRESS:
		out.Aggregate.IngressFlowCount = n
	case flowpb.TrafficDirection_EGRESS:
		out.Aggregate.EgressFlowCount = n
	default:
		out.Aggregate.UnknownDirectionFlowCount = n
	}
	//lint:ignore SA1019 deprecated, and the only text that Hubble's CLI shows
	out.Summary += "; " + strconv.FormatUint(more, 10) + " more like it"
}

// More is how many flows like it one stands for besides itself.
func More(f *flowpb.Flow) uint64 {
	a := f.GetAggregate()
	n := uint64(a.GetIngressFlowCount()) + uint64(a.GetEgressFlowCount()) + uint64(a.GetUnknownDirectionFlowCount())
	return max(n, 1) - 1
}
