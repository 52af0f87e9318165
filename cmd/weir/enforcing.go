package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/seed79351815/weir/bpf/enforcer"
	"github.com/seed79351815/weir/cmd/weir/sever"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/identity"
	"github.com/seed79351815/weir/enforce"
)

// openManager makes the manager of policies. Nothing changes before it runs. The
// returned function ends what it watches.
func (a *app) openManager(f *feed) (*enforce.Manager, func(), error) {
	root, err := a.findCgroupRoot()
	if err != nil {
		return nil, nil, fmt.Errorf("policies: %w", err)
	}
	changes, unwatch := f.resolver.Changes()
	ctx, stop := context.WithCancel(context.Background())
	cancel := func() { stop(); unwatch() }
	links, err := enforcer.LinkChanges(ctx)
	if err != nil {
		a.log.Warn("new network devices are only seen once a second: frames of packet sockets pass them sooner", "error", err)
	}
	m, err := enforce.New(enforce.Config{
		Dir: a.policyDir(),
		Open: func() (enforce.Kernel, error) {
			return enforcer.Open(enforcer.Config{CgroupRoot: root, PinDir: a.pinDir(), Logger: a.log})
		},
		Pinned:    func() bool { return enforcer.Pinned(a.pinDir()) },
		Workloads: &workloads{Resolver: f.resolver, root: root},
		Changes:   changes, Links: links, Living: f.pipeline.Living, Sever: sever.End, Tell: f.pipeline.Tell,
		HoldOrphans: a.cfg.enforceUnknown == unknownDeny, Logger: a.log,
	})
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return m, cancel, nil
}

// What becomes of a container that no table knows while no daemon lives.
const (
	unknownAllow = "allow"
	unknownDeny  = "deny"
)

func (a *app) policyDir() string { return filepath.Join(a.cfg.stateDir, "policies") }
func (a *app) pinDir() string    { return filepath.Join(a.cfg.bpfFS, "enforce") }

// workloads is the resolver as the manager asks it.
type workloads struct {
	*identity.Resolver
	root string // where cgroup v2 is mounted

	mu    sync.Mutex
	known map[uint64]bool // whether a cgroup's processes have a network of their own
}

// Roster lists who is there.
func (w *workloads) Roster() (live, coming []*flow.Workload) {
	r := w.Resolver.Roster()
	w.mu.Lock()
	defer w.mu.Unlock()
	// Who is gone is forgotten.
	known := make(map[uint64]bool, len(r.Live))
	for _, l := range r.Live {
		if own, ok := w.known[l.CgroupID]; ok {
			known[l.CgroupID] = own
		}
	}
	w.known = known
	return r.Live, r.Coming
}

// OwnNetwork compares network namespaces. What is not known yet shares the host's:
// then more is judged.
func (w *workloads) OwnNetwork(l *flow.Workload) bool {
	if l.Container == "" && l.Runtime != flow.RuntimeCgroup {
		return false // units: one that has a network of its own is judged at both ends
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if own, ok := w.known[l.CgroupID]; ok {
		return own
	}
	pid := l.PID
	if pid == 0 {
		pid = w.FirstPID(l.Cgroup)
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if pid == 0 || err != nil {
		return false
	}
	ours, err := os.Readlink("/proc/1/ns/net")
	if err != nil {
		return false
	}
	w.known[l.CgroupID] = theirs != ours
	return theirs != ours
}
