package hubble

import (
	"context"
	"maps"
	"slices"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
)

// namespaceAge is how long a namespace without flows is listed.
const namespaceAge = time.Hour

// ServerStatus tells how full the ring is and how much went through it.
func (o *Observer) ServerStatus(context.Context, *observerpb.ServerStatusRequest) (*observerpb.ServerStatusResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.cfg.Now()
	return &observerpb.ServerStatusResponse{
		NumFlows: uint64(o.ring.len()), MaxFlows: uint64(o.cfg.Ring), SeenFlows: o.seen,
		UptimeNs: o.uptime(now), Version: o.cfg.Version, FlowsRate: o.rate.per(now, o.started),
	}, nil
}

func (o *Observer) uptime(now time.Time) uint64 { return uint64(max(0, now.Sub(o.started))) }

// GetNodes lists the one node that an observer can answer for: itself.
func (o *Observer) GetNodes(context.Context, *observerpb.GetNodesRequest) (*observerpb.GetNodesResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	self := o.self()
	return &observerpb.GetNodesResponse{Nodes: []*observerpb.Node{{
		Name: self.Name, Version: o.cfg.Version, Address: self.Address, State: relaypb.NodeState_NODE_CONNECTED,
		Tls: &observerpb.TLS{Enabled: self.ServerName != "", ServerName: self.ServerName}, UptimeNs: o.uptime(o.cfg.Now()),
		NumFlows: uint64(o.ring.len()), MaxFlows: uint64(o.cfg.Ring), SeenFlows: o.seen,
	}}}, nil
}

// GetNamespaces lists the namespaces with flows in the last hour, sorted.
func (o *Observer) GetNamespaces(context.Context, *observerpb.GetNamespacesRequest) (*observerpb.GetNamespacesResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.cfg.Now().Add(-namespaceAge).UnixNano()
	maps.DeleteFunc(o.namespaces, func(_ string, last int64) bool { return last < old })
	out := &observerpb.GetNamespacesResponse{}
	for _, ns := range slices.Sorted(maps.Keys(o.namespaces)) {
		out.Namespaces = append(out.Namespaces, &observerpb.Namespace{Namespace: valid(ns)})
	}
	return out, nil
}
