package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestSelects(t *testing.T) {
	for text, want := range map[string][]string{
		in(web + "egress: [{}]"): {"web-1", "web-2", "other"},
		strings.Replace(in(web+"egress: [{}]"), "name: p", "name: p, namespace: blog", 1): {"other"},
		in("endpointSelector: {}\negress: [{}]"):                                          {"web-1", "web-2", "db", "other"},
		in("nodeSelector: {}\negress: [{}]"):                                              {"host", "sshd.service"},
		in("nodeSelector: {matchLabels: {systemd:unit: sshd.service}}\negress: [{}]"):     {"sshd.service"},
		guardOf("toCIDR: [10.0.0.1]\nallowedFrom: [{matchLabels: {app: db}}]"):            {"db"},
	} {
		var got []string
		policies, workloads := parsed(t, text), hostOf()
		for i := range workloads {
			if Selects(policies[0], &workloads[i]) {
				got = append(got, workloads[i].Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v\n%s", got, want, text)
		}
	}
	if w := hostOf()[0]; Selects(&Policy{Specs: []Spec{{}}}, &w) {
		t.Error("a Spec without a selector")
	}
}
