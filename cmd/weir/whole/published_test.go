package whole

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
)

// Who asks a published port is known by address or socket where the packets are
// translated, and is the host where docker-proxy asks for them.
func TestPublishedPortsTellWhoAsks(t *testing.T) {
	require(t, curlPath)
	iptables := lab.RequireTool(t, "iptables")
	o := newOutside(t)
	h := newDockerHost(t)
	const translated, proxied = 17011, 17012
	server := h.startWith(append(labelled("server"), "--publish", fmt.Sprintf("%d:7011", translated), "--publish", fmt.Sprintf("%d:7011", proxied)),
		"server", nil, actorPath, "serve", ":7011").listens(7011)
	client := h.startWith(labelled("app"), "client", nil, "/usr/bin/sleep", "3600")
	// Without its translation a port is docker-proxy's for everybody, as on a host
	// where Docker has no iptables.
	if out, err := hostRun(iptables, "-t", "nat", "-D", "DOCKER", "!", "-i", "docker0", "-p", "tcp", "-m", "tcp", "--dport", fmt.Sprint(proxied),
		"-j", "DNAT", "--to-destination", server.at(7011)); err != nil {
		t.Fatalf("no translation to take out: %v: %s", err, out)
	}
	gateway, err := h.docker(nil, "inspect", "--format", "{{.NetworkSettings.Gateway}}", server.name)
	if err != nil {
		t.Fatal(err)
	}
	gateway = strings.TrimSpace(gateway)
	curl := func(run func(argv ...string) (string, error), address string) bool {
		out, err := run(curlPath, "--silent", "--max-time", fmt.Sprint(refusedAfter.Seconds()), "http://"+address+"/hello")
		return err == nil && out == "hello\n"
	}
	everybody := map[string]func() bool{
		"from outside":                       func() bool { return o.greeted(translated) },
		"from outside, by docker-proxy":      func() bool { return o.greeted(proxied) },
		"the host, by its loopback address":  func() bool { return curl(hostRun, fmt.Sprintf("127.0.0.1:%d", translated)) }, // docker-proxy
		"the host, by its own address":       func() bool { return curl(hostRun, fmt.Sprintf("%s:%d", o.machine, translated)) },
		"the host, by docker-proxy":          func() bool { return curl(hostRun, fmt.Sprintf("%s:%d", o.machine, proxied)) },
		"a container, by the published port": func() bool { return curl(client.run, fmt.Sprintf("%s:%d", gateway, translated)) }, // docker-proxy
		"a container, directly":              func() bool { return curl(client.run, server.at(7011)) },
	}
	try := func(when string, want ...string) {
		t.Helper()
		may := map[string]bool{}
		for _, who := range want {
			may[who] = true
		}
		var asking sync.WaitGroup
		for who, ask := range everybody {
			asking.Go(func() {
				if got := ask(); got != may[who] {
					t.Errorf("%s: %s is answered: %v, want %v", when, who, got, may[who])
				}
			})
		}
		asking.Wait()
	}
	d := startRuled(t)
	try("without a policy", slices.Collect(maps.Keys(everybody))...)
	const host, byProxy, world = "host", "by docker-proxy", "world"
	who := map[string][]string{
		host:    {"the host, by its own address"},
		byProxy: {"from outside, by docker-proxy", "the host, by its loopback address", "the host, by docker-proxy", "a container, by the published port"},
		world:   {"from outside"},
	}
	for _, c := range []struct {
		rule string
		may  []string
	}{
		{"fromEntities: [host]", slices.Concat(who[host], who[byProxy])},
		{"fromEntities: [world]", who[world]},
		{"fromCIDR: [" + o.own.String() + "/32]", who[world]},
		{"fromCIDR: [192.0.2.1/32]", nil},
		{fmt.Sprintf("fromEndpoints: [{matchLabels: {weir.test/role: app-%d}}]", os.Getpid()), []string{"a container, directly"}},
		{"fromEntities: [cluster]", slices.Concat(who[host], who[byProxy], []string{"a container, directly"})},
	} {
		d.give(map[string]string{"published": fmt.Sprintf(`apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: published}
spec:
  endpointSelector: {matchLabels: {weir.test/role: server-%d}}
  ingress: [{%s}]
`, os.Getpid(), c.rule)})
		try(c.rule, c.may...)
	}
}
