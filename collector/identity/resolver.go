package identity

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// Resolver says who is behind cgroups, addresses and processes. All its methods
// are safe for concurrent use, and none but Run waits for a runtime or the
// network. Workloads that it hands out are never changed.
type Resolver struct {
	cfg  Config
	tree cgroupTree // root is empty where there is none

	mu       sync.Mutex // over table, hooks and watchers
	table    *table
	hooks    []*hook
	watchers []chan struct{}

	telling sync.Mutex // over calls of hooks, so that they come in order
	gen     atomic.Uint64
	clock   atomic.Int64 // offline: time of the newest event, ns since the Unix epoch

	dns     *dnsCache
	proxies *proxyCache
	nat     *natTable
	feed    *conntrackFeed
	status  statusBoard

	lookups  lookups
	fresh    chan struct{} // holds one when there are new cgroups, whose addresses /proc may tell
	walked   atomic.Int64  // when the last walk began, ns since the Unix epoch
	sourceMu sync.Mutex
	sources  []*source
}

type hook struct{ f func(*flow.Workload) }

// New makes a Resolver that answers at once from what Observe tells it. Run has
// to be called for anything more; it is not needed when cfg.Offline is set.
func New(cfg Config) *Resolver {
	cfg = cfg.withDefaults()
	r := &Resolver{
		cfg: cfg, table: newTable(), dns: newDNSCache(maxDNSAddrs), nat: newNATTable(maxNAT),
		proxies: newProxyCache(cfg.ProcRoot), fresh: make(chan struct{}, 1),
	}
	r.feed = &conntrackFeed{table: r.nat}
	if cfg.Offline {
		return r
	}
	root, err := cfg.cgroupRoot()
	if err != nil {
		r.status.set(RuntimeStatus{Name: "cgroup", Error: err.Error()})
	}
	r.tree.root = root
	return r
}

// Observe takes an event of the kernel's or a recording's. It uses
// KindCgroupCreated, KindCgroupRemoved, KindDNS and KindWorkload and ignores
// the others.
func (r *Resolver) Observe(ev *flow.Event) {
	if r.cfg.Offline && ev.Time > r.clock.Load() {
		r.clock.Store(ev.Time)
	}
	switch {
	case ev.Kind == flow.KindDNS && ev.DNS != nil:
		r.dns.add(ev.DNS, r.now().UnixNano())
	case ev.Kind == flow.KindCgroupCreated && ev.Cgroup != nil:
		r.created(ev.Cgroup.ID, ev.Cgroup.Path)
	case ev.Kind == flow.KindCgroupRemoved && ev.Cgroup != nil:
		r.change(func(t *table) { t.remove(ev.Cgroup.ID, r.now()) })
	case ev.Kind == flow.KindWorkload && ev.Workload != nil:
		r.change(func(t *table) { t.give(ev.Workload) })
	}
}

func (r *Resolver) created(id uint64, path string) {
	if id == 0 {
		return
	}
	if !strings.HasPrefix(path, "/") { // the kernel could not say: ask for it
		r.resolve(id)
		return
	}
	var key string
	r.change(func(t *table) { key = t.see(id, path, !r.cfg.Offline) })
	if key != "" {
		r.lookup(key, retry)
	}
	if !r.cfg.Offline {
		r.kick()
	}
}

// kick has the addresses of new cgroups read soon.
func (r *Resolver) kick() {
	select {
	case r.fresh <- struct{}{}:
	default:
	}
}

// Workload is who is behind a cgroup; never nil. For an id that is not known it
// is a Pending placeholder while the id is looked up in the background.
func (r *Resolver) Workload(cgroup uint64) *flow.Workload {
	r.mu.Lock()
	w := r.table.workload(cgroup)
	r.mu.Unlock()
	if w != nil {
		return w
	}
	if cgroup == 0 || r.cfg.Offline {
		return placeholder(cgroup, false)
	}
	r.mu.Lock()
	w = r.table.unresolved(cgroup, r.tree.root != "", r.now())
	r.mu.Unlock()
	if w.Pending {
		r.resolve(cgroup)
	}
	return w
}

// ByAddr is the workload that has an address on this host: a container, or the
// host for its own addresses. It is nil for loopback addresses and for those
// that nobody here is known to have.
func (r *Resolver) ByAddr(addr netip.Addr) *flow.Workload {
	addr = addr.Unmap().WithZone("")
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table.byAddr(addr)
}

// Names are the names that this host was told for an address, newest first;
// those that the cgroup itself asked for come first. nil when there are none.
func (r *Resolver) Names(cgroup uint64, addr netip.Addr) []string {
	return r.dns.names(cgroup, addr, r.now().UnixNano())
}

// Proxied is the address behind a docker-proxy process; ok is false for every
// other process. It may read three small files of /proc, at most once a second
// for a process.
func (r *Resolver) Proxied(pid uint32) (target netip.AddrPort, ok bool) {
	if r.cfg.Offline {
		return netip.AddrPort{}, false
	}
	return r.proxies.target(pid, time.Now())
}

// Translated is the server that a connection of client to server really leads
// to, where the host's connection tracking changes the destination.
func (r *Resolver) Translated(proto flow.Protocol, client, server netip.AddrPort) (netip.AddrPort, bool) {
	return r.nat.lookup(natKey{proto, unmap(client), unmap(server)})
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// Generation grows whenever a workload got a better value.
func (r *Resolver) Generation() uint64 { return r.gen.Load() }

// Status says how each runtime and other source does, by name.
func (r *Resolver) Status() []RuntimeStatus { return r.status.all() }

// Lost counts what the full tables turned away, and conntrack's overruns. The
// map is the caller's.
func (r *Resolver) Lost() map[flow.Loss]uint64 {
	out := map[flow.Loss]uint64{}
	put := func(reason string, n uint64) {
		if n > 0 {
			out[flow.Loss{Stage: "identity", Reason: reason}] = n
		}
	}
	r.mu.Lock()
	for reason, n := range r.table.lost {
		put(reason, n)
	}
	r.mu.Unlock()
	put("dns_full", r.dns.evictions())
	put("nat_full", r.nat.evictions())
	put("conntrack_overrun", r.feed.overruns.Load())
	put("lookups_full", r.lookups.refused.Load())
	return out
}

// OnWorkload calls f for every workload that is known, and from then on whenever
// one becomes known or better, once for each of its cgroups. Calls come one at
// a time and in order, from several goroutines; f must be quick and must not
// call OnWorkload. The returned function ends it.
func (r *Resolver) OnWorkload(f func(*flow.Workload)) (cancel func()) {
	h := &hook{f}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.mu.Lock()
	known := r.table.all()
	r.hooks = append(r.hooks[:len(r.hooks):len(r.hooks)], h)
	r.mu.Unlock()
	for _, w := range known {
		f(w)
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		var rest []*hook
		for _, o := range r.hooks {
			if o != h {
				rest = append(rest, o)
			}
		}
		r.hooks = rest
	}
}

// change changes the table and tells the hooks what became better.
func (r *Resolver) change(f func(*table)) {
	r.mu.Lock()
	before := r.table.moved
	f(r.table)
	r.gen.Store(r.table.gen)
	if r.table.moved != before {
		for _, w := range r.watchers {
			select {
			case w <- struct{}{}:
			default:
			}
		}
	}
	quiet := len(r.hooks) == 0
	if quiet {
		r.table.take()
	}
	r.mu.Unlock()
	if !quiet {
		r.tell()
	}
}

// tell gives the hooks what changed. Whoever holds telling takes what all have
// changed so far, so the order stays.
func (r *Resolver) tell() {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.mu.Lock()
	changed, hooks := r.table.take(), r.hooks
	r.mu.Unlock()
	for _, w := range changed {
		for _, h := range hooks {
			h.f(w)
		}
	}
}

// now is the time by which things are remembered: the clock's, and in a replay
// the recording's.
func (r *Resolver) now() time.Time {
	if r.cfg.Offline {
		return time.Unix(0, r.clock.Load())
	}
	return time.Now()
}
