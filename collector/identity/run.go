package identity

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"
)

const (
	housekeeping = 10 * time.Second
	// fillDelay is how long after a cgroup was made its processes and their
	// network are expected to be there.
	fillDelay = 300 * time.Millisecond
	// natRetry is how often conntrack is tried again where it is not to be had.
	natRetry = time.Minute
)

// Run walks the cgroups, follows the runtimes, the host's addresses and its
// connection tracking, and keeps it all up to date until ctx ends; then it
// returns nil. What is missing or fails is tried again and shown by Status.
// It is called once.
func (r *Resolver) Run(ctx context.Context) error {
	if r.cfg.Offline {
		<-ctx.Done()
		return nil
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	r.lookups.start(ctx, &wg)
	defer r.lookups.stop()
	r.openSources(ctx, &wg)
	wg.Go(func() { r.followConntrack(ctx) })
	wg.Go(func() { r.followAddrs(ctx) })

	r.resync()
	resync := time.NewTicker(resyncEvery)
	defer resync.Stop()
	tidy := time.NewTicker(housekeeping)
	defer tidy.Stop()
	settle := time.NewTimer(fillDelay)
	defer settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.fresh:
			settle.Reset(fillDelay)
		case <-settle.C:
			r.fillAddrs()
		case <-resync.C:
			r.resync()
		case <-tidy.C:
			r.fillAddrs()
			r.nat.expire(time.Now())
		}
	}
}

// resync compares with the truth: cgroups whose coming or going was missed, the
// host's addresses, and what is too old.
func (r *Resolver) resync() {
	r.refreshHost()
	r.walk()
	r.fillAddrs()
	now := time.Now()
	r.dns.expire(now.UnixNano())
	r.change(func(t *table) { t.expire(now) })
}

func (r *Resolver) walk() {
	if r.tree.root == "" {
		return
	}
	r.walked.Store(time.Now().UnixNano())
	seen := map[uint64]bool{}
	err := r.tree.walk(func(id uint64, path string) {
		seen[id] = true
		r.created(id, path)
	})
	if err != nil {
		r.status.set(RuntimeStatus{Name: "cgroup", Socket: r.tree.root, Present: true, Error: err.Error()})
		return
	}
	var missing []cgroupRef
	r.change(func(t *table) { missing = t.missing(seen) })
	for _, m := range missing {
		// one that came after the walk had passed is no missing one
		if id, err := r.tree.id(m.path); errors.Is(err, fs.ErrNotExist) || err == nil && id != m.id {
			r.change(func(t *table) { t.remove(m.id, time.Now()) })
		}
	}
	r.status.set(RuntimeStatus{Name: "cgroup", Socket: r.tree.root, Present: true, Connected: true})
	// what there was no room, no socket or no Run for when it came
	var keys []string
	var ids []uint64
	r.change(func(t *table) { keys, ids = t.unnamed() })
	for _, key := range keys {
		r.lookup(key, once)
	}
	for _, id := range ids {
		r.resolve(id)
	}
}

// fillAddrs reads from /proc the addresses of workloads whose runtime gives none.
func (r *Resolver) fillAddrs() {
	var refs []cgroupRef
	r.change(func(t *table) { refs = t.addressless() })
	for _, ref := range refs {
		addrs := netnsAddrs(r.cfg.ProcRoot, r.tree.firstPID(ref.path))
		r.change(func(t *table) { t.foundAddrs(ref.id, addrs) })
	}
}

func (r *Resolver) refreshHost() {
	addrs, err := hostAddrs()
	if err != nil {
		r.cfg.Logger.Warn("the host's addresses are unknown", "error", err)
		return
	}
	r.change(func(t *table) { t.setHost(addrs) })
}

func (r *Resolver) followAddrs(ctx context.Context) {
	if err := followHostAddrs(ctx, r.refreshHost); err != nil {
		r.cfg.Logger.Warn("changes of the host's addresses are seen once a minute only", "error", err)
	}
}

func (r *Resolver) followConntrack(ctx context.Context) {
	for {
		err := r.feed.run(ctx, func() {
			r.status.set(RuntimeStatus{Name: "conntrack", Present: true, Connected: true})
		})
		if ctx.Err() != nil {
			return
		}
		wait := natRetry
		if errors.Is(err, errOverrun) {
			wait = time.Second
		}
		if r.status.set(RuntimeStatus{Name: "conntrack", Error: err.Error()}) {
			r.cfg.Logger.Info("NAT is not resolved", "error", err)
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// cgroupRef names a cgroup.
type cgroupRef struct {
	id   uint64
	path string
}
