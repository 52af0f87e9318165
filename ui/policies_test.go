package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

func guarded(t *testing.T) *model {
	t.Helper()
	m := testModel(t, testConfig())
	m.setPolicies(newShop().policies())
	snap := newShop().snapshot()
	snap.Verdicts = newShop().verdicts()
	m.update(snap, healthy(), noon)
	return m
}

func picture(t *testing.T, m *model) string {
	t.Helper()
	s := simulated(t, 120, 30)
	newPainter(m, s, colourTheme()).paint()
	return contents(s)
}

func TestPoliciesMode(t *testing.T) {
	for want, p := range map[text]Policies{
		"":                        {},
		"enforcing 1":             {List: []Policy{{Mode: "enforce"}}},
		"auditing 1":              {List: []Policy{{Mode: "audit"}}},
		"enforcing 1, auditing 2": {List: []Policy{{Mode: "audit"}, {Mode: "enforce"}, {Mode: "audit"}}},
		"unknown policies":        {Foreign: true},
		"enforcing 1,204":         {List: func() (l []Policy) { return append(l, enforced(1204)...) }()},
	} {
		if got := p.mode(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func enforced(n int) (out []Policy) {
	for range n {
		out = append(out, Policy{Mode: "enforce"})
	}
	return out
}

// What is counted since a policy came into its mode is told by who keeps it; what
// only verdicts name is summed up from them.
func TestPolicyRows(t *testing.T) {
	ref := flow.PolicyRef{Namespace: "shop", Name: "web", Kind: "Guard", Mode: "enforce"}
	verdicts := []aggregate.VerdictRow{
		{Denied: true, Count: 5, Rate: 0.5, Last: 10, By: []flow.PolicyRef{ref}},
		{Denied: true, Count: 2, Rate: 1, Last: 30, By: []flow.PolicyRef{ref, {Name: "gone", Kind: "Guard", Mode: "enforce"}}},
		{Count: 3, Rate: 2, Last: 20, By: []flow.PolicyRef{{Name: "gone", Kind: "Guard", Mode: "audit"}, {Namespace: "shop", Name: "web", Kind: "NetworkPolicy", Mode: "audit"}}},
		{Denied: true, Other: true, Count: 9},
	}
	now := Policies{List: []Policy{{Name: "shop/web", Kind: "Guard", Mode: "enforce", Denied: 100}, {Name: "quiet", Kind: "Guard", Mode: "audit"}}}
	rows := policyRows(&now, verdicts)
	if len(rows) != 4 {
		t.Fatalf("%+v", rows)
	}
	if r := rows[0]; !r.told || r.gone || r.Denied != 100 || r.Audited != 0 || r.deniedRate != 1.5 || r.auditedRate != 0 || r.last != 30 {
		t.Errorf("told: %+v", r)
	}
	if r := rows[1]; r.last != 0 || r.deniedRate != 0 {
		t.Errorf("one that did not speak: %+v", r)
	}
	if r := rows[2]; r.told || !r.gone || r.Denied != 2 || r.Audited != 3 || r.auditedRate != 2 || r.Mode != "enforce" {
		t.Errorf("gone: %+v", r)
	}
	if r := rows[3]; r.Name != "shop/web" || r.Kind != "NetworkPolicy" || r.Audited != 3 {
		t.Errorf("the namesake of another kind: %+v", r)
	}
	if rows = policyRows(&Policies{Note: "no daemon"}, verdicts); len(rows) != 3 || rows[0].gone {
		t.Errorf("without a daemon: %+v", rows)
	}
}

// Tab goes through both parts of the view, and on to the next one; back, the other
// way round.
func TestTabThroughPolicies(t *testing.T) {
	m := guarded(t)
	for _, c := range []struct{ key, want string }{
		{"4", "[4 Health"}, {"tab", "[5 Policies"}, {"tab", "[5 Verdicts"}, {"tab", "[1 Workloads"},
		{"shift-tab", "[5 Verdicts"}, {"shift-tab", "[5 Policies"}, {"shift-tab", "[4 Health"},
	} {
		press(m, c.key)
		if got := m.tabBar(200).String(); !strings.Contains(got, c.want) {
			t.Fatalf("after %s: %q, want %s", c.key, got, c.want)
		}
	}
}

// A policy opens to its own verdicts, and its page follows it until it is gone.
func TestPolicyPageFollows(t *testing.T) {
	m := guarded(t)
	press(m, "5", "/", "policy:database", "enter", "enter")
	got := picture(t, m)
	for _, want := range []string{"Policies › database", "back to audit in 11m00s", "deny everyo…", "row 1 of 1", "allows 2: shop/shop-orders-1"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	next := newShop().policies()
	next.List[1].Mode, next.List[1].Until, next.List[1].Denied = "audit", time.Time{}, 0
	if !m.setPolicies(next) || m.setPolicies(next) {
		t.Error("a change must be drawn, and nothing else")
	}
	if got = picture(t, m); strings.Contains(got, "back to audit") || !strings.Contains(got, "weir enforcing 1, auditing 2") {
		t.Errorf("after it went back to audit:\n%s", got)
	}
	m.setPolicies(Policies{})
	if got = picture(t, m); !strings.Contains(got, "not at work any more") || !strings.Contains(got, "weir observe") {
		t.Errorf("after it was taken out:\n%s", got)
	}
}

// The mode in the header is the present one; the rows are those of the picture.
func TestPoliciesWhilePaused(t *testing.T) {
	m := guarded(t)
	press(m, "5", "space")
	m.setPolicies(Policies{})
	if got := picture(t, m); !strings.Contains(got, "weir observe") || !strings.Contains(got, "shop/orders") {
		t.Errorf("paused:\n%s", got)
	}
	press(m, "space")
	if got := picture(t, m); !strings.Contains(got, "gone") {
		t.Errorf("going on:\n%s", got)
	}
}

// What cannot be known is said, not shown as nothing.
func TestPolicyNotes(t *testing.T) {
	for want, p := range map[string]Policies{
		"older than this":                  {Note: "the daemon is older than this program"},
		"do not hold as they should: full": {Failure: "full"},
		"`weir policy off` takes them out": {Foreign: true},
		"past the IP stack: eth0: busy":    {Uncovered: []string{"eth0: busy"}},
		"7 verdicts are not counted":       {Lost: 7},
		"no policy is at work":             {},
	} {
		m := testModel(t, testConfig())
		m.setPolicies(p)
		m.update(newShop().snapshot(), healthy(), noon)
		press(m, "5")
		got := picture(t, m)
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
		if known := p.Note == "" && !p.Foreign; known != strings.Contains(got, "no policy is at work") {
			t.Errorf("%+v:\n%s", p, got)
		}
		if p.Failure != "" && !strings.Contains(got, "observe failing") {
			t.Errorf("the header does not tell:\n%s", got)
		}
	}
	if p := testConfig().Policies(); p.Note == "" {
		t.Error("nothing is asked, and that is not said")
	}
}

// A verdict stays readable after it has left the snapshot.
func TestVerdictPageStays(t *testing.T) {
	m := guarded(t)
	press(m, "5", "tab", "/", "deny everyone", "enter", "enter")
	m.update(&aggregate.Snapshot{Time: noon.UnixNano(), Seq: 9}, healthy(), noon)
	got := picture(t, m)
	for _, want := range []string{"nothing more was heard of it", "2 of them were connections that lived", "ingress: the workload was asked", "database Guard, enforce, guard[0]"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestVerdictFilter(t *testing.T) {
	m := guarded(t)
	press(m, "5", "tab")
	for want, filters := range map[int][]string{
		1: {"port:443", "ip:203.0.113.80", "dst:pay.example", "src:shop-web", "policy:database", "proto:icmp", "guard everyone", "process:2202 !icmp !udp", "3306", "pay orders"},
		2: {"audited", "mode:audit", "rule", "src:[red]"},
		3: {"denied", "mode:enf"},
		0: {"state:live", "path:/", "port:53 mode:enforce", "policy:nothing"},
		5: {"!nothing", "!port:1"},
	} {
		for _, f := range filters {
			if err := m.filterCommand(f); err != nil {
				t.Fatal(err)
			}
			if got := m.tab().grid.Len(); got != want {
				t.Errorf("%q: %d verdicts, want %d", f, got, want)
			}
		}
	}
}

func TestPolicyFilter(t *testing.T) {
	m := guarded(t)
	press(m, "5")
	for want, filters := range map[int][]string{
		1: {"policy:orders", "ciliumnetwork", "guard.yaml", "policy:gone", "shop-web-1"},
		2: {"mode:enforce", "guard", "mode:audit"},
		0: {"port:443", "mode:nothing"},
	} {
		for _, f := range filters {
			if err := m.filterCommand(f); err != nil {
				t.Fatal(err)
			}
			if got := m.tab().grid.Len(); got != want {
				t.Errorf("%q: %d policies, want %d", f, got, want)
			}
		}
	}
}

// Among workloads, what is said of policies selects those at an end of a verdict.
func TestVerdictFilterOfWorkloads(t *testing.T) {
	m := guarded(t)
	if err := m.filterCommand("policy:database"); err != nil {
		t.Fatal(err)
	}
	if got := m.tab().grid.Len(); got != 2 {
		t.Errorf("%d workloads", got)
	}
}

// A frame costs what is on the screen, not what is in the table.
func TestOnlyVisibleVerdictsAreDrawn(t *testing.T) {
	m, s := testModel(t, testConfig()), simulated(t, 120, 40)
	snap := newShop().snapshot()
	for i := range 4096 {
		snap.Verdicts = append(snap.Verdicts, aggregate.VerdictRow{Workload: newShop().web, Protocol: flow.TCP, Port: uint16(i), Count: 1})
	}
	press(m, "5", "tab")
	m.update(snap, healthy(), noon)
	grid := m.tab().grid.(*table[aggregate.VerdictRow, string])
	cells := 0
	for i := range grid.columns {
		of := grid.columns[i].Cell
		grid.columns[i].Cell = func(r *aggregate.VerdictRow, e *env) cell { cells++; return of(r, e) }
	}
	newPainter(m, s, colourTheme()).paint()
	if most := 40 * len(grid.columns); grid.Len() != 4096 || cells == 0 || cells > most {
		t.Errorf("%d cells are made for 40 lines of %d, want at most %d", cells, grid.Len(), most)
	}
}

// The view can be asked for, and a filter of the start holds in both of its parts.
func TestStartWithPolicies(t *testing.T) {
	cfg := testConfig()
	cfg.View, cfg.Filter, cfg.Sort = "policy", "policy:database", "audited"
	m := testModel(t, cfg)
	m.setPolicies(newShop().policies())
	snap := newShop().snapshot()
	snap.Verdicts = newShop().verdicts()
	m.update(snap, healthy(), noon)
	if got := m.tabBar(200).String(); !strings.Contains(got, "[5 Policies 3]") || m.tab().grid.Len() != 1 {
		t.Errorf("%q, %d policies", got, m.tab().grid.Len())
	}
	if press(m, "tab"); m.tab().grid.Len() != 1 {
		t.Errorf("%d verdicts", m.tab().grid.Len())
	}
	if got := path(m); !strings.Contains(got, "[5 Verdicts 5]") {
		t.Error(got)
	}
}
