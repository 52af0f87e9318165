package enforcer

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// held is what the kernel has of a plan.
type held struct {
	generation uint64
	everyone   uint32
	members    map[uint64]enforceMember
	containers map[enforceContainerId]enforceMember
	hosts      map[[16]byte]uint32
	blocks     map[enforceAddressKey]uint32
}

func (w *town) held() (h held) {
	w.t.Helper()
	h.generation, h.everyone = w.regime.Generation, w.regime.Everyone
	var err error
	if h.members, err = w.members(); err != nil {
		w.t.Fatal(err)
	}
	// What is written down here alone would not be what the kernel has.
	containers, err1 := newMirror[enforceContainerId, enforceMember](w.maps["containers"])
	hosts, err2 := newMirror[[16]byte, uint32](w.maps["hosts"])
	blocks, err3 := newMirror[enforceAddressKey, uint32](w.maps["addresses"])
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	h.containers, h.hosts, h.blocks = containers.have, hosts.have, blocks.have
	return h
}

// cgroups makes some that belong to nobody, and gives their ids.
func (w *town) cgroups(n int) (ids []uint64) {
	w.t.Helper()
	for i := range n {
		path := filepath.Join(filepath.Dir(w.hosts["client"].CgroupPath), fmt.Sprint("nobody", i))
		if err := os.Mkdir(path, 0o755); err != nil {
			w.t.Fatal(err)
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, st.Ino)
	}
	return ids
}

// A plan that does not fit into one of the tables is refused, and what held before
// it holds.
func TestWhatDoesNotFitChangesNothing(t *testing.T) {
	w := newTownWith(t, Config{rooms: map[string]uint32{"members": 40, "containers": 5, "hosts": 20, "addresses": 5, "sets": 8, "port_sets": 8}}, "client", "server")
	sets := map[string]policy.Set{"client": {Egress: enforced}}
	w.apply(sets)
	before := w.held()
	for what, spoil := range map[string]func(p *kernel.Plan){
		"cgroups": func(p *kernel.Plan) {
			for _, id := range w.cgroups(41) {
				p.Tables.Workloads[id] = policy.WorkloadEntry{Identity: 1 << 20}
			}
		},
		"containers": func(p *kernel.Plan) {
			p.Containers = map[string]uint64{}
			for i := range 6 {
				p.Containers[containerID(i)] = w.hosts["client"].CgroupID
			}
		},
		"addresses": func(p *kernel.Plan) {
			for i := range 20 {
				p.Tables.Prefixes[netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, byte(i)}), 32)] = 1 << 20
			}
		},
		"blocks": func(p *kernel.Plan) {
			for i := range 6 {
				p.Tables.Prefixes[netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i), 0}), 24)] = 1 << 20
			}
		},
		"set of rules": func(p *kernel.Plan) {
			for i := range 8 {
				p.Tables.Sets = append(p.Tables.Sets, policy.Set{Entries: []policy.Entry{both(policy.Egress, policy.Identity(1<<20+i), 0, 0, policy.Deny)}})
			}
		},
		"rules for one workload": func(p *kernel.Plan) {
			for i := range 65537 {
				p.Tables.Sets[1].Entries = append(p.Tables.Sets[1].Entries, both(policy.Egress, policy.Identity(1<<20+i>>8), tcp, uint16(1+i&0xff), policy.Allow))
			}
		},
		"patterns of DNS names": func(p *kernel.Plan) {
			for i := range 2000 {
				p.Tables.Names = append(p.Tables.Names, policy.Name{Identity: policy.Identity(1<<20 + i), Pattern: fmt.Sprintf("%d.%s.test", i, strings.Repeat("long", 15))})
			}
		},
	} {
		p := w.plan(sets)
		spoil(p)
		if _, err := w.Apply(p); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("too many %s: %v", what, err)
		}
		if after := w.held(); !reflect.DeepEqual(before, after) {
			t.Errorf("too many %s: before %+v, after %+v", what, before, after)
		}
		if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: w.hosts["server"].V4.String() + ":9"}); got != "denied" {
			t.Errorf("too many %s: %q", what, got)
		}
		w.apply(sets) // which fits
		before = w.held()
	}
}

// Where there is no room for one cgroup more, nothing passes of one that came too
// late, whatever its rules would be; and the rules of the others hold. A plan that
// has room for all of them ends that.
func TestCgroupsThatFindNoRoomMayDoNothing(t *testing.T) {
	// All that is on this machine has a place, so that the test shuts nobody out.
	host := 0
	if err := filepath.WalkDir(lab.CgroupRoot(t), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			host++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w := newTownWith(t, Config{rooms: map[string]uint32{"members": uint32(host) + 30}}, "client", "server", "other")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	plan := w.plan(map[string]policy.Set{"client": {Egress: enforced}})
	plan.Tables.Workloads[rootCgroup] = policy.WorkloadEntry{Identity: policy.IdentityHost}
	plan.Containers = map[string]uint64{containerID(1): w.hosts["client"].CgroupID, containerID(2): w.hosts["other"].CgroupID}
	apply := func() {
		t.Helper()
		if _, err := w.Apply(plan); err != nil {
			t.Fatal(err)
		}
	}
	apply()
	tables := func() kernel.Tables {
		t.Helper()
		all, err := w.Tables()
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	var fillers []string
	for i := 0; !tables().Shut; i++ {
		if i > 1000 {
			t.Fatalf("a table of %d is not full: %+v", host+30, tables())
		}
		fillers = append(fillers, filepath.Join(w.hosts["other"].CgroupPath, fmt.Sprint("filler", i)))
		if err := os.Mkdir(fillers[i], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if f := tables(); f.Homeless == 0 || f.Fill[0].Table != "policy_cgroups" || f.Fill[0].Entries != f.Fill[0].Max {
		t.Errorf("a full table: %+v", f)
	}
	knock := func(host string) string {
		return w.reach(host, role.Spec{Role: role.Sneak, Way: role.Plain, Address: p.On(w.hosts["server"].V4)})
	}
	for _, n := range []int{1, 2} {
		w.hosts[containerID(n)] = w.lab.Neighbour(w.hosts["client"], containerID(n))
		if got := knock(containerID(n)); got != "denied" {
			t.Errorf("a container for which there was no room: %q", got)
		}
	}
	for host, want := range map[string]string{"client": "denied", "other": ""} {
		if got := knock(host); got != want {
			t.Errorf("%s, which has a place: %q, want %q", host, got, want)
		}
	}
	for _, path := range fillers {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for n, host := range map[int]string{1: "client", 2: "other"} {
		id := w.hosts[containerID(n)].CgroupID
		plan.Tables.Workloads[id] = plan.Tables.Workloads[w.hosts[host].CgroupID]
	}
	apply()
	if f := tables(); f.Shut || f.Homeless == 0 {
		t.Errorf("with room again: %+v", f)
	}
	for n, want := range map[int]string{1: "denied", 2: ""} {
		if got := knock(containerID(n)); got != want {
			t.Errorf("a container for which there is room again: %q, want %q", got, want)
		}
	}
}

const rootCgroup = 1 // inode number of cgroup v2's mount point

// The kernel notes who sends, and who has begun. Where these tables are too small for
// what goes on, who may not still does not get through.
func TestNotesThatGetLostOpenNothing(t *testing.T) {
	small := map[string]uint32{"syn_notes": 2, "datagram_notes": 2, "talks": 2}
	w := newTownWith(t, Config{rooms: small}, "client", "server", "stranger", "crowd")
	w.hosts["neighbour"] = w.lab.Neighbour(w.hosts["client"], "neighbour")
	w.apply(map[string]policy.Set{"server": {Ingress: enforced, Entries: []policy.Entry{both(policy.Ingress, w.identity("client"), 0, 0, policy.Allow)}}})
	for _, c := range []struct {
		server, client role.Name
		flood          role.Way
	}{{role.TCPServer, role.TCPClient, role.Knock}, {role.UDPServer, role.UDPClient, role.SendTo}} {
		p := w.hosts["server"].Play(role.Spec{Role: c.server, Address: lab.Listen(0)})
		at := p.On(w.hosts["server"].V4)
		flood := w.hosts["crowd"].Play(role.Spec{Role: role.Flood, Way: c.flood, Address: at, Count: 1 << 30, Wait: true})
		for _, from := range []string{"stranger", "neighbour"} {
			r := w.hosts[from].Account(role.Spec{Role: c.client, Address: at, Count: 30, Parallel: 30, Timeout: 400e6})
			if r.Conns != 0 && c.client == role.TCPClient || r.Received != 0 || r.Failed["timeout"] != 30 {
				t.Errorf("%s by %s: %+v", from, c.client, r)
			}
		}
		flood.Stop()
		if got := w.reach("client", role.Spec{Role: c.client, Address: at}); got != "" {
			t.Errorf("who may, when the crowd has gone: %q", got)
		}
		if r := p.Stop(); r.Received != 64 {
			t.Errorf("%s received %+v", c.server, r)
		}
	}
}

// Addresses that were learned and found no room are refused, as any other.
func TestNamesThatFindNoRoomAreRefused(t *testing.T) {
	w := &directory{town: newTownWith(t, Config{rooms: map[string]uint32{"known": 16}}, "client", "twin", "resolver", "other", "server")}
	w.names = []policy.Name{{Identity: 1 << 20, Pattern: "a.test"}}
	w.enforce()
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	server := w.hosts["server"].V4
	learn := func(id uint16, addresses ...string) {
		var records []dnsmessage.Resource
		for _, a := range addresses {
			records = append(records, addr("a.test.", 60, a))
		}
		w.ask("client", "resolver", w.hosts["resolver"].V4, datagrams(pack(t, question(id, "a.test.", dnsmessage.TypeA))),
			[][]role.Datagram{datagrams(pack(t, answer(id, "a.test.", records...)))})
	}
	reach := func() string { return w.reach("client", role.Spec{Role: role.TCPClient, Address: p.On(server)}) }
	learn(1, server.String())
	if got := reach(); got != "" {
		t.Fatalf("a name's address: %q", got)
	}
	known := func() (is bool) {
		for k, err := range w.Known() {
			if err != nil {
				t.Fatal(err)
			}
			is = is || k.Addr == server
		}
		return is
	}
	for id := uint16(2); known(); id++ {
		if id > 50 {
			t.Fatal("never forgotten")
		}
		var many []string
		for i := range 100 {
			many = append(many, fmt.Sprintf("198.51.%d.%d", id, i))
		}
		learn(id, many...)
	}
	if got := reach(); got != "denied" {
		t.Errorf("what was forgotten: %q", got)
	}
	f, err := w.Tables()
	if err != nil {
		t.Fatal(err)
	}
	if last := f.Fill[len(f.Fill)-1]; last.Table != "policy_names" || last.Max != 16 || last.Entries == 0 || last.Entries > 16 {
		t.Errorf("a full table: %+v", last)
	}
	learn(99, server.String())
	if got := reach(); got != "" {
		t.Errorf("asked again: %q", got)
	}
}
