package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// number makes names unique within the process; tests may run in parallel.
var number atomic.Uint32

// Lab is one bridge with hosts on it. Use it from the test's goroutine.
type Lab struct {
	Name string // also of the cgroup that holds all hosts' cgroups

	t      testing.TB
	subnet byte
	cgroup string
	gate   *Host
	hosts  map[string]*Host
}

// New makes a lab with nothing on it but its gateway. Everything in it is gone
// when the test ends. It skips where RequireRoot does.
func New(t testing.TB) *Lab {
	t.Helper()
	RequireRoot(t)
	root := CgroupRoot(t)
	removeStale(root)

	n := number.Add(1)
	l := &Lab{
		Name: fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), n),
		t:    t,
		// Labs are isolated from each other, so that equal addresses would do;
		// different ones keep the flows of parallel tests apart.
		subnet: byte(uint32(os.Getpid()) + n),
		hosts:  make(map[string]*Host),
	}
	l.cgroup = filepath.Join(root, l.Name)
	if err := os.Mkdir(l.cgroup, 0o755); err != nil {
		t.Fatalf("lab cgroup: %v", err)
	}
	t.Cleanup(func() {
		if err := removeCgroup(l.cgroup); err != nil {
			t.Errorf("lab: %v", err)
		}
	})
	l.gate = l.newHost("gateway", 1)
	if err := l.makeBridge(); err != nil {
		t.Fatalf("lab bridge: %v", err)
	}
	return l
}

// Gateway is the machine that the hosts are containers of: the bridge is in its
// namespace, it has the addresses .1 and ::1 and forwards.
func (l *Lab) Gateway() *Host { return l.gate }

// Host is the host of that name, made at the first call. The name is also that
// of its cgroup.
func (l *Lab) Host(name string) *Host {
	l.t.Helper()
	if h, ok := l.hosts[name]; ok {
		return h
	}
	index := byte(len(l.hosts) + 2)
	if index < 2 || index == 255 {
		l.t.Fatalf("lab host %s: a lab holds 252 hosts", name)
	}
	h := l.newHost(name, index)
	if err := l.plug(h, index); err != nil {
		l.t.Fatalf("lab host %s: %v", name, err)
	}
	l.hosts[name] = h
	return h
}

// Neighbour is a host of its own cgroup in the network namespace of another, as
// containers of one pod are.
func (l *Lab) Neighbour(of *Host, name string) *Host {
	l.t.Helper()
	h := &Host{Name: name, V4: of.V4, V6: of.V6, CgroupPath: filepath.Join(l.cgroup, name), NetNS: of.NetNS, lab: l, ns: of.ns}
	if err := os.Mkdir(h.CgroupPath, 0o755); err != nil {
		l.t.Fatalf("lab host %s: cgroup: %v", name, err)
	}
	var err error
	if h.CgroupID, err = cgroupID(h.CgroupPath); err != nil {
		l.t.Fatalf("lab host %s: %v", name, err)
	}
	l.hosts[name] = h
	return h
}

const bridgeName = "br0"

func (l *Lab) makeBridge() error {
	return l.gate.configure(func(nl *netlink.Handle) error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}}
		if err := nl.LinkAdd(br); err != nil {
			return fmt.Errorf("add: %w", err)
		}
		return raise(nl, br, l.gate)
	})
}

// plug lays the cable: one end named eth0 in the host, the other on the bridge.
func (l *Lab) plug(h *Host, index byte) error {
	port := fmt.Sprintf("port%d", index)
	err := l.gate.configure(func(nl *netlink.Handle) error {
		br, err := nl.LinkByName(bridgeName)
		if err != nil {
			return fmt.Errorf("bridge: %w", err)
		}
		veth := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: port, MasterIndex: br.Attrs().Index, Flags: net.FlagUp},
			PeerName:      "eth0",
			PeerNamespace: netlink.NsFd(int(h.ns)),
		}
		if err := nl.LinkAdd(veth); err != nil {
			return fmt.Errorf("veth: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.configure(func(nl *netlink.Handle) error {
		eth, err := nl.LinkByName("eth0")
		if err != nil {
			return fmt.Errorf("eth0: %w", err)
		}
		if err := raise(nl, eth, h); err != nil {
			return err
		}
		for _, gw := range []netip.Addr{l.gate.V4, l.gate.V6} {
			route := &netlink.Route{LinkIndex: eth.Attrs().Index, Gw: gw.AsSlice()}
			if err := nl.RouteAdd(route); err != nil {
				return fmt.Errorf("default route by %s: %w", gw, err)
			}
		}
		return nil
	})
}

// raise gives a device its host's addresses and sets it up. Duplicate address
// detection would make the IPv6 address useless for a second.
func raise(nl *netlink.Handle, link netlink.Link, h *Host) error {
	addrs := []*netlink.Addr{
		{IPNet: &net.IPNet{IP: h.V4.AsSlice(), Mask: net.CIDRMask(24, 32)}},
		{IPNet: &net.IPNet{IP: h.V6.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD},
	}
	for _, a := range addrs {
		if err := nl.AddrAdd(link, a); err != nil {
			return fmt.Errorf("address %s: %w", a.IP, err)
		}
	}
	if err := nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	return nil
}
