package whole

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

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
	before := kernelNames(t)
	d.give(onlyApp())
	first := kernelNames(t)

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

	for name, n := range first {
		if now := kernelNames(t)[name]; now != n && n != before[name] && !drained(t, name, n) {
			t.Errorf("of %s there were %d in the kernel and are %d", name, n, now)
		}
	}
	pins, err := filepath.Glob(filepath.Join(d.pins(), "*", "*"))
	if err != nil || len(pins) == 0 {
		t.Fatalf("nothing is pinned in %s: %v", d.pins(), err)
	}
	once := map[string]string{}
	for _, pin := range pins {
		name, _, _ := strings.Cut(filepath.Base(pin), "-")
		if other, twice := once[name]; twice && name != "tcx" {
			t.Errorf("pinned twice: %s and %s", other, pin)
		}
		once[name] = pin
	}
}

// drained waits until the kernel has so many with a name: it takes its time to let
// go of what nobody has.
func drained(t *testing.T, name string, want int) bool {
	for range 50 {
		if kernelNames(t)[name] == want {
			return true
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// kernelNames counts the programs and maps of the kernel that enforce, by name.
func kernelNames(t *testing.T) map[string]int {
	t.Helper()
	names := map[string]int{}
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // it is gone
		}
		if info, err := p.Info(); err == nil && (strings.HasPrefix(info.Name, "enforce_") || strings.HasPrefix(info.Name, "device_")) {
			names["program "+info.Name]++
			if ids, ok := info.MapIDs(); ok {
				for _, id := range ids {
					names[fmt.Sprint("map ", mapName(id))] += 0 // is counted below
				}
			}
		}
		p.Close()
	}
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		id = next
		if key := fmt.Sprint("map ", mapName(id)); key != "map " {
			if _, ours := names[key]; ours {
				names[key]++
			}
		}
	}
}

func mapName(id ebpf.MapID) string {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return ""
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return ""
	}
	return info.Name
}
