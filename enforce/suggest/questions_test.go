package suggest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
	"github.com/seed79351815/weir/enforce/policy"
)

// asking are the records of a workload that asks resolvers for names.
func asking(resolvers []string, names ...string) (out []flow.Record) {
	w := flowtest.Local(flowtest.Service(11, "shop", "web", 1), 40000)
	for i, address := range resolvers {
		to := flowtest.Remote(address, 53)
		out = append(out, flowtest.Flow(uint64(i), flow.UDP, w, to)...)
		for j, name := range names {
			if j%len(resolvers) == i {
				out = append(out, flowtest.Tally(flow.DNS, "A", name, 3, w, to))
			}
		}
	}
	return out
}

func TestQuestions(t *testing.T) {
	var many []string
	for i := range maxQuestions + 1 {
		many = append(many, fmt.Sprintf("n%02d.example.com", i))
	}
	exact := func(names ...string) (out []policy.FQDN) {
		for _, n := range names {
			out = append(out, policy.FQDN{Name: n})
		}
		return out
	}
	one, two := []string{"198.51.100.53"}, []string{"198.51.100.53", "203.0.113.53"}
	toName := flowtest.Flow(7, flow.TCP, flowtest.Local(flowtest.Service(11, "shop", "web", 1), 40001), flowtest.Remote("198.51.100.7", 443, "led.example.com"))
	for _, tc := range []struct {
		name    string
		records []flow.Record
		missed  uint64
		want    []policy.FQDN
	}{
		{"each once and in order", asking(one, "b.example.com", "a.example.com", "b.example.com", "A.example.com."), 0, exact("a.example.com", "b.example.com")},
		{"as many as a rule has", asking(one, many[1:]...), 0, exact(many[1:]...)},
		{"too many", asking(one, many...), 0, []policy.FQDN{anyQuestion}},
		{"none was read", asking(one), 0, []policy.FQDN{anyQuestion}},
		{"no name that a rule can have", asking(one, "a.example.com", "a b"), 0, []policy.FQDN{anyQuestion}},
		{"some are not in the baseline", asking(one, "a.example.com"), 1, []policy.FQDN{anyQuestion}},
		{"names of addresses", asking(one, "1.0.0.10.in-addr.arpa", "2.0.0.10.in-addr.arpa.", "x.example.com"), 0, []policy.FQDN{{Pattern: "**.in-addr.arpa"}, {Name: "x.example.com"}}},
		{"resolvers with one rule", asking(two, "a.example.com", "b.example.com"), 0, exact("a.example.com", "b.example.com")},
		{"of one of them nothing was read", asking(two, "a.example.com"), 0, []policy.FQDN{anyQuestion}},
		{"a name that led somewhere", slices.Concat(asking(one, "a.example.com"), toName), 0, exact("a.example.com", "led.example.com")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := learned(t, tc.records)
			b.Missed[baseline.MissedOperations] = tc.missed
			s := suggested(t, b, web)
			var got [][]policy.FQDN
			for _, r := range parsed(t, s).Specs[0].Egress {
				for _, p := range r.Ports {
					if p.Rules != nil {
						got = append(got, p.Rules.DNS)
					}
				}
			}
			if len(got) != 1 || !slices.Equal(got[0], tc.want) {
				t.Errorf("questions %v, want once %v in\n%s", got, tc.want, s.YAML())
			}
		})
	}
}
