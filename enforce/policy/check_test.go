package policy

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"subject":      {in("endpointSelector: {matchLabels: {app: wbe}}\negress: [{}]"), "p.yaml:5:3: warning: the policy selects no workload that is known"},
		"peer":         {in(web + "egress: [{toEndpoints: [{matchLabels: {app: bd}}]}]"), `p.yaml:6:27: warning: selector "app=bd" selects no workload that is known`},
		"namespace":    {strings.Replace(in(web+"egress: [{toEndpoints: [{matchLabels: {app: nothing}}]}]"), "name: p", "name: p, namespace: shop", 1), `in namespace "shop"`},
		"allowedFrom":  {guardOf("toCIDR: [10.0.0.1]\nallowedFrom: [{matchLabels: {app: nobody}}]"), `selector "app=nobody" selects no workload`},
		"default deny": {in(web + "enableDefaultDeny: {ingress: true}\negress: [{}]"), `enableDefaultDeny.ingress has no effect without ingress rules; "ingress: [{}]" denies everything`},
		"local block":  {in(web + "egress: [{toCIDR: [172.17.0.5]}]"), `CIDR 172.17.0.5/32 does not select "shop/db", which has address 172.17.0.5`},
		"no resolver":  {in(web + "egress: [{toFQDNs: [{matchName: a.com}]}]"), "p.yaml:6:12: warning: toFQDNs, but no rule lets the workload ask a resolver"},
		"by name":      {guardOf("toFQDNs: [{matchName: a.com}]\nallowedFrom: []"), "add toCIDR"},
		"not judged":   {in(web + `egress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{}]}}]}]`), "warning: not enforceable yet: http rules"},
		"enforce":      {in("mode: enforce\n" + web + `egress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{}]}}]}]`), "p.yaml:7:23: not enforceable yet: http rules"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Check(parsed(t, tt.text), hostOf(), Limits{}); !strings.Contains(got.Error(), tt.want) {
				t.Errorf("%v\nwant %s", got, tt.want)
			}
		})
	}
}

func TestCheckIsSilentWhereAllIsWell(t *testing.T) {
	for _, text := range []string{
		in(web + "egress: [{toFQDNs: [{matchName: a.com}]}, {toEntities: [host], toPorts: [{ports: [{port: \"53\", protocol: UDP}]}]}]"),
		in(web + "egress: [{toCIDR: [172.16.0.0/12]}, {toEndpoints: [{matchLabels: {app: db}}]}]\ningress: [{fromEntities: [host]}]"),
		guardOf("toEndpoints: [{matchLabels: {app: db}}]\nallowedFrom: [{matchLabels: {app: web}}]"),
	} {
		if got := Check(parsed(t, text), hostOf(), Limits{}); len(got) > 0 {
			t.Errorf("%v\n%s", got, text)
		}
	}
}

func TestParseWarnings(t *testing.T) {
	for text, want := range map[string]string{
		in(web + "ingress: []\negress: [{}]"):                                 `p.yaml:6:12: warning: empty section: it has no effect`,
		in(web + "egress: [{toCIDR: [10.0.0.1/8]}]"):                          "it means 10.0.0.0/8",
		in(web + "egress: [{toPorts: [{}]}]"):                                 "toPorts without ports selects nothing",
		in(web + "egress: [{icmps: [{}]}]"):                                   "icmps without fields selects nothing",
		in(web + "egressDeny: [{}]"):                                          "denies nothing",
		k8s("podSelector: {}\npolicyTypes: [Egress]\ningress: [{ports: []}]"): "ingress rules have no effect without Ingress in policyTypes",
	} {
		_, problems := Parse("p.yaml", []byte(text))
		if problems.Err() != nil || !strings.Contains(problems.Error(), want) {
			t.Errorf("%v\nwant %s", problems, want)
		}
	}
}
