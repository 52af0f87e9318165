package policy

import (
	"net/netip"
	"strings"
	"testing"
)

// hostOf is a small host: two web containers, a database, a unit and the host.
func hostOf() []Workload {
	addr := func(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
	return []Workload{
		{Cgroup: 1, Name: "host", Host: true, Labels: map[string]string{"reserved:host": ""}, Addrs: addr("192.168.0.10")},
		{Cgroup: 2, Name: "sshd.service", Host: true, Labels: map[string]string{"systemd:unit": "sshd.service"}},
		{Cgroup: 3, Name: "web-1", Namespace: "shop", Labels: map[string]string{"container:app": "web", "container:id": "1"}, Addrs: addr("172.17.0.3")},
		{Cgroup: 4, Name: "web-2", Namespace: "shop", Labels: map[string]string{"container:app": "web", "container:id": "2"}, Addrs: addr("172.17.0.4")},
		{Cgroup: 5, Name: "db", Namespace: "shop", Labels: map[string]string{"container:app": "db", "container:weir.dev/port.mysql": "3306"}, Addrs: addr("172.17.0.5")},
		{Cgroup: 6, Name: "other", Namespace: "blog", Labels: map[string]string{"container:app": "web", "container:io.kubernetes.pod.namespace": "shop"}, Addrs: addr("172.17.0.6")},
	}
}

const (
	hostID, sshd, web1, web2, db, other, stranger = 1, 2, 3, 4, 5, 6, 99
	tcp, udp, sctp                                = 6, 17, 132
)

func out(from uint64, to any, protocol uint8, port uint16, names ...string) Query {
	return ask(from, Egress, to, protocol, port, names)
}

func into(self uint64, from any, protocol uint8, port uint16) Query {
	return ask(self, Ingress, from, protocol, port, nil)
}

func ask(self uint64, d Direction, peer any, protocol uint8, port uint16, names []string) Query {
	q := Query{Workload: self, Direction: d, Protocol: protocol, Port: port, Names: names}
	switch p := peer.(type) {
	case int:
		q.PeerCgroup = uint64(p)
	case string:
		q.Addr = netip.MustParseAddr(p)
	}
	return q
}

// A check is a packet and whether it passes.
type check struct {
	q      Query
	passes bool
}

func yes(q Query) check { return check{q, true} }
func no(q Query) check  { return check{q, false} }

// judge compiles policies in mode enforce and checks packets.
func judge(t *testing.T, texts []string, checks []check) {
	t.Helper()
	var policies []*Policy
	for _, text := range texts {
		policies = append(policies, parsed(t, text)...)
	}
	for _, p := range policies {
		for i := range p.Specs {
			p.Specs[i].Mode = ModeEnforce
		}
		if p.Guard != nil {
			p.Guard.Mode = ModeEnforce
		}
	}
	tables, problems := Compile(policies, hostOf(), Limits{})
	if tables == nil {
		t.Fatal(problems)
	}
	for _, c := range checks {
		if o := tables.Decide(c.q); (o.Result == Forwarded) != c.passes {
			t.Errorf("%+v: %v by %q", c.q, o.Result, tables.Rule(o.Rule()).Description)
		}
	}
}

const web = "endpointSelector: {matchLabels: {app: web}}\n"

// TestCiliumSemantics has what Cilium's documentation and code say, each line a
// case that users got wrong or that once was wrong in an implementation.
func TestCiliumSemantics(t *testing.T) {
	for name, tt := range map[string]struct {
		policies []string
		checks   []check
	}{
		"no policy, no denial": {nil, []check{yes(out(web1, "8.8.8.8", tcp, 80)), yes(into(web1, db, tcp, 80)), yes(out(stranger, "8.8.8.8", tcp, 80))}},
		"default deny is per direction": {[]string{in(web + "egress: [{}]")}, []check{
			no(out(web1, "8.8.8.8", tcp, 80)), no(out(web1, db, tcp, 80)), yes(into(web1, db, tcp, 80)), yes(out(db, web1, tcp, 80))}},
		"an empty section selects nothing": {[]string{in(web + "ingress: []\negress: [{}]")}, []check{yes(into(web1, db, tcp, 80)), no(out(web1, db, tcp, 80))}},
		"an empty rule allows nothing":     {[]string{in(web + "ingress: [{}]")}, []check{no(into(web1, db, tcp, 80)), no(into(web1, "8.8.8.8", tcp, 80))}},
		"a list of nobody is nobody, with ports too (CVE-2025-64715)": {[]string{in(web + `egress:
- {toEndpoints: [], toPorts: [{ports: [{port: "80"}]}]}
- {toCIDR: [], toPorts: [{ports: [{port: "80"}]}]}
- {toCIDRSet: [], toPorts: [{ports: [{port: "80"}]}]}
- {toEntities: [], toPorts: [{ports: [{port: "80"}]}]}
- {toFQDNs: [], toPorts: [{ports: [{port: "80"}]}]}`)}, []check{no(out(web1, db, tcp, 80)), no(out(web1, "8.8.8.8", tcp, 80, "a.com"))}},
		"an absent list with ports is everyone": {[]string{in(web + `egress: [{toPorts: [{ports: [{port: "80"}]}]}]`)}, []check{
			yes(out(web1, db, tcp, 80)), yes(out(web1, "8.8.8.8", tcp, 80)), yes(out(web1, hostID, udp, 80)), no(out(web1, db, tcp, 81))}},
		"an empty toPorts is every port":       {[]string{in(web + "egress: [{toEndpoints: [{matchLabels: {app: db}}], toPorts: []}]")}, []check{yes(out(web1, db, tcp, 1)), yes(out(web1, db, 1, 8))}},
		"toPorts without ports is no port":     {[]string{in(web + "egress: [{toEndpoints: [{matchLabels: {app: db}}], toPorts: [{}]}]")}, []check{no(out(web1, db, tcp, 1))}},
		"a selector that selects none is none": {[]string{in(web + `egress: [{toEndpoints: [{matchLabels: {app: nothing}}], toPorts: [{ports: [{port: "80"}]}]}]`)}, []check{no(out(web1, db, tcp, 80))}},
		"an empty selector is every workload, not the host, not the world": {[]string{in(web + "egress: [{toEndpoints: [{}]}]")}, []check{
			yes(out(web1, db, tcp, 1)), yes(out(web1, other, tcp, 1)), no(out(web1, hostID, tcp, 1)), no(out(web1, sshd, tcp, 1)), no(out(web1, "8.8.8.8", tcp, 1)), no(out(web1, stranger, tcp, 1))}},
		"an empty selector selects no unit": {[]string{in("endpointSelector: {}\negress: [{}]")}, []check{yes(out(sshd, "8.8.8.8", tcp, 1)), yes(out(hostID, "8.8.8.8", tcp, 1)), no(out(db, "8.8.8.8", tcp, 1))}},
		"a unit is selected by its label":   {[]string{in("endpointSelector: {matchLabels: {systemd:unit: sshd.service}}\negress: [{}]")}, []check{no(out(sshd, "8.8.8.8", tcp, 1)), yes(out(hostID, "8.8.8.8", tcp, 1))}},
		"nodeSelector is the host and its units": {[]string{in("nodeSelector: {}\negress: [{toEndpoints: [{}]}]")}, []check{
			no(out(hostID, "8.8.8.8", tcp, 1)), no(out(sshd, "8.8.8.8", tcp, 1)), yes(out(hostID, db, tcp, 1)), yes(out(db, "8.8.8.8", tcp, 1))}},
		"deny beats allow": {[]string{in(web + "egress: [{toEntities: [all]}]\negressDeny: [{toEndpoints: [{matchLabels: {app: db}}]}]")}, []check{
			no(out(web1, db, tcp, 1)), yes(out(web1, "8.8.8.8", tcp, 1))}},
		"a lone denial denies the rest too": {[]string{in(web + "egressDeny: [{toCIDR: [10.0.0.0/8]}]")}, []check{no(out(web1, "10.1.1.1", tcp, 1)), no(out(web1, "8.8.8.8", tcp, 1))}},
		"unless enableDefaultDeny says no": {[]string{in(web + "enableDefaultDeny: {egress: false}\negressDeny: [{toCIDR: [10.0.0.0/8]}]")}, []check{
			no(out(web1, "10.1.1.1", tcp, 1)), yes(out(web1, "8.8.8.8", tcp, 1))}},
		"one policy that denies the rest is enough": {[]string{in(web + "enableDefaultDeny: {egress: false}\negress: [{toCIDR: [10.0.0.0/8]}]"), strings.Replace(in(web+"egress: [{}]"), "name: p", "name: q", 1)}, []check{
			yes(out(web1, "10.1.1.1", tcp, 1)), no(out(web1, "8.8.8.8", tcp, 1))}},
		"enableDefaultDeny without rules has no effect": {[]string{in(web + "enableDefaultDeny: {ingress: true}\negress: [{}]")}, []check{yes(into(web1, db, tcp, 1))}},
		"deny of a block beats a narrower allow (CVE-2024-47825)": {[]string{in(web + "egress: [{toCIDR: [10.1.2.3/32]}, {toCIDR: [10.1.0.0/16]}]\negressDeny: [{toCIDR: [10.0.0.0/8]}]")}, []check{
			no(out(web1, "10.1.2.3", tcp, 1)), no(out(web1, "10.1.9.9", tcp, 1)), no(out(web1, "10.9.9.9", tcp, 1))}},
		"deny of a narrow block beats a wider allow": {[]string{in(web + "egress: [{toCIDR: [0.0.0.0/0]}]\negressDeny: [{toCIDR: [10.1.2.3]}]")}, []check{
			no(out(web1, "10.1.2.3", tcp, 1)), yes(out(web1, "10.1.2.4", tcp, 1))}},
		"deny of the world beats a block and a name": {[]string{in(web + "egress: [{toCIDR: [10.1.2.3]}, {toFQDNs: [{matchName: a.com}]}]\negressDeny: [{toEntities: [world]}]")}, []check{
			no(out(web1, "10.1.2.3", tcp, 1)), no(out(web1, "8.8.8.8", tcp, 1, "a.com"))}},
		"an allowed world has every block in it": {[]string{in(web + "egress: [{toEntities: [world]}]"), strings.Replace(in("endpointSelector: {matchLabels: {app: db}}\negress: [{toCIDR: [10.0.0.0/8]}]"), "name: p", "name: q", 1)}, []check{
			yes(out(web1, "10.1.2.3", tcp, 1)), yes(out(db, "10.1.2.3", tcp, 1)), no(out(db, "8.8.8.8", tcp, 1))}},
		"except is not meant, and not denied": {[]string{in(web + "egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}, {toCIDR: [10.1.2.0/24]}]")}, []check{
			yes(out(web1, "10.9.9.9", tcp, 1)), no(out(web1, "10.1.9.9", tcp, 1)), yes(out(web1, "10.1.2.3", tcp, 1))}},
		"a block does not select workloads": {[]string{in(web + "egress: [{toCIDR: [172.17.0.0/16, 192.168.0.0/16]}]")}, []check{
			no(out(web1, "172.17.0.5", tcp, 1)), no(out(web1, db, tcp, 1)), no(out(web1, "192.168.0.10", tcp, 1)), yes(out(web1, "172.17.9.9", tcp, 1))}},
		"a broad denial of ports holds inside": {[]string{in(web + `egress: [{toPorts: [{ports: [{port: "443", protocol: TCP}]}]}]
egressDeny: [{toPorts: [{ports: [{port: "1", endPort: 1024, protocol: TCP}]}]}]`)}, []check{no(out(web1, "8.8.8.8", tcp, 443)), no(out(web1, "8.8.8.8", udp, 443))}},
		"deny of all beats a port (folding)": {[]string{in(web + `egress: [{toEndpoints: [{matchLabels: {app: db}}], toPorts: [{ports: [{port: "443", protocol: TCP}]}]}]
egressDeny: [{toEndpoints: [{matchLabels: {app: db}}]}]`)}, []check{no(out(web1, db, tcp, 443))}},
		"ranges are inclusive": {[]string{in(web + `egress: [{toPorts: [{ports: [{port: "8000", endPort: 8010, protocol: TCP}]}]}]`)}, []check{
			no(out(web1, db, tcp, 7999)), yes(out(web1, db, tcp, 8000)), yes(out(web1, db, tcp, 8005)), yes(out(web1, db, tcp, 8010)), no(out(web1, db, tcp, 8011))}},
		"a range that ends at the last port": {[]string{in(web + `egress: [{toPorts: [{ports: [{port: "65530", endPort: 65535, protocol: TCP}]}]}]`)}, []check{yes(out(web1, db, tcp, 65535)), no(out(web1, db, tcp, 65529)), no(out(web1, db, tcp, 0))}},
		"no protocol is TCP, UDP and SCTP": {[]string{in(web + `egress: [{toPorts: [{ports: [{port: "8"}]}]}]`)}, []check{
			yes(out(web1, db, tcp, 8)), yes(out(web1, db, udp, 8)), yes(out(web1, db, sctp, 8)), no(out(web1, db, 1, 8))}},
		"port 0 is every port, and not ICMP": {[]string{in(web + `egress: [{toPorts: [{ports: [{port: "0"}]}]}]`)}, []check{yes(out(web1, db, udp, 9)), no(out(web1, db, 1, 8)), no(out(web1, db, 47, 0))}},
		"a protocol without ports":           {[]string{in(web + `egress: [{toPorts: [{ports: [{protocol: GRE}]}]}]`)}, []check{yes(out(web1, db, 47, 0)), no(out(web1, db, tcp, 80))}},
		"ICMP needs icmps": {[]string{in(web + "egress: [{icmps: [{fields: [{type: EchoRequest}, {family: IPv6, type: 128}]}]}]")}, []check{
			yes(out(web1, db, 1, 8)), yes(out(web1, db, 58, 128)), no(out(web1, db, 1, 0)), no(out(web1, db, 58, 8)), no(out(web1, db, tcp, 8))}},
		"a rule without ports is for ICMP too": {[]string{in(web + "egress: [{toEndpoints: [{}]}]")}, []check{yes(out(web1, db, 1, 8))}},
		"allows are a union (CVE-2023-30851)": {[]string{in(web + `ingress:
- fromEndpoints: [{matchLabels: {app: db}}]
- toPorts: [{ports: [{port: "80", protocol: TCP}]}]`)}, []check{yes(into(web1, db, tcp, 9)), yes(into(web1, "8.8.8.8", tcp, 80)), no(into(web1, "8.8.8.8", tcp, 81))}},
		"a namespace bounds both ends": {[]string{strings.Replace(in(web+"egress: [{toEndpoints: [{}]}]"), "name: p", "name: p, namespace: shop", 1)}, []check{
			yes(out(web1, db, tcp, 1)), no(out(web1, other, tcp, 1)), yes(out(other, db, tcp, 1))}},
		"a selector may name another namespace": {[]string{strings.Replace(in(web+"egress: [{toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: blog}}]}]"), "name: p", "name: p, namespace: shop", 1)}, []check{
			yes(out(web1, other, tcp, 1)), no(out(web1, db, tcp, 1))}},
		"the source of a label counts": {[]string{in("endpointSelector: {matchLabels: {k8s:app: web}}\negress: [{}]")}, []check{yes(out(web1, db, tcp, 1))}},
		"NotIn holds without the label": {[]string{in(web + "egress: [{toEndpoints: [{matchExpressions: [{key: app, operator: NotIn, values: [web]}]}]}]")}, []check{
			yes(out(web1, db, tcp, 1)), no(out(web1, web2, tcp, 1)), no(out(web1, hostID, tcp, 1)), no(out(web1, "8.8.8.8", tcp, 1))}},
		"entities": {[]string{in(web + "egress: [{toEntities: [host]}]"), strings.Replace(in("endpointSelector: {matchLabels: {app: db}}\negress: [{toEntities: [cluster]}]"), "name: p", "name: q", 1)}, []check{
			yes(out(web1, hostID, tcp, 1)), yes(out(web1, sshd, tcp, 1)), yes(out(web1, "192.168.0.10", tcp, 1)), yes(out(web1, "127.0.0.1", tcp, 1)), no(out(web1, db, tcp, 1)),
			yes(out(db, web1, tcp, 1)), yes(out(db, hostID, tcp, 1)), yes(out(db, stranger, tcp, 1)), no(out(db, "8.8.8.8", tcp, 1))}},
		"the host has no free pass":    {[]string{in(web + "ingress: [{fromEndpoints: [{}]}]")}, []check{no(into(web1, hostID, tcp, 80)), no(into(web1, sshd, tcp, 80))}},
		"a reserved label is its peer": {[]string{in(web + "egress: [{toEndpoints: [{matchLabels: {reserved:world: \"\"}}]}]")}, []check{yes(out(web1, "8.8.8.8", tcp, 1)), no(out(web1, db, tcp, 1))}},
		"a name opens what it was told": {[]string{in(web + "egress: [{toFQDNs: [{matchPattern: '*.a.com'}], toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}]")}, []check{
			yes(out(web1, "8.8.8.8", tcp, 443, "x.a.com")), no(out(web1, "8.8.8.8", tcp, 443)), no(out(web1, "8.8.8.8", tcp, 80, "x.a.com")), no(out(web1, "8.8.8.8", tcp, 443, "x.y.a.com")),
			yes(out(web1, db, tcp, 443, "x.a.com"))}},
		"a name can be denied": {[]string{in(web + "egress: [{toEntities: [world]}]\negressDeny: [{toFQDNs: [{matchName: a.com}]}]")}, []check{
			no(out(web1, "8.8.8.8", tcp, 443, "a.com")), yes(out(web1, "8.8.8.8", tcp, 443, "b.com"))}},
		"a named port is the server's": {[]string{in(web + `egress: [{toEndpoints: [{matchLabels: {app: db}}], toPorts: [{ports: [{port: mysql, protocol: TCP}]}]}]`), strings.Replace(in("endpointSelector: {matchLabels: {app: db}}\n"+`ingress: [{toPorts: [{ports: [{port: mysql, protocol: TCP}]}]}]`), "name: p", "name: q", 1)}, []check{
			yes(out(web1, db, tcp, 3306)), no(out(web1, db, tcp, 80)), yes(into(db, web1, tcp, 3306)), no(into(db, web1, tcp, 80))}},
		"a denial of a port without a number denies all": {[]string{in(web + "egress: [{toEntities: [all]}]\n" + `egressDeny: [{toEndpoints: [{matchLabels: {app: web}}], toPorts: [{ports: [{port: mysql, protocol: TCP}]}]}]`)}, []check{
			no(out(web1, web2, tcp, 3306)), no(out(web1, web2, tcp, 1)), yes(out(web1, web2, udp, 1)), yes(out(web1, db, tcp, 1))}},
		"another source's label widens nothing (CVE-2023-39347)": {[]string{in(web + "egress: [{toEndpoints: [{matchLabels: {k8s:app: db}}]}]")}, []check{no(out(web1, db, tcp, 1))}},
	} {
		t.Run(name, func(t *testing.T) { judge(t, tt.policies, tt.checks) })
	}
}

func TestKubernetesSemantics(t *testing.T) {
	shop := func(spec string) string { return strings.Replace(k8s(spec), "name: p", "name: p, namespace: shop", 1) }
	for name, tt := range map[string]struct {
		policy string
		checks []check
	}{
		"no ingress denies all":             {shop("podSelector: {}"), []check{no(into(web1, db, tcp, 80)), yes(out(web1, db, tcp, 80)), yes(into(other, db, tcp, 80))}},
		"an empty rule allows all":          {shop("podSelector: {}\ningress: [{}]"), []check{yes(into(web1, "8.8.8.8", tcp, 80))}},
		"an empty from is everyone":         {shop("podSelector: {}\ningress: [{from: [], ports: [{port: 80}]}]"), []check{yes(into(web1, "8.8.8.8", tcp, 80)), no(into(web1, "8.8.8.8", tcp, 81))}},
		"policyTypes alone":                 {shop("podSelector: {}\npolicyTypes: [Egress]"), []check{no(out(web1, db, tcp, 80)), yes(into(web1, db, tcp, 80))}},
		"egress is a type where it is":      {shop("podSelector: {}\negress: [{to: [{podSelector: {}}]}]"), []check{yes(out(web1, db, tcp, 1)), no(out(web1, other, tcp, 1)), no(into(web1, db, tcp, 80))}},
		"an empty egress is none":           {shop("podSelector: {}\negress: []"), []check{yes(out(web1, db, tcp, 80))}},
		"rules without a type hold not":     {shop("podSelector: {}\npolicyTypes: [Ingress]\negress: [{to: [{podSelector: {}}]}]"), []check{yes(out(web1, "8.8.8.8", tcp, 80))}},
		"every namespace":                   {shop("podSelector: {}\ningress: [{from: [{namespaceSelector: {}}]}]"), []check{yes(into(web1, other, tcp, 80)), no(into(web1, hostID, tcp, 80))}},
		"a namespace":                       {shop("podSelector: {}\ningress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: blog}}}]}]"), []check{yes(into(web1, other, tcp, 80)), no(into(web1, db, tcp, 80))}},
		"pods are selected by k8s labels":   {shop("podSelector: {matchLabels: {app: web}}"), []check{yes(into(web1, db, tcp, 80))}},
		"a block beside pods":               {shop("podSelector: {}\ningress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}]"), []check{yes(into(web1, db, tcp, 85)), yes(into(web1, "10.2.0.1", tcp, 90)), no(into(web1, "10.1.0.1", tcp, 85)), no(into(web1, db, udp, 85))}},
		"a port without a number is all":    {shop("podSelector: {}\ningress: [{ports: [{protocol: UDP}]}]"), []check{yes(into(web1, db, udp, 85)), no(into(web1, db, tcp, 85))}},
		"without a namespace it is default": {k8s("podSelector: {}"), []check{yes(into(web1, db, tcp, 80))}},
	} {
		t.Run(name, func(t *testing.T) { judge(t, []string{tt.policy}, tt.checks) })
	}
}

func TestGuard(t *testing.T) {
	const toDB = "toEndpoints: [{matchLabels: {app: db}}]\ntoPorts: [{ports: [{port: \"3306\", protocol: TCP}]}]\nallowedFrom: [{matchLabels: {container:id: \"1\"}}]"
	for name, tt := range map[string]struct {
		policies []string
		checks   []check
	}{
		"a destination elsewhere": {[]string{guardOf("toCIDR: [10.1.2.3]\ntoPorts: [{ports: [{port: 3306, protocol: TCP}]}]\nallowedFrom: [{matchLabels: {container:id: \"1\"}}]")}, []check{
			yes(out(web1, "10.1.2.3", tcp, 3306)), no(out(web2, "10.1.2.3", tcp, 3306)), no(out(hostID, "10.1.2.3", tcp, 3306)), no(out(sshd, "10.1.2.3", tcp, 3306)), no(out(stranger, "10.1.2.3", tcp, 3306)),
			yes(out(web2, "10.1.2.3", tcp, 80)), yes(out(web2, "10.1.2.4", tcp, 3306)), yes(into(web2, "10.1.2.3", tcp, 3306))}},
		"a destination here is shut at both ends": {[]string{guardOf(toDB)}, []check{
			yes(out(web1, db, tcp, 3306)), no(out(web2, db, tcp, 3306)), no(out(hostID, "172.17.0.5", tcp, 3306)),
			yes(into(db, web1, tcp, 3306)), no(into(db, web2, tcp, 3306)), no(into(db, hostID, tcp, 3306)), no(into(db, "8.8.8.8", tcp, 3306)), no(into(db, stranger, tcp, 3306)),
			yes(into(db, web2, tcp, 80)), yes(into(web2, db, tcp, 3306))}},
		"a block holds for local addresses": {[]string{guardOf("toCIDR: [172.17.0.5/32]\nallowedFrom: []")}, []check{no(out(web1, db, tcp, 1)), yes(out(web1, web2, tcp, 1)), no(into(db, web1, tcp, 1))}},
		"and for the host's":                {[]string{guardOf("toCIDR: [192.168.0.10]\nallowedFrom: []")}, []check{no(out(web1, hostID, tcp, 1)), no(out(web1, sshd, tcp, 1)), no(out(web1, "192.168.0.10", tcp, 1))}},
		"another policy's denial stays":     {[]string{guardOf(toDB), in(web + "enableDefaultDeny: {egress: false}\negressDeny: [{toEndpoints: [{matchLabels: {app: db}}]}]")}, []check{no(out(web1, db, tcp, 3306))}},
		"it allows under default deny":      {[]string{guardOf(toDB), in(web + "egress: [{}]")}, []check{yes(out(web1, db, tcp, 3306)), no(out(web1, db, tcp, 80))}},
		"two Guards both hold":              {[]string{guardOf(toDB), strings.Replace(guardOf("toEndpoints: [{matchLabels: {app: db}}]\nallowedFrom: [{matchLabels: {container:id: \"2\"}}]"), "name: g", "name: h", 1)}, []check{no(out(web1, db, tcp, 3306)), no(out(web2, db, tcp, 3306)), yes(out(web2, db, tcp, 80))}},
		"a name":                            {[]string{guardOf("toFQDNs: [{matchName: a.com}]\nallowedFrom: [{matchLabels: {app: db}}]")}, []check{no(out(web1, "8.8.8.8", tcp, 1, "a.com")), yes(out(db, "8.8.8.8", tcp, 1, "a.com")), yes(out(web1, "8.8.8.8", tcp, 1))}},
		"the host may be allowed":           {[]string{guardOf("toCIDR: [10.1.2.3]\nallowedFrom: [{matchLabels: {reserved:host: \"\"}}]")}, []check{yes(out(hostID, "10.1.2.3", tcp, 1)), no(out(sshd, "10.1.2.3", tcp, 1)), no(out(web1, "10.1.2.3", tcp, 1))}},
	} {
		t.Run(name, func(t *testing.T) { judge(t, tt.policies, tt.checks) })
	}
}

func TestModes(t *testing.T) {
	audit := in(web + "egress: [{toEndpoints: [{matchLabels: {app: db}}]}]")
	enforce := strings.Replace(in(web+"mode: enforce\negress: [{toEntities: [world]}]"), "name: p", "name: q", 1)
	tables, problems := Compile(append(parsed(t, audit), parsed(t, enforce)...), hostOf(), Limits{})
	if tables == nil {
		t.Fatal(problems)
	}
	for q, want := range map[*Query]Result{
		{Workload: web1, Direction: Egress, Addr: netip.MustParseAddr("8.8.8.8")}: Forwarded,
		{Workload: web1, Direction: Egress, PeerCgroup: web2}:                     Denied,
		// What a policy in audit allows is not yet allowed.
		{Workload: web1, Direction: Egress, PeerCgroup: db}: Denied,
	} {
		if got := tables.Decide(*q); got.Result != want {
			t.Errorf("%+v: %v, want %v", *q, got, want)
		}
	}
	alone, _ := Compile(parsed(t, audit), hostOf(), Limits{})
	if got := alone.Decide(out(web1, web2, tcp, 1)); got.Result != Audited || got.Rule() != 0 {
		t.Errorf("%+v", got)
	}
	if got := alone.Decide(out(web1, db, tcp, 1)); got.Result != Forwarded || alone.Rule(got.Rule()).Section != "egress" {
		t.Errorf("%+v", got)
	}
}
