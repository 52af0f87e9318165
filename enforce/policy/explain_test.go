package policy

import (
	"strings"
	"testing"
)

func TestParseQuestion(t *testing.T) {
	for in, want := range map[string]Question{
		"db:3306":                {From: "w", To: "db", Protocol: ProtoTCP, Port: 3306},
		"shop/db:53/udp":         {From: "w", To: "shop/db", Protocol: ProtoUDP, Port: 53},
		"[2001:db8::1]:80":       {From: "w", To: "2001:db8::1", Protocol: ProtoTCP, Port: 80},
		"a.example.com:443/SCTP": {From: "w", To: "a.example.com", Protocol: ProtoSCTP, Port: 443},
	} {
		if got, err := ParseQuestion("w", in); err != nil || got != want {
			t.Errorf("%s: %+v %v", in, got, err)
		}
	}
	for _, in := range []string{"db", "db:", "db:x", "db:65536", ":80", ""} {
		if got, err := ParseQuestion("w", in); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

func TestExplain(t *testing.T) {
	policies := append(parsed(t, in("mode: enforce\n"+web+`egress:
- toEndpoints: [{matchLabels: {app: db}}]
  toPorts: [{ports: [{port: "3306", protocol: TCP}]}]
- toFQDNs: [{matchName: a.com}]
egressDeny:
- toCIDR: [10.0.0.0/8]`)), parsed(t, strings.Replace(in("endpointSelector: {matchLabels: {app: db}}\ningress: [{fromEntities: [host]}]"), "name: p", "name: q", 1))...)
	for to, want := range map[string][]string{
		"db:3306": {"web-1 → db:3306/TCP: audited", `egress of "shop/web-1", peer "db": forwarded`, "allow to app=db on 3306/TCP (enforce, egress[0] of p)", "in p.yaml:8:5",
			`ingress of "shop/db", peer "shop/web-1": audited`, "would not in mode enforce: no rule allows it, and q (audit) denies the rest"},
		"172.17.0.5:80":   {": denied", "no rule allows it, and p (enforce) denies the rest", `peer "shop/db"`},
		"10.1.2.3:80":     {": denied", "deny to 10.0.0.0/8 (enforce, egressDeny[0] of p)", "in p.yaml:12:5"},
		"a.com:443":       {": forwarded", "allow to a.com"},
		"other.com:443":   {": denied"},
		"blog/other:80":   {": denied", `ingress of "blog/other", peer "shop/web-1": forwarded`, "no policy selects the workload in this direction"},
		"sshd.service:22": {`peer "sshd.service": denied`},
	} {
		q, err := ParseQuestion("web-1", to)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Explain(policies, hostOf(), q)
		if err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(e.String(), w) {
				t.Errorf("%s: no %q in\n%s", to, w, e)
			}
		}
	}
	for q, want := range map[Question]string{
		{From: "nobody", To: "db"}: `workload "nobody" is not known`,
		{From: "db", To: "nobody"}: `destination "nobody" is no workload that is known, no address and no DNS name`,
	} {
		if _, err := Explain(policies, hostOf(), q); err == nil || err.Error() != want {
			t.Errorf("%v: %v", q, err)
		}
	}
	twins := append(hostOf(), Workload{Cgroup: 9, Name: "db", Namespace: "blog"})
	if _, err := Explain(policies, twins, Question{From: "web-1", To: "db"}); err == nil || !strings.Contains(err.Error(), `"shop/db" and "blog/db"`) {
		t.Errorf("%v", err)
	}
}

// TestExplainListsAllThatSpeak: also those that a broader denial outdoes.
func TestExplainListsAllThatSpeak(t *testing.T) {
	policies := parsed(t, in(web+`egress: [{toPorts: [{ports: [{port: "1", endPort: 99}]}]}, {toEndpoints: [{matchLabels: {app: db}}], toPorts: [{ports: [{port: mysql}]}]}]
egressDeny: [{toEndpoints: [{matchLabels: {app: db}}]}]`))
	e, err := Explain(policies, hostOf(), Question{From: "web-1", To: "db", Port: 80})
	if err != nil || len(e.Ends[0].Said) != 2 || e.Ends[0].Decides.Section != "egressDeny" {
		t.Errorf("%+v %v", e, err)
	}
	e, err = Explain(policies, hostOf(), Question{From: "web-1", To: "db", Port: 3306})
	if err != nil || len(e.Ends[0].Said) != 2 {
		t.Errorf("%+v %v", e, err)
	}
}

func FuzzParseQuestion(f *testing.F) {
	for _, s := range []string{"db:3306", "[::1]:80/udp", "a.b:1/GRE", "/:/"} {
		f.Add(s)
	}
	policies := parsed(f, in(web+"egress: [{toFQDNs: [{matchPattern: '*.a.com'}]}]"))
	f.Fuzz(func(t *testing.T, s string) {
		q, err := ParseQuestion("web-1", s)
		if err != nil {
			return
		}
		if e, err := Explain(policies, hostOf(), q); err == nil && !strings.Contains(e.String(), e.Result.String()) {
			t.Errorf("%s", e)
		}
	})
}
