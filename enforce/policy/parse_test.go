package policy

import (
	"strings"
	"testing"
)

// in wraps a spec into a policy; its first line is line 5, column 3.
func in(spec string) string {
	return "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspec:\n  " + strings.ReplaceAll(spec, "\n", "\n  ")
}

func k8s(spec string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  " + strings.ReplaceAll(spec, "\n", "\n  ")
}

func guardOf(spec string) string {
	return "apiVersion: weir.dev/v1alpha1\nkind: Guard\nmetadata: {name: g}\nspec:\n  " + strings.ReplaceAll(spec, "\n", "\n  ")
}

// parsed reads a file that must be without errors.
func parsed(t testing.TB, text string) []*Policy {
	t.Helper()
	ps, problems := Parse("p.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return ps
}

func TestParseErrors(t *testing.T) {
	const rule = "endpointSelector: {}\negress:\n- "
	for name, tt := range map[string]struct{ text, want string }{
		"unknown field":       {in("endpointSelector: {}\ningres: []"), `p.yaml:6:3: unknown field "ingres"; did you mean "ingress"?`},
		"deep unknown field":  {in(rule + `toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{metod: GET}]}}]`), `p.yaml:7:70: unknown field "metod"; did you mean "method"?`},
		"duplicate field":     {in(rule + "toEntities: [all]\n  toEntities: [world]"), `p.yaml:8:5: duplicate field "toEntities", first in line 7`},
		"duplicate label":     {in("endpointSelector: {matchLabels: {a: b, a: c}}\negress: [{}]"), `duplicate field "a"`},
		"no kind":             {"a: b", "p.yaml:1:1: no kind"},
		"unknown kind":        {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolcy", `p.yaml:2:7: unknown kind "CiliumNetworkPolcy"; did you mean "CiliumNetworkPolicy"?`},
		"wrong version":       {strings.Replace(in("endpointSelector: {}\negress: [{}]"), "v2", "v3", 1), `p.yaml:1:13: unknown apiVersion "cilium.io/v3"`},
		"no name":             {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nspec: {endpointSelector: {}, egress: [{}]}", "no metadata.name"},
		"bad name":            {strings.Replace(in("endpointSelector: {}\negress: [{}]"), "name: p", `name: "a\u001b[31m"`, 1), "control characters"},
		"bidi":                {in("endpointSelector: {matchLabels: {a: \"b\\u202e\"}}\negress: [{}]"), "control characters"},
		"no spec":             {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}", "no spec"},
		"no selector":         {in("egress: [{}]"), "no endpointSelector"},
		"both selectors":      {in("endpointSelector: {}\nnodeSelector: {}\negress: [{}]"), "only one of them is allowed"},
		"no rules":            {in("endpointSelector: {}\ningress: []"), "no rules"},
		"null list":           {in(rule + "toEndpoints:"), "p.yaml:7:17: toEndpoints must be a list, not empty; leave the field out, or write []"},
		"null selector":       {in("endpointSelector:\negress: [{}]"), "a selector must be an object, not empty"},
		"list for object":     {in("endpointSelector: []\negress: [{}]"), "p.yaml:5:21: a selector must be an object, not a list"},
		"number for text":     {in("endpointSelector: {matchLabels: {v: 1.10}}\negress: [{}]"), `label "v" must be text, not a number; write "1.10" in quotes`},
		"bool for text":       {in("endpointSelector: {matchLabels: {v: true}}\negress: [{}]"), `write "true" in quotes`},
		"unsupported":         {in(rule + "toServices: []"), `p.yaml:7:5: unsupported field "toServices": weir does not know Kubernetes services`},
		"requires":            {in("endpointSelector: {}\ningress:\n- fromRequires: []"), `unsupported field "fromRequires"`},
		"groups":              {in(rule + "toGroups: []"), `unsupported field "toGroups"`},
		"authentication":      {in(rule + "authentication: {mode: required}"), `unsupported field "authentication"`},
		"wrong side":          {in(rule + "fromEndpoints: []"), `unknown field "fromEndpoints"; did you mean "toEndpoints"?`},
		"tls":                 {in(rule + `toPorts: [{ports: [{port: "1"}], terminatingTLS: {}}]`), "weir does not open TLS"},
		"two kinds of peers":  {in(rule + "toEndpoints: [{}]\n  toCIDR: [10.0.0.0/8]"), "toCIDR and toEndpoints: only one kind"},
		"ports and icmps":     {in(rule + "toPorts: [{ports: [{port: \"1\"}]}]\n  icmps: [{fields: [{type: 8}]}]"), "toPorts and icmps"},
		"entity":              {in(rule + "toEntities: [wrld]"), `unknown entity "wrld"; did you mean "world"?`},
		"refused entity":      {in(rule + "toEntities: [kube-apiserver]"), `unsupported entity "kube-apiserver": weir does not know`},
		"empty entity":        {in(rule + `toEntities: [""]`), `unknown entity ""`},
		"cidr":                {in(rule + "toCIDR: [10.0.0.0/33]"), `"10.0.0.0/33" is no CIDR`},
		"mapped cidr":         {in(rule + `toCIDR: ["::ffff:10.0.0.0/104"]`), "IPv4 written as IPv6"},
		"except outside":      {in(rule + "toCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]"), "except 11.0.0.0/16 is not within 10.0.0.0/8"},
		"except wider":        {in(rule + "toCIDRSet: [{cidr: 10.0.0.0/8, except: [0.0.0.0/0]}]"), "is not within"},
		"cidr group":          {in(rule + "toCIDRSet: [{cidrGroupRef: g}]"), "CiliumCIDRGroup"},
		"bare in set":         {in(rule + "toCIDRSet: [{cidr: 10.0.0.1}]"), "no CIDR"},
		"no port":             {in(rule + "toPorts: [{ports: [{protocol: TCP}]}]"), "no port"},
		"port too big":        {in(rule + `toPorts: [{ports: [{port: "65536"}]}]`), `port "65536" is neither`},
		"octal port":          {in(rule + `toPorts: [{ports: [{port: "010"}]}]`), `port "010" is neither`},
		"octal number":        {in(rule + `toPorts: [{ports: [{port: 0o10}]}]`), "port must be a number from 0 to 65535"},
		"negative port":       {in(rule + `toPorts: [{ports: [{port: -1}]}]`), "port must be a number"},
		"range down":          {in(rule + `toPorts: [{ports: [{port: "90", endPort: 80}]}]`), "endPort 80 is below port 90"},
		"range of a name":     {in(rule + `toPorts: [{ports: [{port: "http", endPort: 80}]}]`), "endPort needs a port number"},
		"protocol":            {in(rule + `toPorts: [{ports: [{port: "1", protocol: TCPP}]}]`), `unknown protocol "TCPP"; did you mean "TCP"?`},
		"icmp as protocol":    {in(rule + `toPorts: [{ports: [{port: "1", protocol: ICMP}]}]`), "use icmps"},
		"gre with port":       {in(rule + `toPorts: [{ports: [{port: "1", protocol: GRE}]}]`), "GRE has no ports"},
		"icmp type":           {in(rule + `icmps: [{fields: [{type: EchoRequst}]}]`), `unknown ICMP type "EchoRequst" in IPv4; did you mean "EchoRequest"?`},
		"icmp number":         {in(rule + `icmps: [{fields: [{type: 256}]}]`), "type must be a number from 0 to 255"},
		"icmp no type":        {in(rule + `icmps: [{fields: [{family: IPv6}]}]`), "no type"},
		"fqdn":                {in(rule + `toFQDNs: [{matchName: "*.a.com"}]`), "is no DNS name"},
		"fqdn both":           {in(rule + `toFQDNs: [{matchName: a.com, matchPattern: a.com}]`), "only one of them"},
		"fqdn none":           {in(rule + `toFQDNs: [{}]`), "no matchName"},
		"fqdn at ingress":     {in("endpointSelector: {}\ningress:\n- toFQDNs: []"), `unknown field "toFQDNs"`},
		"operator":            {in("endpointSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}\negress: [{}]"), `unknown operator "in"; did you mean "In"?`},
		"no values":           {in("endpointSelector: {matchExpressions: [{key: a, operator: In, values: []}]}\negress: [{}]"), "operator In needs values"},
		"values":              {in("endpointSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}\negress: [{}]"), "operator Exists has no values"},
		"source":              {in("endpointSelector: {matchLabels: {container:a: b, kubernetes:a: b}}\negress: [{}]"), `unknown source "kubernetes" of label "kubernetes:a"`},
		"cluster label":       {in("endpointSelector: {matchLabels: {io.cilium.k8s.policy.cluster: c}}\negress: [{}]"), "no clusters"},
		"namespace label":     {in(rule + "toEndpoints: [{matchLabels: {io.cilium.k8s.namespace.labels.team: c}}]"), "its name alone"},
		"mode":                {in("endpointSelector: {}\nmode: enfroce\negress: [{}]"), `p.yaml:6:9: unknown mode "enfroce"; did you mean "enforce"?`},
		"deny flag":           {in("endpointSelector: {}\nenableDefaultDeny: {egress: yes please}\negress: [{}]"), "must be true or false"},
		"two protocols":       {in(rule + `toPorts: [{ports: [{port: "1", protocol: TCP}], rules: {http: [{}], dns: [{matchName: a.b}]}}]`), "rules are of one protocol"},
		"empty l7":            {in(rule + `toPorts: [{ports: [{port: "1", protocol: TCP}], rules: {http: []}}]`), "rules without any rule"},
		"l7 for udp":          {in(rule + `toPorts: [{ports: [{port: "1", protocol: UDP}], rules: {http: [{}]}}]`), "are for TCP"},
		"l7 on every port":    {in(rule + `toPorts: [{ports: [{port: "0", protocol: TCP}], rules: {http: [{}]}}]`), "rules need a port"},
		"reject without dns":  {in(rule + `toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{}], dnsRejectResponseCode: refused}}]`), "dnsRejectResponseCode needs dns rules"},
		"unknown reject":      {in(rule + `toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.b}], dnsRejectResponseCode: refuse}}]`), `unknown dnsRejectResponseCode "refuse"; did you mean "refused"?`},
		"dns range":           {in(rule + `toPorts: [{ports: [{port: "1", endPort: 3}], rules: {dns: [{matchName: a.b}]}}]`), "dns rules need single ports"},
		"dns at ingress":      {in("endpointSelector: {}\ningress:\n- " + `toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.b}]}}]`), "not allowed in ingress"},
		"regex":               {in(rule + `toPorts: [{ports: [{port: "1", protocol: TCP}], rules: {http: [{path: "("}]}}]`), "path is no regular expression"},
		"mismatch":            {in(rule + `toPorts: [{ports: [{port: "1", protocol: TCP}], rules: {http: [{headerMatches: [{name: a, mismatch: LOG}]}]}}]`), `unsupported field "mismatch"`},
		"kafka role":          {in(rule + `toPorts: [{ports: [{port: "1", protocol: TCP}], rules: {kafka: [{role: produc}]}}]`), `did you mean "produce"?`},
		"kafka both":          {in(rule + `toPorts: [{ports: [{port: "1", protocol: TCP}], rules: {kafka: [{role: produce, apiKey: fetch}]}}]`), "role and apiKey"},
		"nodes in namespace":  {strings.Replace(in("nodeSelector: {}\negress: [{}]"), "name: p", "name: p, namespace: n", 1), "no nodeSelector"},
		"other namespace":     {strings.Replace(in("endpointSelector: {matchLabels: {k8s:io.kubernetes.pod.namespace: m}}\negress: [{}]"), "name: p", "name: p, namespace: n", 1), `names namespace "m"`},
		"clusterwide":         {"apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p, namespace: n}\nspec: {endpointSelector: {}, egress: [{}]}", "has no namespace"},
		"merge key":           {in("endpointSelector: &a {}\n<<: *a\negress: [{}]"), "a field's name must be plain text"},
		"syntax":              {"a: [", "p.yaml:"},
		"k8s no selector":     {k8s("ingress: []"), "no podSelector"},
		"k8s empty peer":      {k8s("podSelector: {}\ningress: [{from: [{}]}]"), "a peer needs"},
		"k8s block and pod":   {k8s("podSelector: {}\ningress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]"), "only one of them"},
		"k8s type":            {k8s("podSelector: {}\npolicyTypes: [ingress]"), `did you mean "Ingress"?`},
		"k8s namespace label": {k8s("podSelector: {}\ningress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}]}]"), "its name alone"},
		"k8s source":          {k8s("podSelector: {matchLabels: {container:a: b}}"), "have no source"},
		"k8s mode":            {k8s("podSelector: {}\nmode: enforce"), `unknown field "mode"`},
		"k8s annotation":      {strings.Replace(k8s("podSelector: {}"), "name: p", "name: p, annotations: {weir.dev/mode: on}", 1), `annotation weir.dev/mode is for a NetworkPolicy`},
		"guard no dest":       {guardOf("allowedFrom: []"), "no destination"},
		"guard empty dest":    {guardOf("toCIDR: []\nallowedFrom: []"), "no destination"},
		"guard no allowed":    {guardOf("toCIDR: [10.0.0.1]"), "no allowedFrom"},
		"guard entities":      {guardOf("toEntities: [world]\nallowedFrom: []"), `unsupported field "toEntities"`},
		"twice":               {in("endpointSelector: {}\negress: [{}]") + "\n---\n" + in("endpointSelector: {}\negress: [{}]"), `p.yaml:8:1: CiliumNetworkPolicy "p" is there twice, first in p.yaml:1:1`},
		"list in list":        {"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: []}]", `unknown kind "List"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Parse("p.yaml", []byte(tt.text))
			if err := problems.Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s\n%s", err, tt.want, tt.text)
			}
		})
	}
}

func TestParseTakes(t *testing.T) {
	for name, text := range map[string]string{
		"from kubectl": `{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":[{"apiVersion":"cilium.io/v2","kind":"CiliumNetworkPolicy",
			"metadata":{"name":"a","namespace":"n","uid":"1","creationTimestamp":null,"managedFields":[{}],"labels":{"a":"b"}},"specs":[{"endpointSelector":{},"egress":[{}]}],"status":{"x":null}}]}`,
		"port as number": in("endpointSelector: {}\negress: [{toPorts: [{ports: [{port: 80, protocol: tcp}]}]}]"),
		"alias":          in("endpointSelector: &a {matchLabels: {a: b}}\negress: [{toEndpoints: [*a]}]"),
		"only comments":  "# nothing\n---\n" + in("endpointSelector: {}\negress: [{}]") + "\n---\n",
		"spec labels":    in("endpointSelector: {}\nlabels: [a, {source: k8s, key: b, value: c}]\nlog: {value: x}\negress: [{}]"),
		"every l7": in("endpointSelector: {}\negress:\n- toPorts:\n  - ports: [{port: \"1\", protocol: TCP}]\n    rules: {http: [{method: GET, path: /a, host: b, headers: [c], headerMatches: [{name: d, value: e}]}]}\n" +
			"  - ports: [{port: \"2\", protocol: TCP}]\n    rules: {kafka: [{role: produce, topic: t, clientID: c, apiVersion: \"3\"}, {apiKey: fetch, apiVersion: 4}]}\n" +
			"  - ports: [{port: \"3\", protocol: TCP}]\n    rules: {grpc: [{service: a.B, method: C}]}\n" +
			"  - ports: [{port: \"4\", protocol: TCP}]\n    rules: {l7proto: r2d2, l7: [{cmd: READ}, {}]}\n" +
			"  - ports: [{port: \"53\", protocol: ANY}]\n    rules: {dns: [{matchPattern: \"*\"}]}\n  - ports: [{port: \"443\", protocol: TCP}]\n    serverNames: [\"*.a.com\"]"),
	} {
		t.Run(name, func(t *testing.T) {
			ps := parsed(t, text)
			if len(ps) != 1 {
				t.Fatalf("%d policies", len(ps))
			}
			text := Marshal(ps...)
			if again := Marshal(parsed(t, string(text))...); string(again) != string(text) {
				t.Errorf("%s\n%s", text, again)
			}
		})
	}
}

func TestParseIsBounded(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"size":     {strings.Repeat("#", maxFile+1), "larger than"},
		"rules":    {in("endpointSelector: {}\negress: [" + strings.Repeat("{},", maxRules+1) + "]"), "too many rules"},
		"problems": {in("endpointSelector: {}\negress: [" + strings.Repeat("{a: b},", 200) + "]"), "more than 99 problems"},
		"aliases": {in("endpointSelector: {}\negress:\n- toEntities: &a [" + strings.Repeat("all,", 2000) + "]\n" +
			strings.Repeat("- toEntities: *a\n", 2000)), "too many values"},
		"depth": {"apiVersion: v1\nkind: " + strings.Repeat("[", 100_000), "p.yaml:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Parse("p.yaml", []byte(tt.text))
			if err := problems.Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%.300v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(in("endpointSelector: {matchLabels: {a: b}}\negress:\n- toFQDNs: [{matchPattern: '*.a.com'}]\n  toPorts: [{ports: [{port: 80, endPort: 90}]}]"))
	f.Add(k8s("podSelector: {}\ningress: [{from: [{namespaceSelector: {}}], ports: [{port: http}]}]"))
	f.Add(guardOf("toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]\nallowedFrom: [{}]"))
	f.Fuzz(func(t *testing.T, text string) {
		ps, problems := Parse("p.yaml", []byte(text))
		if problems.Err() != nil {
			return
		}
		// What is read without an error is written as what reads the same, and compiles or says why not.
		out := Marshal(ps...)
		back, problems := Parse("p.yaml", out)
		if err := problems.Err(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if again := Marshal(back...); string(again) != string(out) {
			t.Fatalf("%s\n%s", out, again)
		}
		if tables, problems := Compile(ps, nil, Limits{}); (tables == nil) != (problems.Err() != nil) {
			t.Fatalf("%v %v", tables, problems)
		}
		for _, format := range []Format{FormatCilium, FormatKubernetes} {
			exported, problems := Export(ps, format)
			if problems.Err() != nil {
				continue
			}
			if _, problems := Parse("x.yaml", exported); problems.Err() != nil {
				t.Fatalf("%s: %v\n%s", format, problems.Err(), exported)
			}
		}
	})
}
