package policy

import (
	"reflect"
	"strings"
	"testing"
)

func namespaced(text string) string {
	return strings.Replace(text, "name: p", "name: p, namespace: shop", 1)
}

func TestExportCilium(t *testing.T) {
	text, problems := Export(parsed(t, in(web+"egress: [{toPorts: [{ports: ["+strings.Repeat("{port: 1},", 50)+"]}]}]")), FormatCilium)
	got := string(text)
	if problems.Err() != nil || !strings.Contains(problems.Error(), "mode audit is lost") {
		t.Fatal(problems)
	}
	if strings.Contains(got, "mode:") || !strings.Contains(got, "kind: CiliumClusterwideNetworkPolicy") || strings.Count(got, "- ports:") != 2 || !strings.HasPrefix(got, "# In weir this policy is in mode audit") {
		t.Error(got)
	}
}

func TestExportWarnsOfFlags(t *testing.T) {
	text, problems := Export(parsed(t, in("mode: enforce\n"+web+"egress: [{toPorts: [{ports: [{protocol: GRE}]}]}]")), FormatCilium)
	if text == nil || len(problems) != 1 || !strings.Contains(problems.Error(), "warning: protocol GRE: Cilium takes it with") {
		t.Errorf("%v", problems)
	}
}

func TestExportRefuses(t *testing.T) {
	ns := func(spec string) string { return namespaced(in(web + spec)) }
	for want, tt := range map[string]struct {
		text   string
		format Format
	}{
		"a Guard speaks of everyone":               {guardOf("toCIDR: [10.0.0.1]\nallowedFrom: []"), FormatCilium},
		"no systemd units":                         {in("endpointSelector: {matchLabels: {systemd:unit: a}}\negress: [{}]"), FormatCilium},
		"toFQDNs in a denial":                      {in(web + "egressDeny: [{toFQDNs: [{matchName: a.b}]}]"), FormatCilium},
		"an empty toFQDNs":                         {in(web + "egress: [{toFQDNs: []}]"), FormatCilium},
		"kafka rules: Cilium has none":             {in(web + `egress: [{toPorts: [{ports: [{port: 1, protocol: TCP}], rules: {kafka: [{}]}}]}]`), FormatCilium},
		"rules in a denial":                        {in(web + `egressDeny: [{toPorts: [{ports: [{port: 1, protocol: TCP}], rules: {http: [{}]}}]}]`), FormatCilium},
		"no namespace":                             {in(web + "egress: [{}]"), FormatKubernetes},
		"rules that deny":                          {ns("egressDeny: [{}]"), FormatKubernetes},
		"nodeSelector":                             {in("nodeSelector: {}\negress: [{}]"), FormatKubernetes},
		"icmps":                                    {ns("egress: [{icmps: [{fields: [{type: 8}]}]}]"), FormatKubernetes},
		`entity "host"`:                            {ns("egress: [{toEntities: [host]}]"), FormatKubernetes},
		"toFQDNs: a NetworkPolicy":                 {ns("egress: [{toFQDNs: [{matchName: a.b}]}]"), FormatKubernetes},
		"enableDefaultDeny.egress: false":          {ns("enableDefaultDeny: {egress: false}\negress: [{toCIDR: [10.0.0.1]}]"), FormatKubernetes},
		"protocol GRE":                             {ns("egress: [{toPorts: [{ports: [{protocol: GRE}]}]}]"), FormatKubernetes},
		"rules for requests":                       {ns(`egress: [{toPorts: [{ports: [{port: 1, protocol: TCP}], rules: {http: [{}]}}]}]`), FormatKubernetes},
		"labels of pods alone":                     {strings.Replace(ns("egress: [{}]"), "app: web", "container:app: web", 1), FormatKubernetes},
		`unknown format "k8"; did you mean "k8s"?`: {ns("egress: [{}]"), "k8"},
	} {
		text, problems := Export(parsed(t, tt.text), tt.format)
		if err := problems.Err(); text != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\n%s", want, err, text)
		}
	}
}

// TestKubernetesIsExportedAsItWas: what a NetworkPolicy says is not changed by
// being read and exported.
func TestKubernetesIsExportedAsItWas(t *testing.T) {
	workloads := hostOf()
	for i := range workloads {
		workloads[i].Labels["k8s:app"] = workloads[i].Labels["container:app"]
	}
	for _, spec := range []string{
		"podSelector: {}", "podSelector: {}\ningress: [{}]", "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]",
		"podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}, {port: http}, {port: 1, endPort: 9, protocol: UDP}]}]",
		"podSelector: {}\negress: [{to: [{namespaceSelector: {}}, {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: blog}}, podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]",
		"podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}\ningress: [{ports: [{protocol: SCTP}]}]",
		"podSelector: {}\negress: [{to: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [a]}]}}]}]",
	} {
		before := parsed(t, namespaced(k8s(spec)))
		text, problems := Export(before, FormatKubernetes)
		if problems.Err() != nil {
			t.Fatal(problems)
		}
		after := parsed(t, string(text))
		a, _ := Compile(before, workloads, Limits{})
		b, _ := Compile(after, workloads, Limits{})
		for _, tables := range []*Tables{a, b} {
			for i := range tables.Rules {
				tables.Rules[i] = Rule{Description: tables.Rules[i].Description}
			}
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s\n%s\n%+v\n%+v", spec, text, a, b)
		}
	}
}
