package enforcer

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// starve lets the kernel keep nothing for sockets of the host from now on:
// net.core.optmem_max bounds what programs store with one.
func (w *town) starve(host string) {
	w.t.Helper()
	const limit = "/proc/sys/net/core/optmem_max"
	stored := make([]byte, w.maps["parties"].ValueSize())
	var found error
	err := w.hosts[host].Run(func() error {
		if err := os.WriteFile(limit, []byte("0"), 0); err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		found = w.maps["parties"].Lookup(int32(fd), stored)
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		w.t.Skipf("%s is the whole machine's on this kernel: it is a namespace's own since Linux 6.8", limit)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if !errors.Is(found, ebpf.ErrKeyNotExist) {
		w.t.Fatalf("a socket has something stored: %v: the test shows nothing", found)
	}
}

// Where the kernel has no memory for what was decided it is decided for each packet.
func TestWithoutStorageEveryPacketIsJudged(t *testing.T) {
	w := newTown(t, "client", "server", "friend")
	w.hosts["neighbour"] = w.lab.Neighbour(w.hosts["client"], "neighbour")
	// Options of a socket are in the memory that there is none of.
	starved := slices.DeleteFunc(slices.Clone(ways), func(v way) bool { return v.child || v.way == role.Options })
	w.apply(nil)
	for _, name := range []string{"client", "server", "friend"} {
		w.starve(name)
	}
	if testing.Short() {
		starved = starved[:8]
	}
	for _, v := range starved {
		if failed, arrived := v.try(w, w.hosts["client"], "server", "friend"); failed != "" || arrived == 0 {
			t.Errorf("%s without a policy: failed %q, %d bytes arrived", v, failed, arrived)
		}
	}
	w.apply(map[string]policy.Set{"client": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("friend"), 0, 0, policy.Allow)}}})
	for _, v := range starved {
		failed, arrived := v.try(w, w.hosts["client"], "server", "friend")
		if failed != v.refused || arrived != 0 {
			t.Errorf("%s: failed %q, want %q; %d bytes arrived", v, failed, v.refused, arrived)
		}
		if told := w.verdicts(); len(told) == 0 {
			t.Errorf("%s: nobody was told", v)
		}
	}
	w.everyWay("client", "friend", "", "", "")
	w.everyWay("friend", "client", "", "", "")

	w.apply(map[string]policy.Set{"server": {Ingress: enforced, Egress: enforced, Entries: []policy.Entry{
		both(policy.Ingress, w.identity("client"), tcp, 0, policy.Allow), both(policy.Ingress, w.identity("client"), udp, 0, policy.Allow)}}})
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	d := w.hosts["server"].Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(0)})
	for from, want := range map[string]string{"client": "", "neighbour": "timeout", "friend": "timeout"} {
		if got := w.reach(from, role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4)}); got != want {
			t.Errorf("TCP from %s: %q, want %q", from, got, want)
		}
		if got := w.reach(from, role.Spec{Role: role.UDPClient, Address: d.On(w.hosts["server"].V4)}); got != want {
			t.Errorf("UDP from %s: %q, want %q", from, got, want)
		}
	}
	// What is open is judged again, by each packet.
	open := w.hosts["client"].Play(role.Spec{Role: role.Steady, Address: p.On(w.hosts["server"].V4), Timeout: 700e6})
	w.apply(map[string]policy.Set{"server": {Ingress: enforced}})
	if r := open.Stop(); r.Failed["timeout"] != 1 {
		t.Errorf("what is allowed no longer: %+v", r)
	}
}
