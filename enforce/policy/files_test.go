package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadAll(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a := in("endpointSelector: {}\negress: [{}]")
	write("a.yaml", a)
	write("b.yml", strings.Replace(a, "name: p", "name: q", 1))
	write("c.txt", "no: policy")
	policies, problems := ReadAll(dir)
	if len(policies) != 2 || len(problems) != 0 || policies[0].Pos.File != filepath.Join(dir, "a.yaml") {
		t.Fatalf("%v %v", policies, problems)
	}
	again := write("d.json", `{"apiVersion":"cilium.io/v2","kind":"CiliumNetworkPolicy","metadata":{"name":"p"},"spec":{"endpointSelector":{},"egress":[{}]}}`)
	if _, problems := ReadAll(dir); !strings.Contains(problems.Error(), again+`:1:1: CiliumNetworkPolicy "p" is there twice, first in `) {
		t.Error(problems)
	}
	both := write("e.yaml", strings.Replace(a+"\n---\n"+a, "name: p", "name: r", 2))
	if _, problems := ReadAll(both); len(problems) != 1 {
		t.Error(problems)
	}
	if _, problems := ReadAll(filepath.Join(dir, "nothing.yaml")); !strings.HasSuffix(problems.Error(), "nothing.yaml: open: no such file or directory") || problems.Err() == nil {
		t.Error(problems)
	}
}

func TestLimitsOfRanges(t *testing.T) {
	const ports = "endpointSelector: {}\negress: [{toPorts: [{ports: [%]}]}]"
	for port, want := range map[string]string{
		"{port: 80, endPort: 80}": "80/ANY", "{port: 80, endPort: 0}": "80/ANY", "{port: 80, endPort: 81, protocol: UDP}": "80-81/UDP",
		"{port: HTTP}": "http/ANY", "{port: 0, protocol: TCP}": "every port/TCP", "{protocol: gre}": "GRE",
	} {
		p := parsed(t, in(strings.Replace(ports, "%", port, 1)))[0].Specs[0].Egress[0].Ports[0].Ports[0]
		if p.String() != want {
			t.Errorf("%s: %s, want %s", port, p, want)
		}
	}
	if _, problems := Parse("p", []byte(in(strings.Replace(ports, "%", "{port: 0, endPort: 9}", 1)))); !strings.Contains(problems.Error(), "endPort needs a port other than 0") {
		t.Error(problems)
	}
}
