package enforcer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace, and a task that is in it.
type namespace struct {
	inode uint64
	path  string
}

// namespaces finds the network namespaces of the tasks that rules speak of.
func (e *Enforcer) namespaces() ([]namespace, error) {
	var all []namespace
	known := map[uint64]bool{}
	err := e.tasks(deviceRulingRULED_AUDITED, func(id string) {
		if ns, ok := namespaceOf(id); ok && !known[ns.inode] {
			known[ns.inode] = true
			all = append(all, ns)
		}
	})
	return all, err
}

// namespaceOf is where a task is, unless it has ended.
func namespaceOf(task string) (namespace, bool) {
	path := filepath.Join("/proc", task, "ns/net")
	text, err := os.Readlink(path) // "net:[4026531840]"
	if err != nil {
		return namespace{}, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(text, "net:["), "]"), 10, 64)
	return namespace{inode, path}, err == nil
}

// ruling tells how much rules say of what the workloads of a set send. Those that
// are held may send nothing.
func (e *Enforcer) ruling(set uint32) (deviceRuling, error) {
	if set == uint32(enforceRuleSetSET_HELD) {
		return deviceRulingRULED_ENFORCED, nil
	}
	var ruling uint32
	if err := e.maps["ruled"].Lookup(set, &ruling); err != nil {
		return 0, fmt.Errorf("read what set %d is: %w", set, err)
	}
	return deviceRuling(ruling), nil
}

// tasks calls fn for the tasks whose sets are ruled at least so much: for every
// process of the host where everyone's is.
func (e *Enforcer) tasks(least deviceRuling, fn func(id string)) error {
	everyone, err := e.ruling(e.regime.Everyone)
	if err != nil {
		return err
	}
	if everyone >= least {
		return processes(fn)
	}
	return e.memberTasks(least, fn)
}

// processes calls fn for every process of the host.
func processes(fn func(id string)) error {
	dir, err := os.Open("/proc")
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if name[0] >= '1' && name[0] <= '9' {
			fn(name)
		}
	}
	return err
}

// memberTasks calls fn for every task, threads too, of the cgroups whose own sets
// are ruled, as the kernel has them: also those that came since the last plan.
func (e *Enforcer) memberTasks(least deviceRuling, fn func(id string)) error {
	return filepath.WalkDir(e.cfg.CgroupRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			if err == nil || os.IsNotExist(err) {
				return nil
			}
			return err
		}
		var st syscall.Stat_t
		var m enforceMember
		if syscall.Stat(path, &st) != nil || e.maps["members"].Lookup(st.Ino, &m) != nil {
			return nil
		}
		if ruling, err := e.ruling(m.Set); err != nil || ruling < least {
			return err
		}
		tasks, err := os.ReadFile(filepath.Join(path, "cgroup.threads"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("who is in %s: %w", path, err)
		}
		for _, id := range strings.Fields(string(tasks)) {
			fn(id)
		}
		return nil
	})
}

// do calls fn in the namespace, on a thread of its own, with a netlink socket
// there. It is an error that the namespace is not what it was.
func (ns namespace) do(fn func(*netlink.Handle) error) error {
	f, err := os.Open(ns.path)
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Ino != ns.inode {
		return fmt.Errorf("%s is another namespace now: %w", ns.path, os.ErrNotExist)
	}
	return onOwnThread(func() error {
		if err := netns.Set(netns.NsHandle(f.Fd())); err != nil {
			return fmt.Errorf("enter: %w", err)
		}
		nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("netlink: %w", err)
		}
		defer nl.Close()
		return fn(nl)
	})
}

// onOwnThread calls fn on a thread that ends with it, wherever fn has taken it.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The first thread does not end: what it is in the process shows.
			defer runtime.UnlockOSThread()
			done <- onOwnThread(fn)
			return
		}
		done <- fn()
	}()
	return <-done
}
