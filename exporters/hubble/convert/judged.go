package convert

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// eventPolicyVerdict is Cilium's type for what a policy decided, and the matches
// are its policy_match_type: pkg/monitor/api.
const (
	eventPolicyVerdict = 5
	matchNone          = 0 // no rule allows it
	matchL3L4          = 2
)

// maxRefs bounds the policies of one verdict.
const maxRefs = 64

// setJudged makes a policy verdict of the flow, as Cilium tells one.
func (p *parts) setJudged(j *flow.Judged) {
	out := &p.flow
	p.setEvent(eventPolicyVerdict, 0)
	if j.Rule != "" {
		out.PolicyMatchType = matchL3L4
	}
	by := make([]*flowpb.Policy, 0, len(j.By))
	for _, ref := range j.By {
		by = append(by, &flowpb.Policy{Name: valid(ref.Name), Namespace: valid(ref.Namespace), Kind: valid(ref.Kind)})
	}
	out.TrafficDirection = flowpb.TrafficDirection_EGRESS
	if j.Ingress {
		out.TrafficDirection, out.IngressDeniedBy = flowpb.TrafficDirection_INGRESS, by
	} else {
		out.EgressDeniedBy = by
	}
	if j.Denied {
		out.DropReasonDesc = flowpb.DropReason_POLICY_DENIED
		//lint:ignore SA1019 deprecated, but old clients read it
		out.DropReason = uint32(flowpb.DropReason_POLICY_DENIED)
	}
}

func judgedSummary(j *flow.Judged) string {
	what := "would be denied"
	switch {
	case j.Ended:
		what = "connection ended"
	case j.Denied:
		what = "denied"
	}
	if j.Count != 1 {
		what += fmt.Sprintf(" %d times", j.Count)
	}
	rule := j.Rule
	if rule == "" {
		rule = "no rule allows it"
	}
	if j.Asked != "" {
		rule += ", asked for " + j.Asked
	}
	var by []string
	for _, p := range j.By {
		by = append(by, p.String())
	}
	if len(by) > 0 {
		what += " by " + strings.Join(by, ", ")
	}
	return valid(what + ": " + rule)
}

func (o *object) judged(j *flow.Judged) {
	by := func(key string, of func(flow.PolicyRef) string) {
		list := make([]string, len(j.By))
		for i, p := range j.By {
			list[i] = of(p)
		}
		o.texts(key, list)
	}
	o.text("asked", j.Asked)
	o.number("cgroup_id", j.Cgroup)
	o.text("command", j.Comm.String())
	o.number("count", j.Count)
	o.flag("denied", j.Denied)
	o.flag("ended", j.Ended)
	by("indexes", func(p flow.PolicyRef) string { return strconv.Itoa(p.Index) })
	o.flag("ingress", j.Ingress)
	by("kinds", func(p flow.PolicyRef) string { return p.Kind })
	o.address("local", netip.AddrPortFrom(j.Local.Addr(), 0))
	o.number("local_port", uint64(j.Local.Port()))
	by("modes", func(p flow.PolicyRef) string { return p.Mode })
	by("namespaces", func(p flow.PolicyRef) string { return p.Namespace })
	o.number("peer_cgroup_id", j.PeerCgroup)
	o.number("pid", uint64(j.PID))
	by("policies", func(p flow.PolicyRef) string { return p.Name })
	o.number("port", uint64(j.Port))
	o.number("protocol_number", uint64(j.Protocol))
	o.address("remote", netip.AddrPortFrom(j.Remote.Addr(), 0))
	o.number("remote_port", uint64(j.Remote.Port()))
	o.text("rule", j.Rule)
	by("sections", func(p flow.PolicyRef) string { return p.Section })
}

func (o reader) judged() *flow.Judged {
	j := &flow.Judged{
		Ingress: o.flag("ingress"), Denied: o.flag("denied"), Ended: o.flag("ended"),
		Cgroup: o.number("cgroup_id"), PeerCgroup: o.number("peer_cgroup_id"), Protocol: flow.Protocol(o.number("protocol_number")),
		Local:  address(o.text("local"), uint32(o.number("local_port"))),
		Remote: address(o.text("remote"), uint32(o.number("remote_port"))),
		Port:   uint16(o.number("port")), PID: uint32(o.number("pid")), Comm: flow.MakeComm(o.text("command")),
		Count: o.number("count"), Rule: o.text("rule"), Asked: o.text("asked"),
	}
	at := func(list []string, i int) string {
		if i < len(list) {
			return list[i]
		}
		return ""
	}
	names, namespaces, kinds := o.texts("policies", maxRefs), o.texts("namespaces", maxRefs), o.texts("kinds", maxRefs)
	modes, sections, indexes := o.texts("modes", maxRefs), o.texts("sections", maxRefs), o.texts("indexes", maxRefs)
	for i, name := range names {
		ref := flow.PolicyRef{Name: name, Namespace: at(namespaces, i), Kind: at(kinds, i), Mode: at(modes, i), Section: at(sections, i)}
		ref.Index, _ = strconv.Atoi(at(indexes, i)) // 0 where it is none
		j.By = append(j.By, ref)
	}
	return j
}
