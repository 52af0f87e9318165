package policy

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	before := in(web + "egress: [{toEndpoints: [{}]}, {toCIDR: [10.0.0.0/8]}]")
	guard := guardOf("toCIDR: [10.0.0.1]\ntoPorts: [{ports: [{port: 1}]}]\nallowedFrom: [{matchLabels: {a: b}}]")
	for name, tt := range map[string]struct {
		a, b string
		want []string
	}{
		"same":          {before, before, nil},
		"order":         {before, in(web + "egress: [{toCIDR: [10.0.0.0/8]}, {toEndpoints: [{}]}]"), nil},
		"mode":          {before, in("mode: enforce\n" + web + "egress: [{toEndpoints: [{}]}, {toCIDR: [10.0.0.0/8]}]"), []string{"~ CiliumNetworkPolicy p: mode audit → mode enforce"}},
		"rule":          {before, in(web + "egress: [{toEndpoints: [{}]}, {toCIDR: [10.0.0.0/9]}]"), []string{"- CiliumNetworkPolicy p: egress: allow to 10.0.0.0/8", "+ CiliumNetworkPolicy p: egress: allow to 10.0.0.0/9"}},
		"selector":      {before, strings.Replace(before, "web", "db", 1), []string{"~ CiliumNetworkPolicy p: selects app=web → selects app=db"}},
		"default deny":  {before, strings.Replace(before, "egress:", "enableDefaultDeny: {egress: false}\n  egress:", 1), []string{"~ CiliumNetworkPolicy p: default deny of egress: true → default deny of egress: false"}},
		"new and gone":  {before, guard, []string{"- CiliumNetworkPolicy p: policy is gone", "+ Guard g: new policy"}},
		"guard":         {guard, strings.NewReplacer("a: b", "a: c", "10.0.0.1", "10.0.0.2").Replace(guard), []string{"- Guard g: allowedFrom: a=b", "- Guard g: destination 10.0.0.1/32", "+ Guard g: allowedFrom: a=c", "+ Guard g: destination 10.0.0.2/32"}},
		"empty or none": {in(web + "egress: [{toEndpoints: [], toPorts: [{ports: [{port: 1}]}]}]"), in(web + "egress: [{toPorts: [{ports: [{port: 1}]}]}]"), []string{"- CiliumNetworkPolicy p: egress: allow to nobody on 1/ANY", "+ CiliumNetworkPolicy p: egress: allow to everyone on 1/ANY"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range Diff(parsed(t, tt.a), parsed(t, tt.b)) {
				got = append(got, c.String())
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}
