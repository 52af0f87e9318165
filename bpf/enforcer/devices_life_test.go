package enforcer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// Devices that come later are covered when they are looked for, and a change of
// devices is told.
func TestDeviceThatComesLater(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := newOccupiedTown(t, classic, "client", "server")
		changes, err := LinkChanges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.apply(map[string]policy.Set{"client": {Egress: enforced}})
		count := func() kernel.Devices {
			d, err := w.Devices()
			if err != nil || len(d.Uncovered) > 0 || d.Namespaces != 1 {
				t.Fatalf("devices %+v: %v", d, err)
			}
			return d
		}
		first := count()
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "later"}}
		for _, step := range []struct {
			do   func() error
			more int
		}{
			{func() error { return netlink.LinkAdd(bridge) }, 1},
			{func() error { return netlink.LinkDel(bridge) }, 0},
			{func() error { return netlink.LinkAdd(bridge) }, 1},
		} {
			if err := w.hosts["client"].Run(step.do); err != nil {
				t.Fatal(err)
			}
			if d := count(); d.Devices != first.Devices+step.more {
				t.Errorf("%d devices, and %d at first: want %d more", d.Devices, first.Devices, step.more)
			}
		}
		w.lab.Host("newcomer") // its cable is laid from the gateway's namespace
		host := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("weir%d", os.Getpid()%1e5)}}
		if err := netlink.LinkAdd(host); err != nil {
			t.Fatal(err)
		}
		defer netlink.LinkDel(host)
		select {
		case <-changes:
		case <-time.After(10 * time.Second):
			t.Error("nobody told of a new device")
		}
		// With nobody ruled the program goes from the devices where it can be told apart.
		w.apply(nil)
		if pins, _ := filepath.Glob(filepath.Join(w.linkDir(), "tcx-*")); len(pins) > 0 {
			t.Errorf("still there: %v", pins)
		}
	})
}

// What was enforced stays so without the daemon, and its successor takes it over.
func TestDeviceProgramsStay(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := newOccupiedTown(t, classic, "client", "server")
		server := fmt.Sprintf("%s:99", w.hosts["server"].V4)
		sets := map[string]policy.Set{"client": {Egress: enforced}}
		w.apply(sets)
		check := func(when, want string) {
			t.Helper()
			if got := w.sneak(role.Frame, server); got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		check("at work", "dropped")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		check("without its owner", "dropped")
		w.open()
		w.devices.classic = classic
		check("before the successor's first plan", "dropped")
		before, err := os.ReadDir(w.linkDir())
		if err != nil {
			t.Fatal(err)
		}
		w.apply(sets)
		check("by the successor", "dropped")
		after, err := os.ReadDir(w.linkDir())
		if err != nil || len(after) != len(before) {
			t.Errorf("%d pins, %d before: %v", len(after), len(before), err)
		}
		if err := w.Off(); err != nil {
			t.Fatal(err)
		}
		check("off", "")
		if err := w.hosts["client"].Run(func() error {
			qdiscs, err := netlink.QdiscList(nil)
			for _, q := range qdiscs {
				if q.Type() == "clsact" {
					return fmt.Errorf("a qdisc is left: %v", q)
				}
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}

// No frame passes while the programs of a build with other tables are exchanged.
func TestDeviceProgramsOfOtherBuildsAreExchangedUnderTraffic(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) {
		w := newOccupiedTown(t, classic, "client", "server")
		p := w.hosts["server"].Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(0)})
		sets := map[string]policy.Set{"client": {Egress: enforced}}
		w.apply(sets)
		flood := w.hosts["client"].Play(role.Spec{Role: role.Sneak, Way: role.FrameBurst, Address: p.On(w.hosts["server"].V4), Count: 1e6})
		six := w.hosts["client"].Play(role.Spec{Role: role.Sneak, Way: role.FrameBurst, Address: p.On(w.hosts["server"].V6), Count: 1e6})
		rounds := 5
		if testing.Short() {
			rounds = 2
		}
		for range rounds {
			before := w.linkDir()
			w.upgrade()
			w.devices.classic = classic
			w.apply(sets)
			if _, err := os.Stat(before); !os.IsNotExist(err) {
				t.Errorf("%s is still there: %v", before, err)
			}
		}
		for _, sender := range []*lab.Player{flood, six} {
			r := sender.Stop()
			if sent := r.Failed["dropped"]; sent < 10 || len(r.Failed) != 1 || r.Conns != 0 {
				t.Errorf("%d bursts of frames were dropped: %+v", sent, r)
			}
		}
		if got := p.Stop().Received; got != 0 {
			t.Errorf("%d bytes arrived", got)
		}
	})
}

// Other options are the kernel's business, also those of more than a page.
func TestDeviceLeavesOtherOptionsAlone(t *testing.T) {
	w := newOccupiedTown(t, false, "client")
	w.apply(map[string]policy.Set{"": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, policy.IdentityAny, 0, 0, policy.Allow)}}})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, size := range []int{4, 4096, 4097, 70000} {
		option := make([]byte, size)
		*(*int32)(unsafe.Pointer(&option[0])) = int32(20000 + size)
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, string(option)); err != nil {
			t.Errorf("an option of %d bytes: %v", size, err)
		}
		if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil || got != 2*(20000+size) {
			t.Errorf("an option of %d bytes came to %d: %v", size, got, err)
		}
	}
}

func TestLinkChangesEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := LinkChanges(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range changes {
	}
}
