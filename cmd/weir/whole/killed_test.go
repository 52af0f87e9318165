package whole

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// onlyApp lets one container reach another, and a third one nobody. The two rules are
// at different ends.
func onlyApp() map[string]string {
	const text = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: %s}
spec:
  endpointSelector: {matchLabels: {weir.test/role: %s}}
  %s
`
	label := func(name string) string { return fmt.Sprintf("%s-%d", name, os.Getpid()) }
	return map[string]string{
		"server": fmt.Sprintf(text, "server", label("server"), "ingress: [{fromEndpoints: [{matchLabels: {weir.test/role: "+label("app")+"}}]}]"),
		"caged":  fmt.Sprintf(text, "caged", label("caged"), "egress: [{toCIDR: [192.0.2.1/32]}]"),
	}
}

func labelled(name string) []string {
	return []string{"--label", fmt.Sprintf("weir.test/role=%s-%d", name, os.Getpid())}
}

// A daemon that is killed and started time and again, ready or not, changes nothing
// about what passes: connections that are allowed go on and are made, those that are
// not are not, and the kernel has one set of everything at the end.
func TestKilledTimeAndAgainUnderTraffic(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 6
	}
	docker := lab.NewDocker(t)
	server := docker.Play(unique("server"), role.Spec{Role: role.TCPServer, Address: lab.Listen(7010)}, labelled("server")...)
	at := server.Addr.String()
	d := startRuled(t)
	d.give(onlyApp())
	first, _ := d.inKernel()

	play := func(name, label string, spec role.Spec) *lab.Container {
		return docker.Play(unique(name), spec, labelled(label)...)
	}
	steady := play("steady", "app", role.Spec{Role: role.Steady, Address: at, Timeout: 5 * time.Second})
	again := play("again", "app", role.Spec{Role: role.Flood, Way: role.Plain, Address: at, Count: 1 << 30, Delay: 20 * time.Millisecond, Wait: true})
	caged := play("caged", "caged", role.Spec{Role: role.Flood, Way: role.Plain, Address: at, Count: 1 << 30, Delay: time.Millisecond, Wait: true})
	stranger := play("stranger", "stranger", role.Spec{Role: role.Flood, Way: role.Plain, Address: at, Count: 1 << 30, Delay: time.Millisecond, Wait: true})
	for n := range rounds {
		d.kill()
		time.Sleep(rand.N(50 * time.Millisecond))
		if n%2 == 0 {
			d.stillborn(rand.N(700 * time.Millisecond))
		} else {
			d.again()
		}
	}
	if rounds%2 == 1 {
		d.again()
	}
	tried := 0
	for who, p := range map[string]*lab.Container{"caged": caged, "a stranger": stranger} {
		r := p.Stop()
		want := map[string]string{"caged": "denied", "a stranger": "timeout"}[who]
		if r.Conns != 0 || len(r.Failed) != 1 || r.Failed[want] == 0 {
			t.Errorf("%s: %+v", who, r)
		}
		tried += r.Failed[want]
	}
	r := again.Stop()
	if len(r.Failed) != 0 || r.Conns < rounds {
		t.Errorf("who may connect: %+v", r)
	}
	s := steady.Stop()
	if len(s.Failed) != 0 || s.Messages < uint64(rounds) {
		t.Errorf("who is connected: %+v", s)
	}
	if got := server.Stop(); got.Conns != r.Conns+1 {
		t.Errorf("the server has %d connections, those who may have %d", got.Conns, r.Conns+1)
	}
	t.Logf("%d rounds: %d connections and %d echoes went through, %d attempts did not", rounds, r.Conns, s.Messages, tried)

	// The containers are gone, and their devices: what was there has to go, too, as soon as
	// the daemon hears of it.
	last, devices := d.inKernel()
	for late := time.Now().Add(10 * time.Second); len(devices) > 0 && time.Now().Before(late); last, devices = d.inKernel() {
		time.Sleep(50 * time.Millisecond)
	}
	if !maps.Equal(first, last) || len(devices) > 0 {
		t.Errorf("in the kernel were %v and are %v, at devices %v", first, last, devices)
	}
}

// inKernel counts by name what is at work by the daemon's pins: programs for all
// cgroups and their tables, and programs at devices.
func (r *ruled) inKernel() (count, devices map[string]int) {
	r.t.Helper()
	pins, err := filepath.Glob(filepath.Join(r.pins(), "links-*", "*"))
	if err != nil || len(pins) == 0 {
		r.t.Fatalf("nothing is pinned in %s: %v", r.pins(), err)
	}
	count, devices = map[string]int{}, map[string]int{}
	tables := map[ebpf.MapID]bool{}
	for _, pin := range pins {
		l, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		info, err := l.Info()
		l.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		p, err := ebpf.NewProgramFromID(info.Program)
		if err != nil {
			r.t.Fatal(err)
		}
		program, err := p.Info()
		p.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		if info.TCX() != nil {
			devices[program.Name]++
			continue
		}
		count[program.Name]++
		ids, _ := program.MapIDs()
		for _, id := range ids {
			tables[id] = true
		}
	}
	pinned, err := filepath.Glob(filepath.Join(r.pins(), "tables-*", "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	count["tables of programs"], count["pinned tables"] = len(tables), len(pinned)
	return count, devices
}
