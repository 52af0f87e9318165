package lab

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab/role"
)

func TestRolesCountTheSameOnBothEnds(t *testing.T) {
	l := New(t)
	web, shop := l.Host("web"), l.Host("shop")
	for _, tc := range []struct {
		name           string
		server, client role.Spec
		answered       bool
	}{
		{"tcp echo", role.Spec{Role: role.TCPServer}, role.Spec{Role: role.TCPClient, Count: 20, Parallel: 4, Bytes: 200_000}, true},
		{"tcp sink", role.Spec{Role: role.TCPServer, Behaviour: role.Sink}, role.Spec{Role: role.TCPClient, Count: 3, Bytes: 1000}, false},
		{"udp echo", role.Spec{Role: role.UDPServer}, role.Spec{Role: role.UDPClient, Count: 5, Messages: 4, Bytes: 700}, true},
	} {
		for _, to := range []string{"v4", "v6"} {
			t.Run(tc.name+" "+to, func(t *testing.T) {
				tc.server.Address = Listen(0)
				server := web.Play(tc.server)
				addr := web.V4
				if to == "v6" {
					addr = web.V6
				}
				tc.client.Address = server.On(addr)
				c := shop.Account(tc.client)
				s := server.Stop()
				want := uint64(tc.client.Count * max(tc.client.Messages, 1) * tc.client.Bytes)
				if c.Sent != want || s.Received != want {
					t.Errorf("client sent %d, server received %d, want %d", c.Sent, s.Received, want)
				}
				if !tc.answered {
					want = 0
				}
				if s.Sent != want || c.Received != want {
					t.Errorf("server sent %d, client received %d, want %d", s.Sent, c.Received, want)
				}
				if c.Conns != tc.client.Count || len(c.Failed) > 0 {
					t.Errorf("client: %d connections, failed %v", c.Conns, c.Failed)
				}
			})
		}
	}
}

func TestPlayersLiveInTheirHost(t *testing.T) {
	l := New(t)
	web := l.Host("web")
	server := web.Play(role.Spec{Role: role.TCPServer, Address: Listen(0)})
	if server.Addr.Addr() != web.V4 {
		t.Errorf("server at %v, want its host's address %v", server.Addr, web.V4)
	}
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", server.PID), &st); err != nil || st.Ino != web.NetNS {
		t.Errorf("server's namespace %d (%v), want %d", st.Ino, err, web.NetNS)
	}
	procs, err := os.ReadFile(filepath.Join(web.CgroupPath, "cgroup.procs"))
	if err != nil || !bytes.Contains(procs, []byte(strconv.Itoa(server.PID))) {
		t.Errorf("processes of the host's cgroup: %q (%v), want %d among them", procs, err, server.PID)
	}
	if id, err := cgroupID(web.CgroupPath); err != nil || id != web.CgroupID || id == 0 {
		t.Errorf("cgroup id %d (%v), want %d", id, err, web.CgroupID)
	}
}

func TestHostsAreIsolatedAndRouted(t *testing.T) {
	l := New(t)
	a, gw := l.Host("a"), l.Gateway()
	for _, target := range []string{gw.V4.String(), gw.V6.String()} {
		if r := a.Account(role.Spec{Role: role.Ping, Address: target, Count: 3}); r.Conns != 3 {
			t.Errorf("ping %s: %d of 3 answered, failed %v", target, r.Conns, r.Failed)
		}
	}
	err := a.Run(func() error {
		links, err := net.Interfaces()
		if err == nil && len(links) != 2 {
			err = fmt.Errorf("%d devices, want lo and eth0", len(links))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if l.Host("a") != a || l.Host("b").NetNS == a.NetNS {
		t.Error("a name is not one host")
	}
}

func TestFailuresHaveTheirReasons(t *testing.T) {
	l := New(t)
	web, shop := l.Host("web"), l.Host("shop")
	reset := web.Play(role.Spec{Role: role.TCPServer, Address: Listen(0), Behaviour: role.Reset})
	web.Filter("INPUT", "-p", "tcp", "--dport", "99", "-j", "DROP")
	for want, addr := range map[string]string{
		"refused": net.JoinHostPort(web.V4.String(), "9"),
		"reset":   reset.On(web.V4),
		"timeout": net.JoinHostPort(web.V6.String(), "99"),
	} {
		r := shop.Account(role.Spec{Role: role.TCPClient, Address: addr, Timeout: 300 * time.Millisecond, Detail: true})
		if r.Failed[want] != 1 || len(r.Each) != 1 || r.Each[0].Failure != want {
			t.Errorf("%s: failed %v, %+v", want, r.Failed, r.Each)
		}
	}
}

func TestLossDropsAndEnds(t *testing.T) {
	l := New(t)
	web, shop := l.Host("web"), l.Host("shop")
	server := web.Play(role.Spec{Role: role.UDPServer, Address: Listen(0)})
	probe := role.Spec{Role: role.UDPClient, Address: server.On(web.V4), Count: 6, Timeout: 100 * time.Millisecond}
	heal := web.LossEvery(2, "-p", "udp")
	if r := shop.Account(probe); r.Failed["timeout"] != 3 {
		t.Errorf("every second datagram dropped: failed %v, want 3 timeouts", r.Failed)
	}
	heal()
	all := web.Loss(1, "-p", "udp")
	if r := shop.Account(probe); r.Failed["timeout"] != 6 {
		t.Errorf("all datagrams dropped: failed %v, want 6 timeouts", r.Failed)
	}
	all()
	if r := shop.Account(probe); len(r.Failed) > 0 {
		t.Errorf("healed: failed %v", r.Failed)
	}
}

func TestWaitingClientHoldsItsConnections(t *testing.T) {
	l := New(t)
	web, shop := l.Host("web"), l.Host("shop")
	server := web.Play(role.Spec{Role: role.TCPServer, Address: Listen(0)})
	client := shop.Play(role.Spec{Role: role.TCPClient, Address: server.On(web.V4), Count: 3, Wait: true})
	if got := established(t, client.PID); got != 3 {
		t.Errorf("%d connections while the client waits, want 3", got)
	}
	if r := client.Stop(); r.Conns != 3 || len(r.Failed) > 0 {
		t.Errorf("client: %+v", r)
	}
}

// established counts the connections in a process's network namespace.
func established(t *testing.T, pid int) int {
	t.Helper()
	var n int
	for _, name := range []string{"tcp", "tcp6"} {
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 3 && f[3] == "01" {
				n++
			}
		}
	}
	return n
}

func TestNothingIsLeft(t *testing.T) {
	RequireRoot(t)
	before := descriptors(t)
	var path string
	t.Run("lab", func(t *testing.T) {
		l := New(t)
		path = filepath.Join(CgroupRoot(t), l.Name)
		l.Host("web").Play(role.Spec{Role: role.TCPServer, Address: Listen(0)})
		sleep := l.Host("web").Command("sleep", "60")
		if err := sleep.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = sleep.Wait() }()
	})
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s: %v, want it gone", path, err)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d file descriptors, %d before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
