package suggest

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
	"github.com/seed79351815/weir/enforce/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// learned is a baseline of records.
func learned(t testing.TB, records []flow.Record) *baseline.Baseline {
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
	b.Windows = []baseline.Window{{Start: flowtest.Epoch, Alive: flowtest.Epoch + 3600e9, End: flowtest.Epoch + 3600e9}}
	return b
}

func suggested(t testing.TB, b *baseline.Baseline, k baseline.Key) *Suggestion {
	t.Helper()
	s, err := For(b, k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var web = baseline.Key{Kind: "ComposeService", Namespace: "shop", Name: "web"}

// shop is an hour of a Compose project.
func shop() []flow.Record {
	w1, w2, db := flowtest.Service(11, "shop", "web", 1), flowtest.Service(12, "shop", "web", 2), flowtest.Service(13, "shop", "db", 1)
	resolver := flow.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.11:53"), Workload: flowtest.Unit(41, "docker.service"), Seen: true}
	var out []flow.Record
	for i := range uint64(20) {
		w := []*flow.Workload{w1, w2}[i%2]
		out = append(out, flowtest.Flow(60*i, flow.TCP, flowtest.Local(w, uint16(40000+i)), flowtest.Local(db, 3306))...)
		out = append(out, flowtest.Flow(60*i+1, flow.UDP, flowtest.Local(w, uint16(40000+i)), resolver)...)
		out = append(out, flowtest.Flow(60*i+2, flow.TCP, flowtest.Local(w, uint16(40000+i)), flowtest.Remote("198.51.100.7", 443, "api.example.com"))...)
		out = append(out, flowtest.Flow(60*i+3, flow.TCP, flowtest.Remote("203.0.113."+string(rune('0'+i%4)), uint16(50000+i)), flowtest.Local(w, 80))...)
		out = append(out, flowtest.Tally(flow.HTTP, "GET", "/users/{id}", 10, flowtest.Remote("203.0.113."+string(rune('0'+i%4)), uint16(50000+i)), flowtest.Local(w, 80)))
	}
	out = append(out, flowtest.Tally(flow.HTTP, "POST", "/users/{id}", 3, flowtest.Remote("203.0.113.1", 50000), flowtest.Local(w1, 80)))
	out = append(out, flowtest.Tally(flow.DNS, "A", "api.example.com", 40, flowtest.Local(w1, 40000), resolver))
	out = append(out, flowtest.Flow(9, flow.TCP, flowtest.Local(w1, 40099), flowtest.Remote("198.51.100.9", 443, "cdn.example.com"))...)
	return append(out, flowtest.Refused(8, flowtest.Local(w2, 40098), flowtest.Local(db, 22))...)
}

func TestGolden(t *testing.T) {
	got := suggested(t, learned(t, shop()), web).YAML()
	const file = "testdata/shop.yaml"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	doc, err := os.ReadFile("../../docs/learn.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(doc, want) {
		t.Error("docs/learn.md does not show the suggestion as it is")
	}
}

// parsed is the policy that a suggestion's file holds.
func parsed(t testing.TB, s *Suggestion) *policy.Policy {
	t.Helper()
	policies, problems := policy.Parse("suggested.yaml", s.YAML())
	if len(problems) > 0 || len(policies) != 1 {
		t.Fatalf("%d policies, %v in\n%s", len(policies), problems, s.YAML())
	}
	return policies[0]
}

func TestWhatNoRuleCanSay(t *testing.T) {
	w := flowtest.Local(flowtest.Service(11, "shop", "web", 1), 40000)
	nameless := flowtest.Container(90, "x")
	nameless.Pending = true
	s := suggested(t, learned(t, slices.Concat(
		flowtest.Flow(1, flow.TCP, w, flowtest.Local(nameless, 80)),
		flowtest.Flow(2, 99, w, flowtest.Remote("198.51.100.7", 0)),
		flowtest.Refused(3, w, flowtest.Remote("198.51.100.7", 22)),
	)), web)
	want := []string{
		"to 198.51.100.7 over tcp/22: 1 attempt, nothing came about",
		"to 198.51.100.7 over ip-99: no policy can name the protocol",
		"to unnamed over tcp/80: 1 flow, whoever it is had no name",
	}
	if !slices.Equal(s.LeftOut, want) {
		t.Errorf("left out %q, want %q", s.LeftOut, want)
	}
	for _, l := range want {
		if !strings.Contains(string(s.YAML()), "# left out: "+l) {
			t.Errorf("the file does not say %q:\n%s", l, s.YAML())
		}
	}
	spec := parsed(t, s).Specs[0]
	if len(spec.Egress) != 1 || len(spec.Egress[0].Ports) != 0 || len(spec.Ingress) != 1 {
		t.Errorf("rules %+v: nothing is to be allowed, in both directions", spec)
	}
}

func TestNotProven(t *testing.T) {
	w, db := flowtest.Local(flowtest.Service(11, "shop", "web", 1), 40000), flowtest.Local(flowtest.Service(13, "shop", "db", 1), 3306)
	old := flowtest.Flow(1, flow.TCP, w, db)
	old[0].Flow.Preexisting, old[1].Flow.Preexisting = true, true
	audited := flowtest.Flow(3, flow.TCP, w, flowtest.Remote("198.51.100.7", 443))
	audited[0].Verdict = flow.VerdictAudit
	failed := slices.Concat(flowtest.Flow(4, flow.TCP, w, flowtest.Remote("198.51.100.9", 80)), flowtest.Flow(5, flow.TCP, w, flowtest.Remote("198.51.100.9", 80)))
	failed[1].Flow.End, failed[3].Flow.End = flow.EndResetRemote, flow.EndResetRemote
	resting := flowtest.Flow(6, flow.TCP, w, flowtest.Remote("198.51.100.10", 80))[:1]
	resting[0].Kind = flow.RecordUpdate
	b := learned(t, slices.Concat(old, resting, audited, failed, flowtest.Flow(2, flow.TCP, w, flowtest.Remote("198.51.100.8", 443, "api.example.com"))))
	b.Windows = []baseline.Window{{Start: 1, End: 3600e9, Alive: 3600e9, Lost: map[string]uint64{"kernel/ring_full": 7}}}
	s := suggested(t, b, web)
	want := []string{
		"to shop/db: tcp/3306: only seen in flows that are older than weir",
		"to api.example.com: no look-up was seen; without a rule for its resolver the name stays closed",
		"to api.example.com: tcp/443: seen once",
		"to 198.51.100.7: tcp/443: seen once",
		"to 198.51.100.7: tcp/443: a policy in force would have denied it (1 record)",
		"to 198.51.100.9: tcp/80: every flow failed",
		"to 198.51.100.10: tcp/80: no flow's beginning was seen",
		"the policy as a whole: 7 events lost: kernel/ring_full 7",
	}
	if !slices.Equal(s.Unproven, want) {
		t.Errorf("not proven:\n%s\nwant\n%s", strings.Join(s.Unproven, "\n"), strings.Join(want, "\n"))
	}
	if n := strings.Count(string(s.YAML()), "# not proven"); n != len(want) {
		t.Errorf("%d marks in the file, want %d:\n%s", n, len(want), s.YAML())
	}
}

func TestMinimal(t *testing.T) {
	w := flowtest.Local(flowtest.Service(11, "shop", "web", 1), 40000)
	var records []flow.Record
	for i := range 6 { // .4 to .9, of which .4 to .7 and .8 to .9 are blocks
		a := netip.AddrFrom4([4]byte{198, 51, 100, byte(4 + i)})
		records = append(records, flowtest.Flow(uint64(i), flow.TCP, w, flow.Endpoint{Addr: netip.AddrPortFrom(a, 443)})...)
	}
	records = append(records, flowtest.Flow(10, flow.TCP, w, flowtest.Remote("198.51.100.20", 443, "a.example.com"))...)
	records = append(records, flowtest.Flow(11, flow.TCP, w, flowtest.Remote("198.51.100.21", 443, "b.example.com"))...)
	records = append(records, flowtest.Flow(12, flow.TCP, w, flowtest.Remote("198.51.100.20", 443))...) // the name's, told without it
	for port := range uint16(3) {
		records = append(records, flowtest.Flow(uint64(20+port), flow.TCP, w, flowtest.Local(flowtest.Service(13, "shop", "db", 1), 9000+port))...)
	}
	rules := suggested(t, learned(t, records), web).Policy.Specs[0].Egress
	if len(rules) != 3 {
		t.Fatalf("%d rules, want one for the service, one for the names, one for the addresses", len(rules))
	}
	if p := rules[0].Ports; len(p) != 1 || len(p[0].Ports) != 1 || p[0].Ports[0] != (policy.Port{Port: 9000, End: 9002, Protocol: policy.ProtoTCP}) {
		t.Errorf("ports %+v, want a range", p)
	}
	if got := rules[1].Peers.FQDNs; !slices.Equal(got, []policy.FQDN{{Name: "a.example.com"}, {Name: "b.example.com"}}) {
		t.Errorf("names %v", got)
	}
	want := []netip.Prefix{netip.MustParsePrefix("198.51.100.4/30"), netip.MustParsePrefix("198.51.100.8/31")}
	if got := rules[2].Peers.CIDRs; !slices.Equal(got, want) {
		t.Errorf("blocks %v, want %v: not one address more than was seen", got, want)
	}
}

func TestAggregate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seen := map[netip.Addr]bool{}
		var in []netip.Prefix
		for _, b := range rapid.SliceOf(rapid.Byte()).Draw(rt, "addresses") {
			a := netip.AddrFrom4([4]byte{10, 0, 0, b})
			if !seen[a] {
				seen[a] = true
				in = append(in, netip.PrefixFrom(a, 32))
			}
		}
		out := aggregate(in)
		for b := range 256 {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(b)})
			holds := 0
			for _, p := range out {
				if p.Contains(a) {
					holds++
				}
			}
			if holds > 1 || (holds == 1) != seen[a] {
				rt.Fatalf("%v is in %d of %v, seen: %v", a, holds, out, seen[a])
			}
		}
	})
}

func TestErrors(t *testing.T) {
	b := learned(t, shop())
	if _, err := For(b, baseline.Key{Kind: "Unit", Name: "none"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a workload that is not there: %v", err)
	}
	w := flowtest.Container(21, "cache")
	w.Labels = nil
	b = learned(t, flowtest.Flow(1, flow.TCP, flowtest.Local(w, 1), flowtest.Remote("198.51.100.7", 443)))
	if _, err := For(b, baseline.Key{Kind: "Container", Name: "cache"}); !errors.Is(err, ErrNoLabels) {
		t.Errorf("a workload without labels: %v", err)
	}
}

// TestStable holds a suggestion to be the same every time, and to be read as
// what was meant, whatever was seen.
func TestStable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := learned(t, flowtest.Any().Draw(rt, "records"))
		for _, k := range b.Keys() {
			s := suggested(t, b, k)
			first := s.YAML()
			if again := suggested(t, b, k).YAML(); !bytes.Equal(first, again) {
				rt.Fatalf("once\n%s\nthen\n%s", first, again)
			}
			if again := policy.Marshal(parsed(t, s)); !bytes.Equal(uncommented(first), uncommented(again)) {
				rt.Fatalf("written\n%s\nread\n%s", first, again)
			}
		}
	})
}

func uncommented(b []byte) []byte {
	var out []byte
	for l := range bytes.Lines(b) {
		if t := bytes.TrimSpace(l); len(t) > 0 && t[0] != '#' {
			out = append(out, l...)
		}
	}
	return out
}
