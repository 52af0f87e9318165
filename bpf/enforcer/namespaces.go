package enforcer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace, and a task that is in it.
type namespace struct {
	inode   uint64
	path    string
	sends   bool     // somebody there has rules of egress
	hosts   bool     // it is the host's own
	tenants []tenant // who there has rules of ingress
	senders []uint64 // cgroups of who there has rules of egress of its own
}

// namespaces finds the network namespaces of the tasks that rules speak of.
func (e *Enforcer) namespaces() ([]*namespace, error) {
	var all []*namespace
	known := map[uint64]*namespace{}
	at := func(task string) *namespace {
		ns, ok := namespaceOf(task)
		if !ok {
			return nil
		}
		if known[ns.inode] == nil {
			ns.hosts = isHosts(&ns)
			known[ns.inode] = &ns
			all = append(all, &ns)
		}
		return known[ns.inode]
	}
	everyone, err := e.ruling(e.regime.Everyone)
	if err != nil {
		return nil, err
	}
	if everyone.egress >= deviceRulingRULED_AUDITED {
		if err := processes(func(id string) {
			if ns := at(id); ns != nil {
				ns.sends = true
			}
		}); err != nil {
			return nil, err
		}
	}
	concerned := func(r rulings) bool { return max(r.egress, r.ingress) >= deviceRulingRULED_AUDITED }
	return all, e.memberTasks(concerned, func(id string, owner uint64, r rulings) {
		ns := at(id)
		if ns == nil {
			return
		}
		if r.egress >= deviceRulingRULED_AUDITED {
			ns.sends = true
			if !slices.Contains(ns.senders, owner) {
				ns.senders = append(ns.senders, owner)
			}
		}
		if r.ingress >= deviceRulingRULED_AUDITED && !ns.hosts {
			ns.let(tenant{owner, r.ingress})
		}
	})
}

// namespaceOf is where a task is, unless it has ended.
func namespaceOf(task string) (namespace, bool) {
	path := filepath.Join("/proc", task, "ns/net")
	text, err := os.Readlink(path) // "net:[4026531840]"
	if err != nil {
		return namespace{}, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(text, "net:["), "]"), 10, 64)
	return namespace{inode: inode, path: path}, err == nil
}

// rulings tell how much rules say of what the workloads of a set send, and of what
// they are sent.
type rulings struct{ egress, ingress deviceRuling }

// ruling tells how a set is ruled. Those that are held may send nothing, and are
// sent nothing.
func (e *Enforcer) ruling(set uint32) (rulings, error) {
	if set == uint32(enforceRuleSetSET_HELD) {
		return rulings{deviceRulingRULED_ENFORCED, deviceRulingRULED_ENFORCED}, nil
	}
	var r deviceRulings
	if err := e.maps["ruled"].Lookup(set, &r); err != nil {
		return rulings{}, fmt.Errorf("read what set %d is: %w", set, err)
	}
	return rulings{deviceRuling(r.Egress.Ruling), deviceRuling(r.Ingress.Ruling)}, nil
}

// senders calls fn for the tasks for which a rule of egress is enforced: for every
// process of the host where everyone's is.
func (e *Enforcer) senders(fn func(id string)) error {
	everyone, err := e.ruling(e.regime.Everyone)
	if err != nil {
		return err
	}
	if everyone.egress == deviceRulingRULED_ENFORCED {
		return processes(fn)
	}
	return e.memberTasks(func(r rulings) bool { return r.egress == deviceRulingRULED_ENFORCED },
		func(id string, _ uint64, _ rulings) { fn(id) })
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
// are ruled so that it matters, as the kernel has them: also those that came since
// the last plan.
func (e *Enforcer) memberTasks(matters func(rulings) bool, fn func(id string, owner uint64, r rulings)) error {
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
		r, err := e.ruling(m.Set)
		if err != nil || !matters(r) {
			return err
		}
		tasks, err := os.ReadFile(filepath.Join(path, "cgroup.threads"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("who is in %s: %w", path, err)
		}
		owner := m.Owner
		if owner == 0 {
			owner = st.Ino
		}
		for _, id := range strings.Fields(string(tasks)) {
			fn(id, owner, r)
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
