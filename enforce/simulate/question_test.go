package simulate

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
	"github.com/seed79351815/weir/enforce/policy"
)

const asksOfExample = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web}
spec:
  endpointSelector: {matchLabels: {"container:com.docker.compose.service": web}}
  egress:
  - toCIDR: [198.51.100.53/32]
    toPorts:
    - ports: [{port: "53", protocol: UDP}]
      rules: {dns: [{matchPattern: "*.example.com"}]}
`

func TestQuestionsAreJudged(t *testing.T) {
	web := flowtest.Service(11, "shop", "web", 1)
	again := flowtest.Service(12, "shop", "web", 2)
	resolver, other := flowtest.Remote("198.51.100.53", 53), flowtest.Remote("203.0.113.53", 53)
	failed := flowtest.Tally(flow.DNS, "A", "nowhere.example.org", 2, flowtest.Local(web, 40000), resolver)
	failed.L7.Error = true
	records := slices.Concat(
		flowtest.Flow(1, flow.UDP, flowtest.Local(web, 40000), resolver),
		flowtest.Flow(2, flow.UDP, flowtest.Local(again, 40000), resolver),
		flowtest.Flow(3, flow.UDP, flowtest.Local(web, 40001), other),
		[]flow.Record{
			flowtest.Tally(flow.DNS, "A", "db.example.com", 5, flowtest.Local(web, 40000), resolver),
			flowtest.Tally(flow.DNS, "A", "evil.example.org", 3, flowtest.Local(web, 40000), resolver),
			flowtest.Tally(flow.DNS, "AAAA", "evil.example.org", 4, flowtest.Local(again, 40000), resolver),
			failed,
			// The flow to this one is denied, and tells of it.
			flowtest.Tally(flow.DNS, "A", "evil.example.org", 9, flowtest.Local(web, 40001), other),
		},
	)
	r := ran(t, records, parsed(t, asksOfExample))
	if r.Questions != 23 || r.Refused != 7 || r.Flows != 3 || r.Denied != 1 || !r.Found() {
		t.Errorf("%+v", r)
	}
	type row struct {
		asked  string
		times  uint64
		result policy.Result
		passed bool
	}
	var got []row
	for _, d := range r.Denials {
		got = append(got, row{d.Asked, d.Flows, d.Result, d.Passed})
	}
	want := []row{{"evil.example.org", 7, policy.Audited, true}, {"", 1, policy.Audited, true}, {"nowhere.example.org", 2, policy.Audited, false}}
	if !slices.Equal(got, want) {
		t.Errorf("denials %+v, want %+v", got, want)
	}
	var text strings.Builder
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "first: invalid") || strings.Count(text.String(), "\n  first: ") != 1 {
		t.Errorf("only the flow has a first one:\n%s", &text)
	}
	for _, line := range []string{
		"23 questions of DNS judged: 7 that were answered would have been denied\n",
		"denied: shop/web to 198.51.100.53 over udp/53: 7 questions for evil.example.org, ",
		"attempt denied: shop/web to 198.51.100.53 over udp/53: 2 questions for nowhere.example.org, ",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, &text)
		}
	}

	// A policy without rules for names lets all of them through.
	open := parsed(t, strings.Replace(asksOfExample, `*.example.com`, `*`, 1))
	if r := ran(t, records, open); r.Refused != 0 || r.Denied != 1 {
		t.Errorf("with every name allowed: %+v", r)
	}
}
