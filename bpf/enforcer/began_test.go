package enforcer

import (
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// Not every connection is begun by a connect(2) that a hook sees. What was decided for
// a socket's connection before does not hold for its next one.
func TestConnectionsThatNoHookSawBeginAreJudged(t *testing.T) {
	w := newTown(t, "client", "server", "friend")
	w.apply(map[string]policy.Set{"client": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("friend"), 0, 0, policy.Allow)}}})
	for _, name := range []string{"enforce_connect4", "enforce_connect6"} {
		pins, err := filepath.Glob(filepath.Join(w.linkDir(), name+"-*"))
		if err != nil || len(pins) != 1 {
			t.Fatalf("%s is pinned %d times, %v", name, len(pins), err)
		}
		l, err := link.LoadPinnedLink(pins[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Detach(); err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	for _, v := range []way{{way: role.Plain, server: role.TCPServer}, {way: role.Plain, server: role.TCPServer, v6: true}, {way: role.Reconnected, server: role.TCPServer}} {
		if failed, arrived := v.try(w, w.hosts["client"], "server", "friend"); failed != "timeout" || arrived != 0 {
			t.Errorf("%s: failed %q, %d bytes arrived", v, failed, arrived)
		}
		if told := w.verdicts(); told["client egress"] == nil {
			t.Errorf("%s: told was %v", v, told)
		}
		if v.way == role.Reconnected {
			continue
		}
		if failed, arrived := v.try(w, w.hosts["client"], "friend", "server"); failed != "" || arrived == 0 {
			t.Errorf("%s to who may be spoken to: failed %q, %d bytes arrived", v, failed, arrived)
		}
	}
}

// Who was let connect is let again without the tables being asked: the same workload, to
// the same peer at the same port, under the same policy.
func TestConnectionsAgain(t *testing.T) {
	// All of them in one place: they must not be taken for each other.
	w := newTownWith(t, Config{rooms: map[string]uint32{"recents": 1}}, "client", "server")
	w.hosts["neighbour"] = w.lab.Neighbour(w.hosts["client"], "neighbour")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	other := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	set := func(v policy.Verdict) policy.Set {
		return policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("server"), tcp, p.Addr.Port(), v)}}
	}
	for range 2 {
		w.apply(map[string]policy.Set{"client": set(policy.Allow), "neighbour": set(policy.Deny)})
		for range 2 {
			for _, address := range []string{p.On(w.hosts["server"].V4), p.On(w.hosts["server"].V6)} {
				if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: address}); got != "" {
					t.Errorf("who may, to %s: %q", address, got)
				}
				if got := w.reach("neighbour", role.Spec{Role: role.TCPClient, Address: address}); got != "denied" {
					t.Errorf("who may not, to %s: %q", address, got)
				}
			}
			if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: other.On(w.hosts["server"].V4)}); got != "denied" {
				t.Errorf("another port: %q", got)
			}
		}
		w.apply(map[string]policy.Set{"client": set(policy.Deny)})
		if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["server"].V4)}); got != "denied" {
			t.Errorf("who may no longer: %q", got)
		}
	}
}

// accepted is a connection to the server, both ends of which this process has: nobody
// listens any more.
func (w *town) accepted() (client, server int) {
	w.t.Helper()
	must := func(err error) {
		if err != nil {
			w.t.Helper()
			w.t.Fatal(err)
		}
	}
	listener, at := -1, unix.SockaddrInet4{Addr: w.hosts["server"].V4.As4()}
	must(w.hosts["server"].Run(func() (err error) {
		if listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.Bind(listener, &at); err != nil {
			return err
		}
		bound, err := unix.Getsockname(listener)
		if err != nil {
			return err
		}
		at.Port = bound.(*unix.SockaddrInet4).Port
		return unix.Listen(listener, 1)
	}))
	must(w.hosts["client"].Run(func() (err error) {
		if client, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Connect(client, &at)
	}))
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	must(err)
	must(unix.Close(listener))
	for _, fd := range []int{client, server} {
		must(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 700_000}))
		w.t.Cleanup(func() { unix.Close(fd) })
	}
	return client, server
}

// carries sends a byte, and tells whether it came.
func carries(from, to int) bool {
	if _, err := unix.Write(from, []byte{1}); err != nil {
		return false
	}
	n, _ := unix.Read(to, make([]byte, 1))
	return n == 1
}

// Which end accepted a connection is known though nobody listens there any more: it is
// not taken for one that the server began.
func TestAcceptedConnectionsOutliveTheirListeners(t *testing.T) {
	w := newTown(t, "client", "server")
	// This process is in no host's cgroup: both ends are everyone's.
	w.apply(map[string]policy.Set{"": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("server"), tcp, 0, policy.Allow)}}})
	client, server := w.accepted()
	if !carries(client, server) || !carries(server, client) {
		t.Error("what was accepted is judged as if the server had begun it")
	}
	// The same, with everything decided again.
	w.apply(map[string]policy.Set{"": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("server"), 0, 0, policy.Allow)}}})
	if !carries(client, server) || !carries(server, client) {
		t.Error("after another policy")
	}
}

// Nothing is stored with what is accepted where nothing is refused to the workload. A
// rule that comes later is asked all the same, before anything arrives.
func TestRulesThatComeAfterTheHandshakeHold(t *testing.T) {
	w := newTown(t, "client", "server")
	stored := func(fd int) bool {
		return w.maps["parties"].Lookup(int32(fd), make([]byte, w.maps["parties"].ValueSize())) == nil
	}
	for name, set := range map[string]policy.Set{
		"nobody may speak to it": {Ingress: enforced},
		"its clients may not":    {Entries: []policy.Entry{both(policy.Ingress, policy.IdentityAny, tcp, 0, policy.Deny)}},
	} {
		t.Run(name, func(t *testing.T) {
			w.apply(map[string]policy.Set{"client": {}})
			p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
			var fd int
			if err := w.hosts["client"].Run(func() (err error) {
				if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
					return err
				}
				return unix.Connect(fd, &unix.SockaddrInet4{Addr: w.hosts["server"].V4.As4(), Port: int(p.Addr.Port())})
			}); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if !stored(fd) {
				t.Error("nothing is stored with the client's end: the test shows nothing")
			}
			w.apply(map[string]policy.Set{"server": set})
			w.verdicts()
			if _, err := unix.Write(fd, []byte{1}); err != nil {
				t.Fatal(err)
			}
			if r := p.Stop(); r.Received != 0 {
				t.Errorf("%d bytes arrived", r.Received)
			}
			if told := w.verdicts(); told["server ingress"] == nil {
				t.Errorf("told was %v", told)
			}
		})
	}
	w.apply(nil)
	_, server := w.accepted()
	if stored(server) {
		t.Error("something is stored with what was accepted where nothing is refused")
	}
	w.apply(map[string]policy.Set{"": {Ingress: enforced, Entries: []policy.Entry{both(policy.Ingress, policy.IdentityAny, tcp, 0, policy.Allow)}}})
	if _, server = w.accepted(); !stored(server) {
		t.Error("nothing is stored with what was accepted where something is refused")
	}
}

// What is said of every peer stands with the set where it is the same whatever is asked.
func TestWhatIsSaidOfEveryPeer(t *testing.T) {
	peer := policy.Identity(1 << 20)
	for name, c := range map[string]struct {
		set   policy.Set
		plain uint16
		rank  enforceRank
	}{
		"nothing":                {policy.Set{}, 1, enforceRankRANK_NONE},
		"denied by default":      {policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, peer, tcp, 80, policy.Allow)}}, 1, enforceRankRANK_DEFAULT_DENY},
		"allowed":                {policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, policy.IdentityAny, 0, 0, policy.Allow)}}, 1, enforceRankRANK_ALLOW},
		"a port besides":         {policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, policy.IdentityAny, tcp, 80, policy.Allow)}}, 0, enforceRankRANK_NONE},
		"a protocol alone":       {policy.Set{Entries: []policy.Entry{both(policy.Egress, policy.IdentityAny, udp, 0, policy.Deny)}}, 0, enforceRankRANK_NONE},
		"the other way's port":   {policy.Set{Entries: []policy.Entry{both(policy.Ingress, policy.IdentityAny, tcp, 80, policy.Deny)}}, 1, enforceRankRANK_NONE},
		"questions of everybody": {policy.Set{Egress: enforced, Entries: []policy.Entry{{Direction: policy.Egress, Questions: 1}}, Questions: make([]policy.Questions, 1)}, 0, enforceRankRANK_NONE},
	} {
		got := rulingsOf(c.set, encode(ruleNumbers{0, 7}, c.set)).Egress
		if got.Plain != c.plain || got.Everyone.Enforced != uint8(c.rank) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
