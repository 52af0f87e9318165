package convert

import (
	"math"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// aggregate is how Hubble says that a flow stands for more like it: it counts all, and
// by the way that they go.
func aggregate(more uint64, way flowpb.TrafficDirection) *flowpb.Aggregate {
	n := uint32(min(more, math.MaxUint32-1) + 1)
	switch way {
	case flowpb.TrafficDirection_INGRESS:
		return &flowpb.Aggregate{IngressFlowCount: n}
	case flowpb.TrafficDirection_EGRESS:
		return &flowpb.Aggregate{EgressFlowCount: n}
	}
	return &flowpb.Aggregate{UnknownDirectionFlowCount: n}
}

// More is how many flows like it one stands for besides itself.
func More(f *flowpb.Flow) uint64 {
	a := f.GetAggregate()
	n := uint64(a.GetIngressFlowCount()) + uint64(a.GetEgressFlowCount()) + uint64(a.GetUnknownDirectionFlowCount())
	return max(n, 1) - 1
}
