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
	const translated, proxied, forAll = 17011, 17012, 17013
	server := h.startWith(append(labelled("server"), "--publish", fmt.Sprintf("%d:7011", translated), "--publish", fmt.Sprintf("%d:7011", proxied)),
		"server", nil, actorPath, "serve", ":7011").listens(7011)
	client := h.startWith(labelled("app"), "client", nil, "/usr/bin/sleep", "3600")
	nat := func(change string, match ...string) {
		t.Helper()
		argv := append([]string{iptables, "--table", "nat", change, "DOCKER"}, match...)
		if out, err := hostRun(append(argv, "-j", "DNAT", "--to-destination", server.at(7011))...); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	// Without its translation a port is docker-proxy's for everybody, as on a host
	// where Docker has no iptables; and this is how one is translated for everybody,
	// as Docker does it where it has no docker-proxy.
	nat("--delete", "!", "-i", "docker0", "-p", "tcp", "-m", "tcp", "--dport", fmt.Sprint(proxied))
	nat("--insert", "-p", "tcp", "--dport", fmt.Sprint(forAll))
	t.Cleanup(func() { nat("--delete", "-p", "tcp", "--dport", fmt.Sprint(forAll)) })
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
		"a container, translated":            func() bool { return curl(client.run, fmt.Sprintf("%s:%d", gateway, forAll)) },
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
	const host, byProxy, world, inside = "host", "by docker-proxy", "world", "inside"
	who := map[string][]string{
		host:    {"the host, by its own address"},
		byProxy: {"from outside, by docker-proxy", "the host, by its loopback address", "the host, by docker-proxy", "a container, by the published port"},
		world:   {"from outside"},
		inside:  {"a container, directly", "a container, translated"},
	}
	for _, c := range []struct {
		rule string
		may  []string
	}{
		{"fromEntities: [host]", slices.Concat(who[host], who[byProxy])},
		{"fromEntities: [world]", who[world]},
		{"fromCIDR: [" + o.own.String() + "/32]", who[world]},
		{"fromCIDR: [192.0.2.1/32]", nil},
		{fmt.Sprintf("fromEndpoints: [{matchLabels: {weir.test/role: app-%d}}]", os.Getpid()), who[inside]},
		{"fromEntities: [cluster]", slices.Concat(who[host], who[byProxy], who[inside])},
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
