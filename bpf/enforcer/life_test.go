package enforcer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// guarded are sets in which only one host may reach the server's port.
func (w *town) guarded(server string, port uint16, allowed ...string) map[string]policy.Set {
	deny := both(policy.Egress, w.identity(server), tcp, port, policy.Deny)
	sets := map[string]policy.Set{"": {Entries: []policy.Entry{deny}}}
	entries := []policy.Entry{}
	for name := range w.hosts {
		v := policy.Deny
		for _, a := range allowed {
			if a == name {
				v = policy.Allow
				sets[name] = policy.Set{}
			}
		}
		if name != server {
			entries = append(entries, both(policy.Ingress, w.identity(name), tcp, port, v))
		}
	}
	for _, id := range []policy.Identity{policy.IdentityHost, policy.IdentityWorld, policy.IdentityUnknown} {
		entries = append(entries, both(policy.Ingress, id, tcp, port, policy.Deny))
	}
	sets[server] = policy.Set{Entries: entries}
	return sets
}

// A neighbour in the same network namespace has the same address, and is told
// apart at both ends.
func TestNeighboursAreToldApart(t *testing.T) {
	w := newTown(t, "client", "server")
	w.hosts["neighbour"] = w.lab.Neighbour(w.hosts["client"], "neighbour")
	w.hosts["inmate"] = w.lab.Neighbour(w.hosts["server"], "inmate")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	sets := w.guarded("server", p.Addr.Port(), "client")
	for _, address := range []string{p.On(w.hosts["server"].V4), p.On(w.hosts["server"].V6)} {
		w.apply(nil)
		for _, from := range []string{"client", "neighbour", "inmate"} {
			if got := w.reach(from, role.Spec{Role: role.TCPClient, Address: address}); got != "" {
				t.Errorf("without rules %s to %s: %s", from, address, got)
			}
		}
		w.apply(sets)
		for from, want := range map[string]string{"client": "", "neighbour": "denied", "inmate": "denied"} {
			if got := w.reach(from, role.Spec{Role: role.TCPClient, Address: address}); got != want {
				t.Errorf("%s to %s: %q, want %q", from, address, got, want)
			}
		}
	}
	// Its own loopback device is no way round: the server's end knows who asks.
	loop := fmt.Sprintf("127.0.0.1:%d", p.Addr.Port())
	if got := w.reach("inmate", role.Spec{Role: role.TCPClient, Address: loop}); got != "timeout" {
		t.Errorf("inmate over loopback: %q", got)
	}
	if got := w.reach("server", role.Spec{Role: role.TCPClient, Address: loop}); got != "" {
		t.Errorf("the server to itself: %q", got)
	}
}

// What was enforced stays when the daemon is gone, and until the next one came.
func TestEnforcementOutlivesItsMaker(t *testing.T) {
	w := newTown(t, "client", "server", "other")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	sets := w.guarded("server", p.Addr.Port(), "client")
	w.apply(sets)
	check := func(when string) {
		t.Helper()
		for from, want := range map[string]string{"client": "", "other": "denied"} {
			if got := w.reach(from, role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4)}); got != want {
				t.Errorf("%s: %s got %q, want %q", when, from, got, want)
			}
		}
	}
	check("applied")
	w.Close()
	check("its maker is gone")
	w.open()
	if !w.Attached() {
		t.Error("the next one does not know what is at work")
	}
	check("the next one has come")
	w.apply(sets)
	check("applied again")
	for _, p := range points {
		if pins, _ := filepath.Glob(filepath.Join(w.linkDir(), p.program+"-*")); len(pins) != 1 {
			t.Errorf("%s is pinned as %v", p.program, pins)
		}
	}
	if r := w.apply(sets); r.Filled != 0 {
		t.Errorf("the same plan again filled %d tables", r.Filled)
	}
	if err := w.Off(); err != nil {
		t.Fatal(err)
	}
	if Pinned(pinDir(t)) {
		t.Error("something is pinned after Off")
	}
	if got := w.reach("other", role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4)}); got != "" {
		t.Errorf("after Off: %q", got)
	}
}

// A connection that is older than the rules is judged when they come, and one
// that they allow goes on.
func TestConnectionsAreJudgedAgain(t *testing.T) {
	w := newTown(t, "client", "other", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	at := p.On(w.hosts["server"].V4)
	steady := func(from string) *lab.Player {
		return w.hosts[from].Play(role.Spec{Role: role.Steady, Address: at, Timeout: 2 * time.Second})
	}
	// Older than the programs, and older than the rules.
	oldAllowed, oldDenied := steady("client"), steady("other")
	w.apply(nil)
	allowed, denied := steady("client"), steady("other")
	w.apply(w.guarded("server", p.Addr.Port(), "client"))
	time.Sleep(2500 * time.Millisecond)
	for name, player := range map[string]*lab.Player{"old": oldAllowed, "young": allowed} {
		if r := player.Stop(); len(r.Failed) != 0 || r.Messages < 100 {
			t.Errorf("the %s connection that is allowed: %+v", name, r)
		}
	}
	for name, player := range map[string]*lab.Player{"old": oldDenied, "young": denied} {
		if r := player.Stop(); r.Failed["timeout"] != 1 {
			t.Errorf("the %s connection that is not allowed: %+v", name, r)
		}
	}
}

// No packet passes unjudged while the programs are exchanged, and none that is
// allowed is lost.
func TestProgramsAreExchangedUnderTraffic(t *testing.T) {
	w := newTown(t, "client", "other", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	sets := w.guarded("server", p.Addr.Port(), "client")
	w.apply(sets)
	busy := w.hosts["client"].Play(role.Spec{Role: role.Steady, Address: p.On(w.hosts["server"].V4), Timeout: 3 * time.Second})
	knocking := w.hosts["other"].Play(role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4), Count: 3000, Timeout: time.Second, Wait: true})
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		w.Close()
		w.open()
		w.apply(sets)
	}
	if r := knocking.Stop(); r.Failed["denied"] != 3000 {
		t.Errorf("who is not allowed: %+v", r)
	}
	if r := busy.Stop(); len(r.Failed) != 0 {
		t.Errorf("who is allowed: %+v", r)
	}
}

// containerID is a name as runtimes give them.
func containerID(n int) string { return strings.Repeat(fmt.Sprintf("%08x", 0xabc00000+n), 8) }

// A container that is in the plan has its rules before its first packet, whatever
// comes of the daemon; one that is not is held, or belongs to everyone.
func TestNewContainers(t *testing.T) {
	w := newTown(t, "client", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	at := p.On(w.hosts["server"].V4)
	born := func(name string) string {
		h := w.lab.Neighbour(w.hosts["client"], name)
		delete(w.hosts, name)
		failed := h.Account(role.Spec{Role: role.TCPClient, Address: at, Timeout: 300 * time.Millisecond}).Failed
		inner := filepath.Join(h.CgroupPath, "init")
		if err := os.Mkdir(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		for reason := range failed {
			return reason
		}
		return ""
	}
	plan := w.plan(map[string]policy.Set{"client": {Egress: enforced}})
	plan.Containers = map[string]uint64{containerID(1): w.hosts["client"].CgroupID}
	plan.Hold = true
	if _, err := w.Apply(plan); err != nil {
		t.Fatal(err)
	}
	if got := born("docker-" + containerID(1) + ".scope"); got != "denied" {
		t.Errorf("a container of the plan: %q", got)
	}
	if got := born(containerID(2)); got != "timeout" {
		t.Errorf("a container that nobody knows: %q", got)
	}
	if got := born("session-1.scope"); got != "" {
		t.Errorf("what is no container: %q", got)
	}
	// The daemon is gone.
	w.regime.Alive = 1
	if got := born(containerID(3)); got != "" {
		t.Errorf("an orphan: %q", got)
	}
	w.regime.HoldOrphan = 1
	if got := born(containerID(4)); got != "timeout" {
		t.Errorf("an orphan where they are held: %q", got)
	}
	// What was held is freed by a plan that has it.
	plan.Hold = false
	if _, err := w.Apply(plan); err != nil {
		t.Fatal(err)
	}
	held := 0
	var id uint64
	var m enforceMember
	for it := w.maps["members"].Iterate(); it.Next(&id, &m); {
		if m.Set == uint32(enforceRuleSetSET_HELD) {
			held++
		}
	}
	if held != 0 {
		t.Errorf("%d are held after a plan that holds none", held)
	}
}
