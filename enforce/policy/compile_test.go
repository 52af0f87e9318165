package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

func TestRequestsAreRefusedInEnforce(t *testing.T) {
	// Also beside a range that allows the port (CVE-2024-52529).
	const rules = web + `egress:
- toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: GET}]}}]
- toPorts: [{ports: [{port: "1", endPort: 1000, protocol: TCP}]}]`
	tables, problems := Compile(parsed(t, in("mode: enforce\n"+rules)), hostOf(), Limits{})
	if err := problems.Err(); tables != nil || err == nil || !strings.Contains(err.Error(), "p.yaml:8:15: not enforceable yet: http rules") {
		t.Errorf("%v", err)
	}
	tables, problems = Compile(parsed(t, in(rules)), hostOf(), Limits{})
	if tables == nil || len(problems) != 1 || problems[0].Severity != Warning {
		t.Errorf("%v", problems)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"kafka":        {in("mode: enforce\n" + web + `egress: [{toPorts: [{ports: [{port: "1", protocol: TCP}], rules: {kafka: [{topic: a}]}}]}]`), "not enforceable yet: kafka rules"},
		"grpc":         {in("mode: enforce\n" + web + `egress: [{toPorts: [{ports: [{port: "1", protocol: TCP}], rules: {grpc: [{service: a}]}}]}]`), "not enforceable yet: grpc rules"},
		"server names": {in("mode: enforce\n" + web + `egress: [{toPorts: [{ports: [{port: "1", protocol: TCP}], serverNames: [a.com]}]}]`), "not enforceable yet: serverNames"},
		"guard":        {guardOf("mode: enforce\ntoCIDR: [10.0.0.1]\ntoPorts: [{ports: [{port: 80, protocol: TCP}], rules: {http: [{}]}}]\nallowedFrom: []"), "not enforceable yet: http rules"},
	} {
		if tables, problems := Compile(parsed(t, tt.text), hostOf(), Limits{}); tables != nil || !strings.Contains(problems.Error(), tt.want) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestDenialOfSomeRequestsIsNotOfAll(t *testing.T) {
	tables, _ := Compile(parsed(t, in(web+"egress: [{toEntities: [all]}]\n"+`egressDeny: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: PUT}]}}]}]`)), hostOf(), Limits{})
	if o := tables.Decide(out(web1, db, tcp, 80)); o.Result != Forwarded {
		t.Errorf("%+v", o)
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	policies := parsed(t, in(web+`egress: [{toCIDR: [10.0.0.1, 10.0.0.2, 10.0.0.3]}, {toFQDNs: [{matchName: a.b}, {matchName: c.d}]}]`))
	for want, l := range map[string]Limits{
		`the policies of "blog/other" need 5 entries or more, and 2 fit`: {Entries: 2},
		"prefixes, and 4 fit":                {Prefixes: 4},
		"need 2 names, and 1 fit":            {Names: 1},
		"need 2 sets of rules, and 1 fit":    {Sets: 1},
		"identities of workloads, and 1 fit": {Identities: 1},
	} {
		if tables, problems := Compile(policies, hostOf(), l); tables != nil || !strings.Contains(fmt.Sprint(problems.Err()), want) {
			t.Errorf("%+v: %v", l, problems)
		}
	}
}

func TestEqualWorkloadsShareASet(t *testing.T) {
	tables, _ := Compile(parsed(t, in(web+"egress: [{toEndpoints: [{matchLabels: {app: db}}]}]")), hostOf(), Limits{})
	if a, b := tables.Workloads[web1], tables.Workloads[web2]; a != b || a.Set == 0 {
		t.Errorf("%+v %+v", a, b)
	}
	if a, b := tables.Workloads[web1], tables.Workloads[other]; a.Identity == b.Identity || a.Set != b.Set {
		t.Errorf("another namespace: %+v %+v", a, b)
	}
	if e := tables.Workloads[hostID]; e != (WorkloadEntry{IdentityHost, 0}) || len(tables.Sets) != 2 {
		t.Errorf("%+v, %d sets", e, len(tables.Sets))
	}
}

func TestAddresses(t *testing.T) {
	workloads := append(hostOf(),
		Workload{Cgroup: 7, Name: "app", Labels: map[string]string{"container:app": "a"}, Addrs: []netip.Addr{netip.MustParseAddr("172.17.0.9")}},
		Workload{Cgroup: 8, Name: "sidecar", Labels: map[string]string{"container:app": "b"}, Addrs: []netip.Addr{netip.MustParseAddr("::ffff:172.17.0.9")}})
	tables, problems := Compile(parsed(t, in(web+"egress: [{toCIDR: [172.17.0.0/16]}]")), workloads, Limits{})
	if len(problems) != 1 || !strings.Contains(problems.Error(), `address 172.17.0.9 is of "app" and of "sidecar"`) {
		t.Error(problems)
	}
	for addr, want := range map[string]Identity{
		"172.17.0.9": IdentityUnknown, "192.168.0.10": IdentityHost, "127.0.0.53": IdentityHost, "::1": IdentityHost, "8.8.8.8": IdentityWorld,
		"172.17.0.3": tables.Workloads[web1].Identity, "::ffff:172.17.0.3": tables.Workloads[web1].Identity, "fe80::1%eth0": IdentityWorld,
		"172.17.200.1": tables.Prefixes[netip.MustParsePrefix("172.17.0.0/16")],
	} {
		if got := tables.Peer(0, netip.MustParseAddr(addr)); got != want || got == 0 {
			t.Errorf("%s: %d, want %d", addr, got, want)
		}
	}
	if got := tables.Peer(0, netip.Addr{}); got != IdentityUnknown {
		t.Errorf("no address: %d", got)
	}
}

func TestNamedPortThatIsMissing(t *testing.T) {
	policies := parsed(t, in(web+`egress: [{toEndpoints: [{matchLabels: {app: db}}, {matchLabels: {app: web}}], toPorts: [{ports: [{port: mysql, protocol: TCP}]}]}]`))
	const want = `named port "mysql": workload "blog/other" has no label "weir.dev/port.mysql"`
	tables, problems := Compile(policies, hostOf(), Limits{})
	if tables == nil || !strings.Contains(problems.Error(), "warning: "+want) {
		t.Errorf("%v", problems)
	}
	if problems := Check(policies, hostOf(), Limits{}); !strings.Contains(fmt.Sprint(problems.Err()), want) {
		t.Errorf("%v", problems)
	}
	world := parsed(t, in(web+`egress: [{toEntities: [world], toPorts: [{ports: [{port: mysql}]}]}]`))
	if problems := Check(world, hostOf(), Limits{}); !strings.Contains(fmt.Sprint(problems.Err()), "no workload that could have the label") {
		t.Errorf("%v", problems)
	}
}

func TestIdentitiesDoNotCollide(t *testing.T) {
	var names []string
	for i := range 200_000 { // some have the same hash
		names = append(names, fmt.Sprint("workload ", i))
	}
	seen := map[Identity]bool{}
	for _, kind := range []string{"workload", "cidr", "name"} {
		for _, id := range allocate(kind, names) {
			if id < FirstIdentity || seen[id] {
				t.Fatalf("%s: %d", kind, id)
			}
			seen[id] = true
		}
	}
}

func TestFromFlow(t *testing.T) {
	w := FromFlow(&flow.Workload{CgroupID: 7, Name: "sshd.service", Runtime: flow.RuntimeSystemd, Labels: []flow.Label{{Source: "systemd", Key: "unit", Value: "sshd.service"}}})
	if !w.Host || w.isHost() || w.Cgroup != 7 || w.Labels["systemd:unit"] != "sshd.service" || w.String() != "sshd.service" {
		t.Errorf("%+v", w)
	}
	w = FromFlow(&flow.Workload{Runtime: flow.RuntimeHost, Labels: []flow.Label{{Source: "reserved", Key: "host"}}})
	if !w.isHost() {
		t.Errorf("%+v", w)
	}
	for _, one := range []*flow.Workload{nil, {Runtime: flow.RuntimeCgroup}, {Runtime: flow.RuntimeDocker, Namespace: "n", Name: "a", Labels: []flow.Label{{Source: "reserved", Key: "host"}}}} {
		if w := FromFlow(one); w.Host || w.isHost() {
			t.Errorf("%+v", w)
		}
	}
}

// BenchmarkCompile is 10,000 rules and 1,000 workloads.
func BenchmarkCompile(b *testing.B) {
	var policies []*Policy
	for i := range 1000 {
		s := Spec{Mode: ModeEnforce, Endpoints: &Selector{Labels: map[string]string{"app": fmt.Sprint(i % 500)}}}
		for j := range 10 {
			r := RuleSpec{Ports: []PortRule{{Ports: []Port{{Port: uint16(1000 + j), Protocol: ProtoTCP}, {Port: 8000, End: 8100, Protocol: ProtoTCP}}}}}
			switch j % 3 {
			case 0:
				r.Peers.Endpoints = []Selector{{Labels: map[string]string{"app": fmt.Sprint((i + j) % 500)}}}
			case 1:
				r.Peers.CIDRs = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(j), 0}), 24)}
			case 2:
				r.Peers.FQDNs = []FQDN{{Name: fmt.Sprintf("a%d.example.com", i)}}
			}
			s.Egress = append(s.Egress, r)
		}
		policies = append(policies, &Policy{Kind: KindCilium, Name: fmt.Sprint("p", i), Specs: []Spec{s}})
	}
	var workloads []Workload
	for i := range 1000 {
		workloads = append(workloads, Workload{Cgroup: uint64(i + 1), Name: fmt.Sprint("w", i), Labels: map[string]string{"container:app": fmt.Sprint(i % 700), "container:id": fmt.Sprint(i)},
			Addrs: []netip.Addr{netip.AddrFrom4([4]byte{172, 17, byte(i >> 8), byte(i)})}})
	}
	for b.Loop() {
		tables, problems := Compile(policies, workloads, Limits{})
		if tables == nil {
			b.Fatal(problems)
		}
	}
}
