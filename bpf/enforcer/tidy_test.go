package enforcer

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// full are the places that have a table in the kernel.
func (w *town) full() (slots []uint32) {
	w.t.Helper()
	there := map[uint32]int{}
	for _, name := range []string{"sets", "port_sets"} {
		for slot := range w.maps[name].MaxEntries() {
			var id uint32
			if err := w.maps[name].Lookup(slot, &id); err == nil {
				there[slot]++
			} else if !errors.Is(err, ebpf.ErrKeyNotExist) {
				w.t.Fatal(err)
			}
		}
	}
	for slot, n := range there {
		if n != 2 {
			w.t.Errorf("place %d has one table of two", slot)
		}
	}
	return slices.Sorted(maps.Keys(there))
}

func (w *town) tidy() {
	w.t.Helper()
	if err := w.Tidy(); err != nil {
		w.t.Fatal(err)
	}
}

// variant is a plan in which nobody but the client may reach the server, with tables
// that no other variant has.
func (w *town) variant(n int) map[string]policy.Set {
	beside := both(policy.Egress, policy.Identity(1<<20+n), tcp, 1, policy.Allow)
	return map[string]policy.Set{
		"":       {Entries: []policy.Entry{beside}},
		"client": {Egress: enforced, Entries: []policy.Entry{beside, both(policy.Egress, w.identity("server"), 0, 0, policy.Allow)}},
		"other":  {Egress: enforced, Entries: []policy.Entry{beside}},
	}
}

// Tables that a plan does not want any more go, by the hand of whichever daemon.
func TestOldTablesGo(t *testing.T) {
	w := newTown(t, "client", "other", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	check := func(when string, places int) {
		t.Helper()
		if got := w.full(); len(got) != places {
			t.Errorf("%s: full are %v, want %d places", when, got, places)
		}
		for from, want := range map[string]string{"client": "", "other": "denied"} {
			if got := w.reach(from, role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4)}); got != want {
				t.Errorf("%s: %s got %q, want %q", when, from, got, want)
			}
		}
	}
	w.tidy() // before there is anything
	w.apply(w.variant(1))
	w.apply(w.variant(2))
	check("two plans", 6)
	w.tidy()
	check("tidied", 3)
	if r := w.apply(w.variant(2)); r.Filled != 0 {
		t.Errorf("the same plan again filled %d tables", r.Filled)
	}
	// The daemon ends before it could tidy up.
	w.apply(w.variant(3))
	w.Close()
	w.open()
	w.tidy()
	check("tidied by the next daemon", 3)
	w.apply(w.variant(3))
	w.tidy()
	check("with a plan of its own", 3)
}

// Containers that are to come are in nobody's cgroup yet, and their rules stay.
func TestTablesOfContainersToComeStay(t *testing.T) {
	w := newTown(t, "client", "other", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	plan := w.plan(w.variant(1))
	coming := uint64(1 << 50)
	plan.Tables.Workloads[coming] = policy.WorkloadEntry{Identity: 1 << 20, Set: len(plan.Tables.Sets)}
	plan.Tables.Sets = append(plan.Tables.Sets, policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("server"), tcp, p.Addr.Port(), policy.Allow)}})
	plan.Containers = map[string]uint64{containerID(1): coming}
	if _, err := w.Apply(plan); err != nil {
		t.Fatal(err)
	}
	w.Close()
	w.open()
	w.tidy()
	if got := w.full(); len(got) != 4 {
		t.Errorf("full are %v", got)
	}
	w.lab.Neighbour(w.hosts["client"], containerID(1))
	w.hosts["came"] = w.lab.Neighbour(w.hosts["client"], containerID(1)+".scope")
	for at, want := range map[string]string{p.On(w.hosts["server"].V4): "", p.On(w.hosts["other"].V4): "denied"} {
		if got := w.reach("came", role.Spec{Role: role.TCPClient, Address: at}); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}

// A cgroup that has an older plan's rules for whatever reason keeps them until it
// goes, or a plan has it.
func TestTablesOfStragglersStay(t *testing.T) {
	w := newTown(t, "client", "other", "server")
	w.apply(w.variant(1))
	var old enforceMember
	if err := w.maps["members"].Lookup(w.hosts["other"].CgroupID, &old); err != nil {
		t.Fatal(err)
	}
	w.apply(w.variant(2))
	straggler := uint64(1 << 50)
	if err := w.maps["members"].Put(straggler, &old); err != nil {
		t.Fatal(err)
	}
	w.tidy()
	if got := w.full(); len(got) != 4 || !slices.Contains(got, old.Set) {
		t.Errorf("full are %v, somebody is in %d", got, old.Set)
	}
	if err := w.maps["members"].Delete(straggler); err != nil {
		t.Fatal(err)
	}
	w.tidy()
	if got := w.full(); len(got) != 3 {
		t.Errorf("full are %v and nobody is there", got)
	}
}

// Where there is no room beside old tables a plan waits for them to go.
func TestPlansWaitForOldTables(t *testing.T) {
	w := newTownWith(t, Config{rooms: map[string]uint32{"sets": 8, "port_sets": 8}}, "client", "other", "server") // for six
	for n := range 5 {
		if r := w.apply(w.variant(n)); r.Filled != 3 || r.Sets != 3 {
			t.Errorf("plan %d: %+v", n, r)
		}
	}
	if got := w.reach("other", role.Spec{Role: role.TCPClient, Address: w.hosts["server"].V4.String() + ":9"}); got != "denied" {
		t.Errorf("the last plan: %q", got)
	}
}

// What fails is tried again, and no table is taken for one that is there meanwhile.
func TestTidyTriesAgain(t *testing.T) {
	w := newTown(t, "client", "other", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	broken := func(f func() error) {
		t.Helper()
		whole := w.maps["port_sets"]
		closed, err := whole.Clone()
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		w.maps["port_sets"] = closed
		if err := f(); err == nil {
			t.Error("no error")
		}
		w.maps["port_sets"] = whole
	}
	check := func(when string) {
		t.Helper()
		for from, want := range map[string]string{"client": "", "other": "denied"} {
			if got := w.reach(from, role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4)}); got != want {
				t.Errorf("%s: %s got %q, want %q", when, from, got, want)
			}
		}
	}
	w.apply(w.variant(1))
	w.apply(w.variant(2))
	broken(w.Tidy) // half of it is done
	if r := w.apply(w.variant(1)); r.Filled != 3 {
		t.Errorf("%d tables were filled: of the others half is gone", r.Filled)
	}
	check("after a failure to tidy up")
	w.tidy()
	if got := w.full(); len(got) != 3 {
		t.Errorf("full are %v", got)
	}
	broken(func() error {
		_, err := w.Apply(w.plan(w.variant(2)))
		return err
	})
	check("after a failure to apply")
	w.apply(w.variant(2))
	check("applied again")
	w.tidy()
	if got := w.full(); len(got) != 3 {
		t.Errorf("full are %v", got)
	}
}

// Whatever is judged while plans follow each other is judged by one of them: what all
// allow passes, and what none allows does not.
func TestPlansFollowEachOtherUnderTraffic(t *testing.T) {
	w := newTown(t, "client", "other", "server")
	for who, want := range map[string]string{"client": "", "other": "denied"} {
		n := 0
		exchange := func() {
			sets := w.variant(n)
			sets["client"] = sets[who]
			w.apply(sets)
			n++
			if n%2 == 0 {
				w.tidy()
			}
		}
		exchange()
		// A busy machine gets fewer plans into one flood.
		for floods := 0; n < 10 && floods < 20; floods++ {
			w.flood(1000, want, exchange)
		}
		if n < 10 {
			t.Errorf("%d plans: the test shows less than it says", n)
		}
	}
}

// When Apply returns what comes is judged by its plan.
func TestPlansHoldWhenApplyReturns(t *testing.T) {
	w := newTown(t, "client", "server")
	// This process is in no host's cgroup, and has everyone's rules.
	var socket int
	if err := w.hosts["client"].Run(func() (err error) {
		socket, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	server := &unix.SockaddrInet4{Port: 9, Addr: w.hosts["server"].V4.As4()}
	for i := range 40 {
		entry, want := both(policy.Egress, w.identity("server"), udp, 9, policy.Allow), error(nil)
		if i%2 == 1 {
			entry, want = both(policy.Egress, w.identity("server"), udp, 9, policy.Deny), unix.EPERM
		}
		w.apply(map[string]policy.Set{"": {Entries: []policy.Entry{entry, both(policy.Egress, policy.Identity(1<<20+i), udp, 1, policy.Allow)}}})
		if got := unix.Connect(socket, server); !errors.Is(got, want) {
			t.Fatalf("plan %d: %v, want %v", i, got, want)
		}
		if i%10 == 9 {
			w.tidy()
		}
	}
}
