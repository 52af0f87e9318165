package main

import (
	"fmt"
	"slices"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/enforce/policy"
)

// heard collects what a witness tells, a line each.
func heard(w *witness) *[]string {
	var lines []string
	w.tell = func(e *flowpb.AgentEvent) {
		line := e.GetType().String()
		if x := e.GetEndpointUpdate(); x != nil {
			line += fmt.Sprintf(" %d %s/%s %v", x.GetId(), x.GetNamespace(), x.GetPodName(), x.GetLabels())
		}
		if x := e.GetPolicyUpdate(); x != nil {
			line += fmt.Sprintf(" %d %v %d", x.GetRevision(), x.GetLabels(), x.GetRuleCount())
		}
		lines = append(lines, line)
	}
	return &lines
}

func TestWorkloadsComeAndGo(t *testing.T) {
	var w witness
	lines := heard(&w)
	host := &flow.Workload{CgroupID: 1, Runtime: flow.RuntimeHost, Name: "host"}
	web := &flow.Workload{CgroupID: 2, Runtime: flow.RuntimeDocker, Name: "web-1", Namespace: "shop", Labels: []flow.Label{{Source: "container", Key: "name", Value: "web-1"}}}
	nameless := &flow.Workload{CgroupID: 3, Runtime: flow.RuntimeDocker, Name: "0123456789ab", Pending: true}
	named := &flow.Workload{CgroupID: 3, Runtime: flow.RuntimeDocker, Name: "db-1"}
	again := &flow.Workload{CgroupID: 3, Runtime: flow.RuntimeDocker, Name: "db-1", Pending: true}
	for _, step := range []struct {
		live []*flow.Workload
		want []string
	}{
		{[]*flow.Workload{host}, nil}, // what is there at first did not come
		{[]*flow.Workload{host, web, nameless}, []string{"ENDPOINT_CREATED 2 shop/web-1 [container:name=web-1]"}},
		{[]*flow.Workload{host, web, named}, []string{"ENDPOINT_CREATED 3 /db-1 []"}},
		{[]*flow.Workload{host, web, again}, nil}, // it is asked for once more, and stays
		{[]*flow.Workload{web, named}, nil},
		{[]*flow.Workload{host}, []string{"ENDPOINT_DELETED 2 shop/web-1 [container:name=web-1]", "ENDPOINT_DELETED 3 /db-1 []"}},
		{[]*flow.Workload{nameless}, nil},
		{nil, nil}, // it never had a name, and was not told of
		{[]*flow.Workload{web}, []string{"ENDPOINT_CREATED 2 shop/web-1 [container:name=web-1]"}},
	} {
		*lines = nil
		w.workloads(step.live)
		if !slices.Equal(*lines, step.want) {
			t.Errorf("after %v: %q, want %q", step.live, *lines, step.want)
		}
	}
}

func TestPoliciesComeAndGo(t *testing.T) {
	rules := map[string]int{"shop/web": 2, "shop/db": 1}
	w := witness{rules: func() map[string]int { return rules }}
	lines := heard(&w)
	audited := enforce.Stored{Name: "shop/web", Kind: "CiliumNetworkPolicy", Mode: policy.ModeAudit, Source: "one"}
	enforced, edited := audited, audited
	enforced.Mode, edited.Source = policy.ModeEnforce, "two"
	db := enforce.Stored{Name: "shop/db", Kind: "NetworkPolicy", Mode: policy.ModeEnforce, Source: "db"}
	revision := func(n uint64, list ...enforce.Stored) enforce.Revision {
		return enforce.Revision{Number: n, Policies: list}
	}
	var history []enforce.Revision // newest first
	for _, step := range []struct {
		made []enforce.Revision // since the last look, oldest first
		want []string
	}{
		{nil, nil},
		// Of the time before, only what holds is told.
		{[]enforce.Revision{revision(7, audited), revision(8, enforced)}, []string{"POLICY_UPDATED 8 [weir:policy=shop/web weir:mode=enforce weir:kind=CiliumNetworkPolicy] 2"}},
		{nil, nil},
		{[]enforce.Revision{revision(9, enforced, db)}, []string{"POLICY_UPDATED 9 [weir:policy=shop/db weir:mode=enforce weir:kind=NetworkPolicy] 1"}},
		// Each of two revisions between two looks is told.
		{[]enforce.Revision{revision(10, audited, db), revision(11, edited)}, []string{
			"POLICY_UPDATED 10 [weir:policy=shop/web weir:mode=audit weir:kind=CiliumNetworkPolicy] 2",
			"POLICY_UPDATED 11 [weir:policy=shop/web weir:mode=audit weir:kind=CiliumNetworkPolicy] 2",
			"POLICY_DELETED 11 [weir:policy=shop/db weir:mode=enforce weir:kind=NetworkPolicy] 1",
		}},
		{[]enforce.Revision{revision(12)}, []string{"POLICY_DELETED 12 [weir:policy=shop/web weir:mode=audit weir:kind=CiliumNetworkPolicy] 2"}},
		{[]enforce.Revision{revision(13)}, nil},
	} {
		*lines = nil
		for _, r := range step.made {
			history = append([]enforce.Revision{r}, history...)
		}
		w.revisions(history)
		if !slices.Equal(*lines, step.want) {
			t.Errorf("after %v: %q, want %q", step.made, *lines, step.want)
		}
	}
}
