package recordtest

import (
	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
)

// anyJudged draws what policies may say.
func anyJudged(t *rapid.T, six bool, proto flow.Protocol) *flow.Judged {
	j := &flow.Judged{
		Cgroup: rapid.Uint64().Draw(t, "jcgroup"), PeerCgroup: rapid.Uint64().Draw(t, "jpeer"),
		Ingress: rapid.Bool().Draw(t, "jingress"), Denied: rapid.Bool().Draw(t, "jdenied"), Ended: rapid.Bool().Draw(t, "jended"),
		Protocol: proto, Local: address(t, "jlocal", six, proto.HasPorts()), Remote: address(t, "jremote", six, proto.HasPorts()),
		Port: rapid.Uint16().Draw(t, "jport"), PID: rapid.Uint32().Draw(t, "jpid"), Count: rapid.Uint64().Draw(t, "jcount"), Rule: text(t, "jrule"), Asked: text(t, "jasked"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "jpolicies") {
		j.By = append(j.By, flow.PolicyRef{
			Name: text(t, "jname"), Namespace: text(t, "jnamespace"), Kind: text(t, "jkind"), Mode: text(t, "jmode"),
			Section: text(t, "jsection"), Index: rapid.IntRange(0, 1<<20).Draw(t, "jindex"),
		})
	}
	return j
}
