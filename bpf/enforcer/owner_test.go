package enforcer

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// A socket is its creator's for as long as it lives: who was given it, and who went
// elsewhere with it, has the rights of the creator with it, and no others.
func TestSocketsAreTheirCreators(t *testing.T) {
	w := newTown(t, "client", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	at := p.On(w.hosts["server"].V4)
	w.hosts["free"] = w.lab.Neighbour(w.hosts["client"], "free")
	w.apply(map[string]policy.Set{"client": {Egress: enforced}})

	// This process is in no host's cgroup.
	var given *os.File
	if err := w.hosts["client"].Run(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		given = os.NewFile(uintptr(fd), "given")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	if r := w.hosts["client"].Account(role.Spec{Role: role.Sneak, Way: role.Given, Address: at}, given); len(r.Failed) != 0 {
		t.Errorf("with a socket of somebody who may: %v", r.Failed)
	}
	move := func(from, to string) string {
		return w.reach(from, role.Spec{Role: role.Sneak, Way: role.Moved, Address: at, Behaviour: role.Behaviour(w.hosts[to].CgroupPath)})
	}
	if got := move("client", "free"); got != "denied" {
		t.Errorf("a socket of somebody who may not, taken to where one may: %q", got)
	}
	if got := move("free", "client"); got != "" {
		t.Errorf("a socket of somebody who may, taken to where one may not: %q", got)
	}
}

// What was accepted belongs to whoever listens.
func TestAcceptedSocketsAreTheListeners(t *testing.T) {
	w := newTown(t, "client", "server")
	w.hosts["free"] = w.lab.Neighbour(w.hosts["server"], "free")
	w.apply(map[string]policy.Set{"server": {Ingress: enforced}})
	closed := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	open := w.hosts["free"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: closed.On(w.hosts["server"].V4)}); got != "timeout" {
		t.Errorf("the ruled listener: %q", got)
	}
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: open.On(w.hosts["server"].V4)}); got != "" {
		t.Errorf("its neighbour at the same address: %q", got)
	}
}

// Containers that are in the plan have their rules when their first process starts.
func TestContainersNeverStartBeforeTheirRules(t *testing.T) {
	w := newTown(t, "client", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	starts := 1000
	if testing.Short() {
		starts = 100
	}
	plan := w.plan(map[string]policy.Set{"client": {Egress: enforced}})
	plan.Containers = map[string]uint64{}
	for i := range starts {
		plan.Containers[containerID(i)] = w.hosts["client"].CgroupID
	}
	if _, err := w.Apply(plan); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	ends := map[string]int{}
	var wait sync.WaitGroup
	next := make(chan int)
	for range 4 {
		wait.Go(func() {
			for i := range next {
				h := *w.hosts["client"]
				h.CgroupPath = filepath.Join(filepath.Dir(h.CgroupPath), containerID(i))
				if err := os.Mkdir(h.CgroupPath, 0o755); err != nil {
					t.Error(err)
					continue
				}
				r := h.Account(role.Spec{Role: role.Sneak, Way: role.Plain, Address: p.On(w.hosts["server"].V4)})
				mu.Lock()
				ends[fmt.Sprint(r.Failed)]++
				mu.Unlock()
			}
		})
	}
	for i := range starts {
		next <- i
	}
	close(next)
	wait.Wait()
	if ends["map[denied:1]"] != starts {
		t.Errorf("of %d starts: %v", starts, ends)
	}
}

// What a workload says to itself is its own affair, whatever its policy says of
// others.
func TestNobodyIsDeniedToSpeakToItself(t *testing.T) {
	w := newTown(t, "server", "client")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	w.apply(map[string]policy.Set{"server": {Ingress: enforced}})
	for _, address := range []string{fmt.Sprintf("127.0.0.1:%d", p.Addr.Port()), fmt.Sprintf("[::1]:%d", p.Addr.Port()), p.On(w.hosts["server"].V4)} {
		if got := w.reach("server", role.Spec{Role: role.TCPClient, Address: address}); got != "" {
			t.Errorf("the server to %s: %q", address, got)
		}
	}
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4)}); got != "timeout" {
		t.Errorf("another: %q", got)
	}
}
