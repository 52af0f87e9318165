package policy

import (
	"net/netip"
	"strings"
	"testing"
)

// asking is a packet with a question of DNS.
func asking(q Query, name string) Query {
	q.Asked = &Asking{Name: name, Unread: name == ""}
	return q
}

// only allows web to ask everyone for some names, with more rules.
func only(names, more string) string {
	return in(web + "egress:\n- toPorts: [{ports: [{port: \"53\"}], rules: {dns: [" + names + "]}}]\n" + more)
}

func TestDNSRules(t *testing.T) {
	const names = `{matchName: A.com}, {matchPattern: "*.b.com"}, {matchPattern: "**.c.com"}`
	at := out(web1, "10.0.0.1", udp, 53)
	judge(t, []string{only(names, "")}, []check{
		yes(at), yes(asking(at, "a.com")), yes(asking(at, "A.COM.")), yes(asking(at, "x.b.com")), yes(asking(at, "x.y.c.com")),
		no(asking(at, "b.com")), no(asking(at, "y.x.b.com")), no(asking(at, "c.com")), no(asking(at, "a.com.evil")), no(asking(at, "")),
		yes(asking(out(web1, db, tcp, 53), "a.com")), no(asking(out(web1, db, tcp, 53), "d.com")), no(out(web1, "10.0.0.1", udp, 54)),
		yes(asking(out(db, "10.0.0.1", udp, 53), "d.com")),
	})
	// Another rule that allows the port allows every name there; a denial stays.
	judge(t, []string{only(names, `- toCIDR: [10.0.0.0/8]
egressDeny:
- toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "bad.*"}]}}]
- toCIDR: [10.0.0.2]
`)}, []check{
		yes(asking(at, "d.com")), no(asking(at, "bad.com")), no(asking(at, "")), yes(at), no(asking(out(web1, "10.0.0.2", udp, 53), "a.com")),
		no(asking(out(web1, "192.0.2.1", udp, 53), "d.com")), yes(asking(out(web1, "192.0.2.1", udp, 53), "a.com")),
	})
	// Denials alone leave the rest open, and what cannot be read is none of it.
	judge(t, []string{in(web + `egressDeny: [{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: bad.com}]}}]}]
enableDefaultDeny: {egress: false}`)}, []check{yes(at), yes(asking(at, "a.com")), no(asking(at, "bad.com")), no(asking(at, ""))})
	judge(t, []string{only(`{matchName: a.com}, {matchPattern: "**"}`, "")}, []check{yes(asking(at, "d.com")), yes(asking(at, ""))})
}

// A Guard for names at a resolver.
func TestGuardOfNames(t *testing.T) {
	judge(t, []string{guardOf("mode: enforce\ntoCIDR: [10.0.0.1]\ntoPorts: [{ports: [{port: 53}], rules: {dns: [{matchName: db.com}]}}]\nallowedFrom: [{matchLabels: {app: db}}]")}, []check{
		yes(out(web1, "10.0.0.1", udp, 53)), yes(asking(out(web1, "10.0.0.1", udp, 53), "a.com")), no(asking(out(web1, "10.0.0.1", udp, 53), "db.com")),
		yes(asking(out(db, "10.0.0.1", udp, 53), "db.com")),
	})
}

func TestDNSRulesSayHowTheyReject(t *testing.T) {
	text := `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p}
spec:
  mode: enforce
  endpointSelector: {matchLabels: {app: web}}
  egress:
  - toCIDR: [10.0.0.1]
    toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.com}], dnsRejectResponseCode: refused}}]
  - toCIDR: [10.0.0.2]
    toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.com}], dnsRejectResponseCode: nameError}}]
  - toCIDR: [10.0.0.3]
    toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.com}]}}]
`
	policies := parsed(t, text)
	tables, problems := Compile(policies, hostOf(), Limits{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for to, want := range map[string]Reject{"10.0.0.1": RejectRefused, "10.0.0.2": RejectNameError, "10.0.0.3": RejectDrop, "10.0.0.4": RejectDrop} {
		if o := tables.Decide(asking(out(web1, to, udp, 53), "b.com")); o.Result != Denied || o.Reject != want {
			t.Errorf("%s: %+v", to, o)
		}
		if o := tables.Decide(asking(out(web1, to, udp, 53), "a.com")); o.Reject != RejectDrop {
			t.Errorf("%s, allowed: %+v", to, o)
		}
	}
	if back := string(Marshal(parsed(t, string(Marshal(policies...)))...)); strings.Count(back, "dnsRejectResponseCode: ") != 2 {
		t.Error(back)
	}
	exported, problems := Export(policies, FormatCilium)
	if strings.Contains(string(exported), "dnsReject") || !strings.Contains(problems.Error(), "dnsRejectResponseCode: Cilium has it for the whole agent") {
		t.Errorf("%v\n%s", problems, exported)
	}
	e, err := Explain(policies, hostOf(), Question{From: "web-1", To: "10.0.0.1", Port: 53, Protocol: ProtoUDP, Asked: "b.com"})
	if err != nil || !strings.Contains(e.String(), "web-1 → 10.0.0.1:53/UDP, asking for b.com: denied") ||
		!strings.Contains(e.String(), "no rule allows to ask for b.com, and p (enforce) denies the rest; it is answered with REFUSED") ||
		!strings.Contains(e.String(), "also: allow to 10.0.0.1/32 on 53/ANY, asking for a.com (enforce, egress[0] of p)") {
		t.Errorf("%v\n%s", err, e)
	}
}

// Whoever runs a name's servers must not open the machine by it.
func TestNamesNeverOpenTheMachine(t *testing.T) {
	policies := parsed(t, in("mode: enforce\n"+web+`egress: [{toFQDNs: [{matchName: a.com}]}]
egressDeny: [{toFQDNs: [{matchName: bad.com}]}]`))
	tables, _ := Compile(policies, hostOf(), Limits{})
	for addr, want := range map[string]Result{
		"10.0.0.1": Forwarded, "172.17.0.5": Forwarded, "2001:db8::1": Forwarded,
		"192.168.0.10": Denied, "127.0.0.1": Denied, "0.0.0.0": Denied, "169.254.169.254": Denied, "224.0.0.1": Denied, "255.255.255.255": Denied,
		"::1": Denied, "::": Denied, "fe80::1": Denied, "ff02::1": Denied, "::ffff:127.0.0.1": Denied,
	} {
		q := Query{Workload: web1, Direction: Egress, Addr: netip.MustParseAddr(addr), Protocol: tcp, Port: 443, Names: []string{"a.com"}}
		if o := tables.Decide(q); o.Result != want {
			t.Errorf("%s: %+v", addr, o)
		}
		q.Names = append(q.Names, "bad.com")
		if o := tables.Decide(q); o.Result != Denied || tables.Rule(o.Rule()).Section != "egressDeny" {
			t.Errorf("%s, denied by name: %+v", addr, o)
		}
		e, err := Explain(policies, hostOf(), Question{From: "web-1", To: "a.com=" + addr, Port: 443})
		if err != nil || e.Ends[0].Outcome.Result != want {
			t.Errorf("%s: %v\n%s", addr, err, e)
		}
	}
}
