package replay

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

func sampleJudged() *flow.Judged {
	return &flow.Judged{
		Cgroup: 7, PeerCgroup: 9, Ingress: true, Denied: true, Ended: true, Protocol: flow.TCP,
		Local: netip.MustParseAddrPort("10.0.0.1:3306"), Remote: netip.MustParseAddrPort("10.0.0.2:40000"), Port: 3306,
		PID: 12, Comm: flow.MakeComm("mariadbd"), Count: 4, Rule: "deny everyone else to 10.0.0.1/32", Asked: "db.example.com",
		By: []flow.PolicyRef{{Name: "mysql", Namespace: "shop", Kind: "Guard", Mode: "enforce", Section: "guard", Index: 1}},
	}
}

func TestJudgedIsBounded(t *testing.T) {
	for name, break_ := range map[string]func(*wireJudged){
		"rule":     func(w *wireJudged) { w.Rule = text(strings.Repeat("x", maxString+1)) },
		"policies": func(w *wireJudged) { w.By = make([]wirePolicyRef, maxPolicyRefs+1) },
		"name":     func(w *wireJudged) { w.By[0].Name = text(strings.Repeat("x", maxString+1)) },
		"remote":   func(w *wireJudged) { w.Remote = "nowhere" },
		"command":  func(w *wireJudged) { w.Comm = text(strings.Repeat("x", 17)) },
	} {
		w := encodeJudged(sampleJudged())
		break_(w)
		if _, err := w.decode(); err == nil {
			t.Errorf("a bad %s is taken", name)
		}
	}
}
