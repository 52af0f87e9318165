package enforcer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
	"golang.org/x/net/dns/dnsmessage"
)

// upgrade puts a build with other tables in the place of the one at work.
func (w *town) upgrade() {
	w.t.Helper()
	w.Close()
	w.with.abi = w.cfg.abi + 1
	w.open()
}

// While programs and tables are exchanged for those of another build nothing passes
// unjudged, by any of the ways; what is allowed goes on, and containers that come
// meanwhile have their rules.
func TestTablesAreExchangedUnderTraffic(t *testing.T) {
	rounds, pause := 20, 100*time.Microsecond
	if testing.Short() {
		rounds, pause = 2, 5*time.Millisecond
	}
	w := newTown(t, "client", "sender", "stranger", "server")
	streams := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	datagrams := w.hosts["server"].Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(0)})
	at, atUDP := streams.On(w.hosts["server"].V4), datagrams.On(w.hosts["server"].V4)
	// Nobody but the client may reach the server: the sender is refused where it
	// sends, and the stranger where it arrives.
	plan := w.plan(map[string]policy.Set{
		"sender": {Egress: enforced},
		"server": {Ingress: enforced, Entries: []policy.Entry{both(policy.Ingress, w.identity("client"), 0, 0, policy.Allow), both(policy.Ingress, w.identity("sender"), 0, 0, policy.Allow)}},
	})
	plan.Containers, plan.Hold = map[string]uint64{}, true
	for i := range 1000 {
		plan.Containers[containerID(i)] = w.hosts["sender"].CgroupID
	}
	apply := func() {
		t.Helper()
		if _, err := w.Apply(plan); err != nil {
			t.Fatal(err)
		}
	}
	apply()
	steady := w.hosts["client"].Play(role.Spec{Role: role.Steady, Address: at, Timeout: 3 * time.Second})
	var floods []*lab.Player
	for _, f := range []struct {
		from, to string
		way      role.Way
	}{{"sender", at, role.Knock}, {"sender", atUDP, role.SendTo}, {"sender", atUDP, role.Raw}, {"stranger", at, role.Knock}, {"stranger", atUDP, role.SendTo}} {
		floods = append(floods, w.hosts[f.from].Play(role.Spec{Role: role.Flood, Way: f.way, Address: f.to, Count: 1 << 30, Delay: pause, Wait: true}))
	}
	stop, born := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { born <- n }()
		for ; n < len(plan.Containers); n++ {
			select {
			case <-stop:
				return
			default:
			}
			h := *w.hosts["sender"]
			h.CgroupPath = filepath.Join(filepath.Dir(h.CgroupPath), containerID(n))
			if err := os.Mkdir(h.CgroupPath, 0o755); err != nil {
				t.Error(err)
				return
			}
			if r := h.Account(role.Spec{Role: role.Sneak, Way: role.SendTo, Address: atUDP}); r.Failed["denied"] != 1 {
				t.Errorf("container %d: %+v", n, r)
			}
		}
	}()
	for range rounds {
		w.upgrade()
		apply()
	}
	close(stop)
	if n := <-born; n == 0 {
		t.Error("no container came meanwhile: the test shows less than it says")
	}
	for i, f := range floods {
		r := f.Stop()
		if tried := int(r.Messages); i < 3 && r.Failed["denied"] != tried || tried < 10 {
			t.Errorf("flood %d: %+v", i, r)
		}
	}
	r := steady.Stop()
	if len(r.Failed) != 0 || r.Messages < 20 {
		t.Errorf("who is allowed: %+v", r)
	}
	if got := streams.Stop(); got.Conns != 1 || got.Received != r.Sent {
		t.Errorf("the server has %d connections and %d bytes of TCP, the client sent %d", got.Conns, got.Received, r.Sent)
	}
	if got := datagrams.Stop(); got.Received != 0 {
		t.Errorf("the server has %d bytes of UDP", got.Received)
	}
	for _, kind := range []string{"links-*", "tables-*"} {
		if dirs, _ := filepath.Glob(filepath.Join(pinDir(t), kind)); len(dirs) != 1 {
			t.Errorf("pinned are %v", dirs)
		}
	}
}

// Workloads need not ask again because tables were exchanged.
func TestNamesOutliveTheirTables(t *testing.T) {
	w := newDirectory(t, "a.test")
	server := w.hosts["server"]
	p := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	w.ask("client", "resolver", w.hosts["resolver"].V4, datagrams(pack(t, question(1, "a.test.", dnsmessage.TypeA))),
		[][]role.Datagram{datagrams(pack(t, answer(1, "a.test.", addr("a.test.", 60, server.V4.String()))))})
	open := w.connect("client", "server")
	w.upgrade()
	w.enforce()
	if !acknowledged(t, open) {
		t.Error("a connection by name was cut")
	}
	for from, want := range map[string]string{"client": "", "twin": "denied"} {
		if got := w.reach(from, role.Spec{Role: role.TCPClient, Address: p.On(server.V4)}); got != want {
			t.Errorf("%s: %q, want %q", from, got, want)
		}
	}
}
