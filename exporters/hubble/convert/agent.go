package convert

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// WorkloadEvent tells that w came, or that it is gone. The id is its cgroup's, as
// in a flow's cgroup_id; name, namespace and labels are as in flows.
func WorkloadEvent(w *flow.Workload, gone bool) *flowpb.AgentEvent {
	t := flowpb.AgentEventType_ENDPOINT_CREATED
	if gone {
		t = flowpb.AgentEventType_ENDPOINT_DELETED
	}
	id := newIdentity(w)
	return &flowpb.AgentEvent{Type: t, Notification: &flowpb.AgentEvent_EndpointUpdate{EndpointUpdate: &flowpb.EndpointUpdateNotification{
		Id: w.CgroupID, Labels: id.labels, PodName: id.name, Namespace: id.namespace,
	}}}
}

// PolicyEvent tells that a policy holds with these labels since a revision, or
// that it does not any more. rules is how many rules it has or had.
func PolicyEvent(labels []string, revision uint64, rules int, gone bool) *flowpb.AgentEvent {
	t := flowpb.AgentEventType_POLICY_UPDATED
	if gone {
		t = flowpb.AgentEventType_POLICY_DELETED
	}
	return &flowpb.AgentEvent{Type: t, Notification: &flowpb.AgentEvent_PolicyUpdate{PolicyUpdate: &flowpb.PolicyUpdateNotification{
		Labels: validAll(labels), Revision: revision, RuleCount: int64(rules),
	}}}
}
