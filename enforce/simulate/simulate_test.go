package simulate

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
	"github.com/seed79351815/weir/enforce/policy"
	"github.com/seed79351815/weir/enforce/suggest"
)

func gathered(t testing.TB, records []flow.Record) *Gatherer {
	t.Helper()
	g := NewGatherer()
	if err := g.Consume(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	return g
}

func ran(t testing.TB, records []flow.Record, policies []*policy.Policy) *Report {
	t.Helper()
	r, problems := gathered(t, records).Run(policies, policy.Limits{})
	if err := problems.Err(); err != nil || r == nil {
		t.Fatal(err)
	}
	return r
}

func parsed(t testing.TB, text string) []*policy.Policy {
	t.Helper()
	p, problems := policy.Parse("test.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return p
}

// suggested is a policy for each workload that was seen, as its file would be read.
func suggested(t testing.TB, records []flow.Record) (policies []*policy.Policy, files string) {
	t.Helper()
	l, err := baseline.Open(baseline.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(0); err != nil {
		t.Fatal(err)
	}
	if err := l.Consume(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	b, err := l.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range b.Keys() {
		s, err := suggest.For(b, k)
		if err != nil {
			t.Fatal(err)
		}
		files += string(s.YAML()) + "---\n"
		policies = append(policies, parsed(t, string(s.YAML()))...)
	}
	return policies, files
}

// TestOwnTrafficIsAllowed is what suggestions are for: what was learned is allowed
// by what was suggested of it, in either mode, and nothing else is.
func TestOwnTrafficIsAllowed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		records := flowtest.Any().Draw(rt, "records")
		policies, files := suggested(t, records)
		for _, mode := range []policy.Mode{policy.ModeAudit, policy.ModeEnforce} {
			for _, p := range policies {
				p.Specs[0].Mode = mode
			}
			if r := ran(t, records, policies); r.Found() {
				rt.Fatalf("%s: denied %+v by\n%s", mode, r.Denials[0], files)
			}
		}

		port := rapid.SampledFrom([]uint16{22, 5432, 31337}).Draw(rt, "port")
		seen := seenWorkloads(records)
		one := flowtest.Local(rapid.SampledFrom(seen).Draw(rt, "workload"), 40000)
		other := rapid.SampledFrom([]flow.Endpoint{
			flowtest.Local(rapid.SampledFrom(seen).Draw(rt, "peer"), port),
			flowtest.Remote("198.51.100.200", port), flowtest.Remote("198.51.100.7", port, "db.example.com"),
		}).Draw(rt, "to")
		foreign := flowtest.Flow(999, flow.TCP, one, other)
		r := ran(t, slices.Concat(records, foreign), policies)
		if r.Denied != 1 || r.Denials[0].Result != policy.Denied || r.Denials[0].Service.Port != port {
			rt.Fatalf("a flow to port %d that was never seen: %d denied by\n%s", port, r.Denied, files)
		}
	})
}

func seenWorkloads(records []flow.Record) (out []*flow.Workload) {
	for i := range records {
		for _, w := range []*flow.Workload{records[i].Flow.Client.Workload, records[i].Flow.Server.Workload} {
			if w != nil && !slices.ContainsFunc(out, func(o *flow.Workload) bool { return o.CgroupID == w.CgroupID }) {
				out = append(out, w)
			}
		}
	}
	return out
}

// Another peer over a port that was seen is denied too.
func TestStrangersAreDenied(t *testing.T) {
	web, db, cache := flowtest.Service(11, "shop", "web", 1), flowtest.Service(13, "shop", "db", 1), flowtest.Container(21, "cache")
	records := slices.Concat(
		flowtest.Flow(1, flow.TCP, flowtest.Local(web, 40000), flowtest.Local(db, 3306)),
		flowtest.Flow(2, flow.TCP, flowtest.Local(web, 40001), flowtest.Remote("198.51.100.7", 443, "api.example.com")),
	)
	policies, files := suggested(t, records)
	replica := flowtest.Service(12, "shop", "web", 2)
	for _, tc := range []struct {
		name    string
		flow    []flow.Record
		allowed bool
	}{
		{"a new replica", flowtest.Flow(9, flow.TCP, flowtest.Local(replica, 1), flowtest.Local(db, 3306)), true},
		{"a stranger", flowtest.Flow(9, flow.TCP, flowtest.Local(cache, 1), flowtest.Local(db, 3306)), false},
		{"the host", flowtest.Flow(9, flow.TCP, flowtest.Local(flowtest.Host(), 1), flowtest.Local(db, 3306)), false},
		{"the name's new address", flowtest.Flow(9, flow.TCP, flowtest.Local(web, 1), flowtest.Remote("203.0.113.99", 443, "api.example.com")), true},
		{"another name", flowtest.Flow(9, flow.TCP, flowtest.Local(web, 1), flowtest.Remote("203.0.113.99", 443, "evil.example.com")), false},
		{"no name", flowtest.Flow(9, flow.TCP, flowtest.Local(web, 1), flowtest.Remote("203.0.113.99", 443)), false},
		{"the other way", flowtest.Flow(9, flow.TCP, flowtest.Local(db, 1), flowtest.Local(web, 3306)), false},
		{"another protocol", flowtest.Flow(9, flow.UDP, flowtest.Local(web, 1), flowtest.Local(db, 3306)), false},
		{"nobody whom a policy selects", flowtest.Flow(9, flow.TCP, flowtest.Local(cache, 1), flowtest.Remote("203.0.113.99", 443)), true},
	} {
		if r := ran(t, slices.Concat(records, tc.flow), policies); r.Found() == tc.allowed {
			t.Errorf("%s: denials %+v by\n%s", tc.name, r.Denials, files)
		}
	}
}

const onlyWeb = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: db}
spec:
  mode: enforce
  endpointSelector: {matchLabels: {"container:com.docker.compose.service": db}}
  ingress:
    - fromEndpoints: [{matchLabels: {"container:com.docker.compose.service": web}}]
      toPorts: [{ports: [{port: "3306", protocol: TCP}]}]
  ingressDeny:
    - fromEndpoints: [{matchLabels: {"container:name": cache}}]
`

func TestReport(t *testing.T) {
	w1, w2, db := flowtest.Service(11, "shop", "web", 1), flowtest.Service(12, "shop", "web", 2), flowtest.Service(13, "shop", "db", 1)
	cache := flowtest.Container(21, "cache\x1b[2J")
	cache.Labels[2].Value = "cache"
	records := slices.Concat(
		flowtest.Flow(1, flow.TCP, flowtest.Local(w1, 40000), flowtest.Local(db, 3306)),
		flowtest.Flow(2, flow.TCP, flowtest.Local(w1, 40000), flowtest.Local(db, 22)),
		flowtest.Flow(3, flow.TCP, flowtest.Local(w2, 40000), flowtest.Local(db, 22)),
		flowtest.Flow(4, flow.TCP, flowtest.Local(cache, 40000), flowtest.Local(db, 3306)),
		flowtest.Refused(5, flowtest.Local(w1, 40000), flowtest.Local(db, 25)),
	)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	r := ran(t, records, parsed(t, onlyWeb))
	if r.Flows != 5 || r.Allowed != 1 || r.Denied != 3 || r.Attempts != 1 || !r.Found() || len(r.Denials) != 3 {
		t.Fatalf("report %+v", r)
	}
	first := r.Denials[0]
	if first.Workload != "shop/db" || first.Flows != 2 || first.Service.Port != 22 || first.ID != 0 || first.Example.ID != 2 || first.Bytes != 2*9500 {
		t.Errorf("first denial %+v: want the two replicas' together, and the first flow", first)
	}
	if d := r.Denials[1]; !d.Rule.Deny || d.Peer.Workload.Kind != "Container" {
		t.Errorf("second denial %+v: want the rule that denies", d)
	}
	if len(r.Rules) != 2 || r.Rules[0].Flows != 1 || r.Rules[1].Flows != 1 {
		t.Errorf("rules %+v: each decided once", r.Rules)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"5 flows judged: 1 allowed, 3 would have been denied, 1 attempt that never came about would have been too\n",
		"denied: shop/db from shop/web over tcp/22: 2 flows, 19.0 kB, 2026-06-01 12:00 UTC\n  by ingress: no rule allows it\n",
		"attempt denied: shop/db from shop/web over tcp/25", "cache?[2J", "test.yaml:",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("an escape reaches the terminal")
	}
}

func TestGuardHoldsForTheUnknown(t *testing.T) {
	guard := parsed(t, `
apiVersion: weir.dev/v1alpha1
kind: Guard
metadata: {name: mysql}
spec:
  mode: enforce
  toCIDR: [198.51.100.7/32]
  toPorts: [{ports: [{port: "3306", protocol: TCP}]}]
  allowedFrom: [{matchLabels: {"container:name": app}}]
`)
	nameless := flowtest.Container(90, "x")
	nameless.Pending, nameless.Labels = true, nil
	for w, denied := range map[*flow.Workload]bool{flowtest.Container(21, "app"): false, flowtest.Container(22, "other"): true, nameless: true, flowtest.Host(): true} {
		r := ran(t, flowtest.Flow(1, flow.TCP, flowtest.Local(w, 40000), flowtest.Remote("198.51.100.7", 3306)), guard)
		if r.Found() != denied {
			t.Errorf("%s: %+v, want denied: %v", w.Name, r.Denials, denied)
		}
	}
}

func TestPoliciesThatCannotBe(t *testing.T) {
	p := parsed(t, onlyWeb)
	p[0].Specs[0].Endpoints = nil
	if r, problems := gathered(t, nil).Run(p, policy.Limits{}); r != nil || problems.Err() == nil {
		t.Errorf("report %v, problems %v", r, problems)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		records := flowtest.Any().Draw(rt, "records")
		policies := parsed(t, onlyWeb)
		want := ran(t, records, policies)
		seed := rapid.Uint64().Draw(rt, "seed")
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		if got := ran(t, records, policies); !reflect.DeepEqual(got, want) {
			rt.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestBoundsAreSaid(t *testing.T) {
	g := NewGatherer()
	w := flowtest.Local(flowtest.Container(21, "cache"), 80)
	for i := range maxConversations + 5 {
		a := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
		g.take(&flow.Record{Kind: flow.RecordStart, Time: 1, Flow: flow.Flow{Protocol: flow.UDP, Client: flow.Endpoint{Addr: netip.AddrPortFrom(a, 1)}, Server: w}})
	}
	r, _ := g.Run(nil, policy.Limits{})
	if r.Missed != 5 || r.Flows != maxConversations {
		t.Errorf("%d flows, %d missed", r.Flows, r.Missed)
	}
}
