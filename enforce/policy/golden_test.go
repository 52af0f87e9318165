package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden compiles the examples for a small host. A golden file says in
// words what the kernel gets.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/policies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			policies, problems := ReadFile(f)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			workloads := hostOf()
			for i := range workloads {
				if app, ok := workloads[i].Labels["container:app"]; ok {
					workloads[i].Labels["k8s:app"] = app
				}
			}
			tables, problems := Compile(policies, workloads, Limits{})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			got := dump(tables, workloads)
			golden := strings.TrimSuffix(f, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// dump writes tables with names for identities.
func dump(t *Tables, workloads []Workload) string {
	names := map[Identity]string{IdentityAny: "any", IdentityHost: "host", IdentityWorld: "world", IdentityUnknown: "unknown"}
	for p, id := range t.Prefixes {
		if p.Bits() < p.Addr().BitLen() || names[id] == "" {
			names[id] = p.String()
		}
	}
	names[IdentityHost], names[IdentityUnknown] = "host", "unknown"
	for _, n := range t.Names {
		names[n.Identity] = n.Pattern
	}
	byID := map[Identity][]string{}
	for i := range workloads {
		id := t.Workloads[workloads[i].Cgroup].Identity
		byID[id] = append(byID[id], workloads[i].String())
	}
	for id, ws := range byID {
		if id >= FirstIdentity {
			names[id] = strings.Join(ws, "+")
		}
	}
	var b strings.Builder
	for i := range workloads {
		e := t.Workloads[workloads[i].Cgroup]
		fmt.Fprintf(&b, "%-14s %-22s set %d\n", workloads[i].String(), names[e.Identity], e.Set)
	}
	for i, s := range t.Sets {
		fmt.Fprintf(&b, "\nset %d  default deny: ingress %s, egress %s\n", i, posture(s.Ingress), posture(s.Egress))
		lines := make([]string, len(s.Entries))
		for j, e := range s.Entries {
			lines[j] = fmt.Sprintf("  %-7s %-22s %3d %5d/%-2d enforced %-9s audited %s\n", e.Direction, names[e.Peer], e.Protocol, e.Port, e.PortBits, spokenBy(e.Enforced), spokenBy(e.Audited))
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	}
	b.WriteString("\n")
	for i, r := range t.Rules {
		fmt.Fprintf(&b, "rule %d: %s\n", i+1, r)
	}
	return b.String()
}

func spokenBy(d Decision) string {
	if d.Verdict == None {
		return "-"
	}
	return fmt.Sprintf("%s(%d)", d.Verdict, d.Rule)
}

func posture(p Posture) string {
	switch {
	case p.Enforce:
		return "enforced"
	case p.Audit:
		return "audited"
	}
	return "no"
}

// TestDocsAreRead: every YAML example of the documentation is a policy without a
// problem.
func TestDocsAreRead(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(examples) == 0 {
		t.Fatal("no examples")
	}
	for _, e := range examples {
		policies, problems := Parse("docs/policy.md", []byte(e[1]))
		if len(problems) > 0 || len(policies) == 0 {
			t.Errorf("%v\n%s", problems, e[1])
		}
	}
	for _, entity := range []Entity{EntityAll, EntityWorld, EntityWorldIPv4, EntityWorldIPv6, EntityHost, EntityCluster, EntityInit, EntityNone} {
		if !strings.Contains(string(text), "`"+string(entity)+"`") {
			t.Errorf("entity %q is not explained", entity)
		}
	}
	for _, refused := range []map[string]string{refusedInRule, refusedInPort, refusedInCIDR, refusedKeys} {
		for field := range refused {
			if !strings.Contains(string(text), "`"+field+"`") {
				t.Errorf("the refusal of %q is not explained", field)
			}
		}
	}
	for entity := range refusedEntities {
		if !strings.Contains(string(text), "`"+string(entity)+"`") {
			t.Errorf("the refusal of entity %q is not explained", entity)
		}
	}
}
