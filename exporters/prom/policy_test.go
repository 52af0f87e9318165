package prom

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

func verdict(kind flow.RecordKind, v flow.Verdict, drop *flow.Drop) flow.Record {
	r := record(kind, web, redis)
	r.Verdict, r.Drop = v, drop
	return r
}

// fillPolicy gives the policy metric series.
func fillPolicy(t *testing.T, e *Exporter) {
	t.Helper()
	consume(t, e,
		verdict(flow.RecordStart, flow.VerdictAudit, nil),
		verdict(flow.RecordDrop, flow.VerdictDropped, &flow.Drop{Reason: "POLICY_DENIED", Packets: 3}))
}

func TestVerdicts(t *testing.T) {
	e, _ := newExporter(t, 0)
	fillPolicy(t, e)
	consume(t, e,
		// Repeats of the start, and what no policy decided.
		verdict(flow.RecordUpdate, flow.VerdictAudit, nil),
		verdict(flow.RecordEnd, flow.VerdictAudit, nil),
		verdict(flow.RecordStart, flow.VerdictForwarded, nil),
		verdict(flow.RecordDrop, flow.VerdictDropped, &flow.Drop{Reason: "NO_SOCKET", Packets: 9}),
		verdict(flow.RecordDrop, flow.VerdictDropped, nil))
	labels := func(action, mode string) string {
		return "action=" + action + "," + shop + "direction=,match=,mode=" + mode + ",policy=,protocol=tcp,rule=," + fromWeb
	}
	expect(t, e, "weir_policy_verdicts_total", map[string]float64{labels("audit", "audit"): 1, labels("dropped", "enforce"): 3})
}

// Of policies that all want a rule none is left out, and the verdict counts once.
func TestDefaultDenyNamesEveryPolicy(t *testing.T) {
	ref := func(name string) flow.PolicyRef { return flow.PolicyRef{Namespace: "shop", Name: name} }
	for _, c := range []struct {
		by   []flow.PolicyRef
		want string
	}{
		{nil, ""},
		{[]flow.PolicyRef{ref("web")}, "shop/web"},
		{[]flow.PolicyRef{ref("web"), ref("base"), ref("web")}, "shop/base,shop/web"},
		{[]flow.PolicyRef{ref("f"), ref("e"), ref("d"), ref("c"), ref("b"), ref("a")}, "shop/a,shop/b,shop/c,shop/d,+2"},
	} {
		e, _ := newExporter(t, 0)
		r := verdict(flow.RecordVerdict, flow.VerdictDropped, nil)
		r.Judged = &flow.Judged{Denied: true, Count: 5, By: c.by}
		consume(t, e, r)
		expect(t, e, "weir_policy_verdicts_total", map[string]float64{
			"action=dropped," + shop + "direction=egress,match=none,mode=enforce,policy=" + c.want + ",protocol=tcp,rule=," + fromWeb: 5,
		})
	}
}

// refused is a policy's verdict by one of its rules.
func refused(rule string, n uint64) flow.Record {
	r := verdict(flow.RecordVerdict, flow.VerdictDropped, nil)
	r.Judged = &flow.Judged{Denied: true, Count: n, Rule: rule, By: []flow.PolicyRef{{Namespace: "shop", Name: "web"}}}
	return r
}

// Rules are many, and their names anything: the budget holds, and nothing is lost.
func TestVerdictsOfManyRules(t *testing.T) {
	e, _ := newExporter(t, 3)
	consume(t, e, refused("rule\x00 1", 7))
	expect(t, e, "weir_policy_verdicts_total", map[string]float64{
		"action=dropped," + shop + "direction=egress,match=l3-l4,mode=enforce,policy=shop/web,protocol=tcp,rule=rule? 1," + fromWeb: 7,
	})
	for i := range 5 {
		consume(t, e, refused(fmt.Sprint("rule ", i+2), 7))
	}
	got := values(t, e, "weir_policy_verdicts_total")
	over := "action=dropped,destination_namespace=other,destination_workload=other,direction=egress,match=l3-l4," +
		"mode=enforce,policy=other,protocol=tcp,rule=other,source_namespace=other,source_workload=other"
	if len(got) != 4 || got[over] != 3*7 {
		t.Errorf("a budget of 3 gave %v, want 3 series and 21 in the overflow", got)
	}
	if sum(t, e, "weir_policy_verdicts_total") != 42 {
		t.Error("a verdict was lost to the budget")
	}
}

func TestOmitRule(t *testing.T) {
	labels, err := ParseLabels("", "rule")
	if err != nil {
		t.Fatal(err)
	}
	e := New(Config{Labels: labels})
	consume(t, e, refused("r", 1))
	for labels := range values(t, e, "weir_policy_verdicts_total") {
		if !strings.Contains(labels, "policy=shop/web,") || !strings.Contains(labels, "rule=,") {
			t.Errorf("labels %s, want the policy and no rule", labels)
		}
	}
}
