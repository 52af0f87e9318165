package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Host is a network namespace and a cgroup: what makes a container for weir.
type Host struct {
	Name       string
	V4, V6     netip.Addr
	CgroupPath string // absolute
	CgroupID   uint64
	NetNS      uint64 // inode of the namespace

	lab *Lab
	ns  netns.NsHandle
}

func (l *Lab) newHost(name string, index byte) *Host {
	l.t.Helper()
	h := &Host{
		Name:       name,
		V4:         netip.AddrFrom4([4]byte{10, 99, l.subnet, index}),
		V6:         netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x99, 7: l.subnet, 15: index}),
		CgroupPath: filepath.Join(l.cgroup, name),
		lab:        l,
		ns:         netns.None(),
	}
	l.t.Cleanup(func() { _ = h.ns.Close() })
	if err := h.make(); err != nil {
		l.t.Fatalf("lab host %s: %v", name, err)
	}
	return h
}

func (h *Host) make() error {
	if err := os.Mkdir(h.CgroupPath, 0o755); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	id, err := cgroupID(h.CgroupPath)
	if err != nil {
		return err
	}
	h.CgroupID = id

	if err := onOwnThread(func() (err error) {
		h.ns, err = netns.New()
		return err
	}); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(h.ns), &st); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	h.NetNS = st.Ino
	if err := h.Run(func() error { return writeSysctls(h.Name == "gateway") }); err != nil {
		return err
	}
	return h.configure(func(nl *netlink.Handle) error {
		lo, err := nl.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("lo: %w", err)
		}
		return nl.LinkSetUp(lo)
	})
}

// writeSysctls sets what a fresh namespace has otherwise than a container.
func writeSysctls(forward bool) error {
	values := map[string]string{"/proc/sys/net/ipv6/conf/default/accept_dad": "0"}
	if forward {
		values["/proc/sys/net/ipv4/ip_forward"] = "1"
		values["/proc/sys/net/ipv6/conf/all/forwarding"] = "1"
	}
	for path, value := range values {
		err := os.WriteFile(path, []byte(value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("sysctl: %w", err)
		}
	}
	return nil
}

// Run calls fn on a thread that is in the host's network namespace: sockets it
// opens are the host's. The cgroup stays that of the test, and goroutines that
// fn starts are elsewhere; a process that is all the host's is made by Command.
func (h *Host) Run(fn func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(h.ns); err != nil {
			return fmt.Errorf("enter namespace of %s: %w", h.Name, err)
		}
		return fn()
	})
}

// configure hands fn a netlink socket of the host.
func (h *Host) configure(fn func(*netlink.Handle) error) error {
	// Routing alone: other families are modules that a kernel may lack.
	nl, err := netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer nl.Close()
	return fn(nl)
}

// onOwnThread calls fn on a thread that nobody uses afterwards: it may change
// what the thread belongs to without changing it back.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread cannot be ended, and its namespaces are what
			// /proc/self shows: occupy it while another one is used.
			defer runtime.UnlockOSThread()
			done <- onOwnThread(fn)
			return
		}
		// Never unlocked: the runtime ends the thread with the goroutine.
		done <- fn()
	}()
	return <-done
}
