package policy

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What the generators choose from is small, so that things meet.
var (
	someBlocks = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"),
		netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("10.1.2.3/32"), netip.MustParsePrefix("172.17.0.0/29"),
		netip.MustParsePrefix("::/0"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2001:db8::1/128"),
	}
	someAddrs = []netip.Addr{
		netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.1.2.4"), netip.MustParseAddr("10.1.9.9"), netip.MustParseAddr("10.9.9.9"),
		netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2a00::1"),
	}
	somePorts = []uint16{0, 1, 53, 79, 80, 81, 443, 8000, 8080, 32768, 65535}
	someFQDNs = []FQDN{{Name: "db.example.com"}, {Pattern: "*.example.com"}, {Pattern: "**.com"}, {Name: "other.org"}}
	someNames = []string{"db.example.com", "a.b.example.com", "other.org", "nothing.net"}
)

func some[T any](t *rapid.T, label string, of []T) T { return rapid.SampledFrom(of).Draw(t, label) }

// list draws nil, an empty list or some of it.
func drawList[T any](t *rapid.T, label string, one *rapid.Generator[T]) []T {
	return rapid.SliceOfN(one, 0, 2).Draw(t, label)
}

var genSelector = rapid.Custom(func(t *rapid.T) Selector {
	s := Selector{}
	for range rapid.IntRange(0, 2).Draw(t, "labels") {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[some(t, "key", []string{"app", "any:app", "k8s:app", "container:app", "tier", "systemd:unit"})] = some(t, "value", []string{"a", "b"})
	}
	if rapid.IntRange(0, 3).Draw(t, "expression") == 0 {
		e := Expression{Key: some(t, "key", []string{"app", "k8s:tier", "systemd:unit"}), Operator: some(t, "op", []Operator{OpIn, OpNotIn, OpExists, OpDoesNotExist})}
		if e.Operator == OpIn || e.Operator == OpNotIn {
			e.Values = []string{some(t, "value", []string{"a", "b"}), "c"}
		}
		s.Expressions = append(s.Expressions, e)
	}
	return s
})

var genSet = rapid.Custom(func(t *rapid.T) CIDRSet {
	c := CIDRSet{CIDR: some(t, "cidr", someBlocks)}
	for _, b := range someBlocks {
		if c.CIDR.Bits() < b.Bits() && c.CIDR.Contains(b.Addr()) && rapid.Bool().Draw(t, "except") {
			c.Except = append(c.Except, b)
		}
	}
	return c
})

func drawPeers(t *rapid.T, egress bool, kinds []int) (p Peers) {
	for _, kind := range kinds {
		switch kind {
		case 1:
			p.Endpoints = drawList(t, "endpoints", genSelector)
		case 2:
			p.CIDRs = drawList(t, "cidrs", rapid.SampledFrom(someBlocks))
		case 3:
			p.CIDRSets = drawList(t, "sets", genSet)
		case 4:
			p.Entities = drawList(t, "entities", rapid.SampledFrom([]Entity{EntityAll, EntityWorld, EntityWorldIPv4, EntityWorldIPv6, EntityHost, EntityCluster, EntityInit, EntityNone}))
		case 5:
			if egress {
				p.FQDNs = drawList(t, "fqdns", rapid.SampledFrom(someFQDNs))
			}
		}
	}
	return p
}

// drawDNS draws no rules, mostly. Those for every name come to the same.
func drawDNS(t *rapid.T) *L7Rules {
	if rapid.IntRange(0, 2).Draw(t, "dns") > 0 {
		return nil
	}
	return &L7Rules{
		DNS:    rapid.SliceOfN(rapid.SampledFrom(someFQDNs), 1, 2).Draw(t, "asked"),
		Reject: some(t, "reject", []Reject{RejectDrop, RejectRefused, RejectNameError}),
	}
}

func genPortRule(egress bool) *rapid.Generator[PortRule] {
	return rapid.Custom(func(t *rapid.T) (r PortRule) {
		if egress {
			r.Rules = drawDNS(t)
		}
		r.Ports = drawList(t, "ports", rapid.Custom(func(t *rapid.T) Port {
			p := Port{Port: some(t, "port", somePorts), Protocol: some(t, "protocol", []Proto{"", ProtoAny, ProtoTCP, ProtoUDP, ProtoGRE})}
			switch end := some(t, "end", somePorts); {
			case r.Rules != nil:
				p.Port = max(p.Port, 1)
				if p.Protocol == ProtoGRE {
					p.Protocol = ProtoUDP
				}
			case p.Protocol == ProtoGRE:
				p.Port = 0
			case p.Port > 0 && end > p.Port:
				p.End = end
			}
			return p
		}))
		return r
	})
}

func genRule(egress bool) *rapid.Generator[RuleSpec] {
	return rapid.Custom(func(t *rapid.T) RuleSpec {
		r := RuleSpec{Peers: drawPeers(t, egress, []int{rapid.IntRange(0, 5).Draw(t, "kind")})}
		switch rapid.IntRange(0, 3).Draw(t, "l4") {
		case 0, 1:
			r.Ports = drawList(t, "toPorts", genPortRule(egress))
		case 2:
			r.ICMPs = drawList(t, "icmps", rapid.Custom(func(t *rapid.T) ICMPRule {
				return ICMPRule{Fields: drawList(t, "fields", rapid.Custom(func(t *rapid.T) ICMPField {
					return ICMPField{IPv6: rapid.Bool().Draw(t, "v6"), Type: some(t, "type", []uint8{0, 8, 128})}
				}))}
			}))
		}
		return r
	})
}

var genPolicies = rapid.Custom(func(t *rapid.T) []*Policy {
	var out []*Policy
	mode := func() Mode { return some(t, "mode", []Mode{ModeAudit, ModeEnforce}) }
	for i := range rapid.IntRange(1, 4).Draw(t, "policies") {
		p := &Policy{Kind: KindCilium, Name: string(rune('a' + i)), Namespace: some(t, "ns", []string{"", "n", "m"})}
		out = append(out, p)
		if rapid.IntRange(0, 3).Draw(t, "guard") == 0 {
			kinds := []int{rapid.IntRange(1, 3).Draw(t, "kind"), some(t, "kind2", []int{1, 2, 5})}
			p.Kind, p.Guard = KindGuard, &Guard{Mode: mode(), To: drawPeers(t, true, kinds), Ports: drawList(t, "ports", genPortRule(true)), AllowedFrom: drawList(t, "from", genSelector)}
			continue
		}
		s := Spec{Mode: mode()}
		one := genSelector.Draw(t, "selector")
		if p.Namespace == "" && rapid.IntRange(0, 3).Draw(t, "nodes") == 0 {
			s.Nodes = &one
		} else {
			s.Endpoints = &one
		}
		s.Ingress, s.IngressDeny = drawList(t, "ingress", genRule(false)), drawList(t, "ingressDeny", genRule(false))
		s.Egress, s.EgressDeny = drawList(t, "egress", genRule(true)), drawList(t, "egressDeny", genRule(true))
		for _, to := range []**bool{&s.DefaultDeny.Ingress, &s.DefaultDeny.Egress} {
			if rapid.IntRange(0, 3).Draw(t, "set") == 0 {
				b := rapid.Bool().Draw(t, "defaultDeny")
				*to = &b
			}
		}
		p.Specs = []Spec{s}
	}
	return out
})

var genWorkloads = rapid.Custom(func(t *rapid.T) []Workload {
	out := []Workload{{Cgroup: 1, Name: "host", Host: true, Labels: map[string]string{"reserved:host": ""}, Addrs: []netip.Addr{netip.MustParseAddr("10.1.2.4")}}}
	for i := range rapid.IntRange(0, 5).Draw(t, "workloads") {
		w := Workload{Cgroup: uint64(i + 2), Name: string(rune('a' + i)), Namespace: some(t, "ns", []string{"", "n", "m"}), Labels: map[string]string{"container:id": string(rune('a' + i))}}
		for _, k := range []string{"container:app", "k8s:app", "k8s:tier"} {
			if v := some(t, k, []string{"", "a", "b"}); v != "" {
				w.Labels[k] = v
			}
		}
		w.Addrs = []netip.Addr{netip.AddrFrom4([4]byte{172, 17, 0, byte(i + 6)})}
		if rapid.IntRange(0, 4).Draw(t, "unit") == 0 {
			w.Host, w.Addrs, w.Namespace = true, nil, ""
			w.Labels["systemd:unit"] = some(t, "unit", []string{"a", "b"})
		}
		out = append(out, w)
	}
	return out
})

func drawQuery(t *rapid.T, workloads []Workload) Query {
	q := Query{
		Workload: uint64(rapid.IntRange(1, len(workloads)+1).Draw(t, "self")), Direction: some(t, "direction", []Direction{Ingress, Egress}),
		Protocol: some(t, "protocol", []uint8{1, 6, 17, 58, 132, 47, 99}), Port: some(t, "port", somePorts),
	}
	switch rapid.IntRange(0, 2).Draw(t, "peer") {
	case 0:
		q.PeerCgroup = uint64(rapid.IntRange(1, len(workloads)+1).Draw(t, "peer"))
	case 1:
		q.Addr = some(t, "addr", someAddrs)
	case 2:
		if w := some(t, "peer", workloads); len(w.Addrs) > 0 {
			q.Addr = w.Addrs[0]
		} else {
			q.PeerCgroup = w.Cgroup
		}
	}
	switch rapid.IntRange(0, 3).Draw(t, "question") {
	case 0:
		q.Asked = &Asking{Unread: true}
	case 1, 2:
		q.Asked = &Asking{Name: some(t, "asked", someNames)}
	}
	q.Names = rapid.SliceOfN(rapid.SampledFrom(someNames), 0, 2).Draw(t, "names")
	return q
}

func TestTablesSayWhatThePoliciesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, workloads := genPolicies.Draw(t, "policies"), genWorkloads.Draw(t, "workloads")
		tables, problems := Compile(policies, workloads, Limits{})
		if tables == nil {
			t.Fatal(problems)
		}
		n := naive{policies, shareHost(workloads)}
		for range 40 {
			q := drawQuery(t, workloads)
			o := tables.Decide(q)
			if want := n.judge(q); o.Result != want {
				t.Fatalf("%+v: %v, want %v", q, o.Result, want)
			}
			if r := tables.Rule(o.Rule()); o.Rule() != 0 && r.Deny != (o.Result != Forwarded) {
				t.Fatalf("%+v: %v by rule %+v", q, o.Result, r)
			}
		}
	})
}

// shareHost gives those without addresses the host's: so a Guard's blocks see
// them.
func shareHost(in []Workload) []Workload {
	out := slices.Clone(in)
	for i := range out {
		if out[i].Addrs == nil {
			out[i].Addrs = out[0].Addrs
		}
	}
	return out
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, workloads := genPolicies.Draw(t, "policies"), genWorkloads.Draw(t, "workloads")
		a, _ := Compile(policies, workloads, Limits{})
		b, _ := Compile(rapid.Permutation(policies).Draw(t, "policies"), rapid.Permutation(workloads).Draw(t, "workloads"), Limits{})
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v", a, b)
		}
	})
}

func TestNewWorkloadChangesNoOthersIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, workloads := genPolicies.Draw(t, "policies"), genWorkloads.Draw(t, "workloads")
		more, _ := Compile(policies, workloads, Limits{})
		less, _ := Compile(policies, workloads[:len(workloads)-1], Limits{})
		for cgroup, e := range less.Workloads {
			if more.Workloads[cgroup].Identity != e.Identity {
				t.Fatalf("cgroup %d: %d, then %d", cgroup, e.Identity, more.Workloads[cgroup].Identity)
			}
		}
	})
}

func TestMarshalIsReadAsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, p := range genPolicies.Draw(t, "policies") {
			if p.Guard == nil && len(p.Specs[0].Ingress)+len(p.Specs[0].IngressDeny)+len(p.Specs[0].Egress)+len(p.Specs[0].EgressDeny) == 0 {
				continue
			}
			if p.Guard != nil && len(p.Guard.To.Endpoints)+len(p.Guard.To.CIDRs)+len(p.Guard.To.CIDRSets)+len(p.Guard.To.FQDNs) == 0 {
				continue
			}
			text := Marshal(p)
			back, problems := Parse("p.yaml", text)
			if err := problems.Err(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if again := Marshal(back...); string(again) != string(text) {
				t.Fatalf("%s\n%s", text, again)
			}
			workloads := genWorkloads.Draw(t, "workloads")
			a, _ := Compile([]*Policy{p}, workloads, Limits{})
			b, _ := Compile(back, workloads, Limits{})
			a.Rules, b.Rules = nil, nil // they have places
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%s\n%+v\n%+v", text, a, b)
			}
		}
	})
}
