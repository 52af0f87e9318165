package identity

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func cgroupCreated(id uint64, path string) *flow.Event {
	return &flow.Event{Kind: flow.KindCgroupCreated, Cgroup: &flow.Cgroup{ID: id, Path: path}}
}

// slowRuntime knows a container from its n-th question on.
type slowRuntime struct {
	mu    sync.Mutex
	n     int
	asked int
	c     container
}

func (f *slowRuntime) Watch(ctx context.Context, s sink) error { <-ctx.Done(); return nil }
func (f *slowRuntime) Close() error                            { return nil }
func (f *slowRuntime) Lookup(_ context.Context, id string, s sink) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if id != f.c.id || f.asked < f.n {
		return errNotFound
	}
	s.Learn(f.c)
	return nil
}

// withRuntime is a Resolver whose look-ups run, with one connected runtime.
func withRuntime(t *testing.T, rt runtime) *Resolver {
	t.Helper()
	r := New(Config{CgroupRoot: t.TempDir(), HostRoot: t.TempDir()})
	s := &source{name: "fake", rt: rt, r: r}
	s.up.Store(true)
	r.sources = []*source{s}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	r.lookups.start(ctx, &wg)
	t.Cleanup(func() { r.lookups.stop(); cancel(); wg.Wait() })
	return r
}

func TestContainerIsNamedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &slowRuntime{n: 5, c: container{id: idA, trust: trustAPI, name: "web"}}
		r := withRuntime(t, rt)
		r.Observe(cgroupCreated(10, "/docker/"+idA))
		if w := r.Workload(10); !w.Pending || w.Name != idA[:12] {
			t.Errorf("at once: %+v", w)
		}
		gen := r.Generation()
		time.Sleep(time.Second)
		if w := r.Workload(10); w.Pending || w.Name != "web" || r.Generation() == gen {
			t.Errorf("a second later: %+v", w)
		}
		time.Sleep(time.Minute)
		if rt.asked != 5 {
			t.Errorf("asked %d times, want an end when it is named", rt.asked)
		}
	})
}

func TestPendingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &slowRuntime{n: 1 << 30}
		r := withRuntime(t, rt)
		r.Observe(cgroupCreated(10, "/docker/"+idA))
		time.Sleep(giveUp - time.Second)
		if w := r.Workload(10); !w.Pending {
			t.Error("given up too early")
		}
		time.Sleep(4 * time.Second)
		if w := r.Workload(10); w.Pending || w.Name != idA[:12] {
			t.Errorf("never given up: %+v", w)
		}
		if rt.asked < 8 || rt.asked > 20 {
			t.Errorf("asked %d times", rt.asked)
		}
	})
}

func TestUnknownCgroup(t *testing.T) {
	tree, path := realTree(t)
	id := must(tree.id(path))
	r := New(Config{CgroupRoot: tree.root, HostRoot: t.TempDir()})
	if w := r.Workload(id); !w.Pending || w.CgroupID != id {
		t.Errorf("before Run: %+v, want a placeholder", w)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	r.lookups.start(ctx, &wg)
	defer wg.Wait()
	defer cancel()
	r.walk() // as Run does
	if w := r.Workload(id); w.Cgroup != path || w.Pending {
		t.Errorf("after a walk: %+v", w)
	}
	if w := r.Workload(1 << 60); !w.Pending || w.Name != "cgroup-1152921504606846976" {
		t.Errorf("an id that is none: %+v", w)
	}
	eventually(t, 5*time.Second, "the id given up", func() bool { return !r.Workload(1 << 60).Pending })
	if w := r.Workload(0); w.Pending || w.Name != "unknown" {
		t.Errorf("id 0: %+v", w)
	}
}

func TestOffline(t *testing.T) {
	r := New(Config{Offline: true})
	at := func(sec int64, ev flow.Event) {
		ev.Time = sec * int64(time.Second)
		r.Observe(&ev)
	}
	host := &flow.Workload{CgroupID: 1, Cgroup: "/", Runtime: flow.RuntimeHost, Name: "host", Addrs: []netip.Addr{addr("192.168.1.5")}}
	web := &flow.Workload{CgroupID: 10, Cgroup: "/docker/" + idA, Runtime: flow.RuntimeDocker, Container: idA, Name: "web",
		Addrs: []netip.Addr{addr("172.17.0.2")}, Labels: []flow.Label{{Source: "container", Key: "tier", Value: "front"}}}
	at(1000, flow.Event{Kind: flow.KindWorkload, Workload: host})
	at(1000, flow.Event{Kind: flow.KindWorkload, Workload: web})
	at(1000, flow.Event{Kind: flow.KindDNS, DNS: answer(10, "api.example", 30, "192.0.2.1")})
	at(1001, flow.Event{Kind: flow.KindCgroupCreated, Cgroup: &flow.Cgroup{ID: 20, Path: "/docker/" + idB}})

	if w := r.Workload(10); w.Name != "web" || len(w.Labels) != 1 {
		t.Errorf("recorded workload = %+v", w)
	}
	if w := r.ByAddr(addr("172.17.0.2")); w == nil || w.Name != "web" {
		t.Errorf("its address = %v", w)
	}
	if w := r.ByAddr(addr("192.168.1.5")); w == nil || w.Runtime != flow.RuntimeHost {
		t.Errorf("the host's address = %v", w)
	}
	if w := r.Workload(20); w.Pending || w.Name != idB[:12] {
		t.Errorf("a container that was never named = %+v", w)
	}
	if w := r.Workload(99); w.Pending || w.Name != "cgroup-99" {
		t.Errorf("unknown = %+v", w)
	}
	if got := r.Names(10, addr("192.0.2.1")); len(got) != 1 {
		t.Errorf("names = %q", got)
	}
	if _, ok := r.Proxied(1); ok {
		t.Error("a replay read /proc")
	}
	// the recording's clock counts, not this machine's
	at(1000+3600, flow.Event{Kind: flow.KindOpen})
	if got := r.Names(10, addr("192.0.2.1")); got != nil {
		t.Errorf("names an hour later = %q", got)
	}
	gen := r.Generation()
	better := *web
	better.Namespace = "shop"
	at(5000, flow.Event{Kind: flow.KindWorkload, Workload: &better})
	if w := r.Workload(10); w.Namespace != "shop" || r.Generation() <= gen {
		t.Errorf("better value: %+v, generation %d after %d", w, r.Generation(), gen)
	}
	// noise
	for _, w := range []*flow.Workload{nil, {}, {CgroupID: 5}, {Name: "x"}} {
		at(5000, flow.Event{Kind: flow.KindWorkload, Workload: w})
	}
	at(5000, flow.Event{Kind: flow.KindWorkload, Workload: &flow.Workload{CgroupID: 6, Name: "nopath"}})
	if w := r.Workload(6); w.Name != "nopath" {
		t.Errorf("a workload without a path = %+v", w)
	}
}

func TestRecordingRoundTrip(t *testing.T) {
	live := New(Config{Offline: true})
	live.Observe(cgroupCreated(1, "/"))
	live.Observe(cgroupCreated(10, "/docker/"+idA))
	replayed := New(Config{Offline: true})
	var calls []*flow.Workload
	cancel := live.OnWorkload(func(w *flow.Workload) {
		calls = append(calls, w)
		replayed.Observe(&flow.Event{Kind: flow.KindWorkload, Workload: w})
	})
	if len(calls) != 2 {
		t.Errorf("%d workloads at registration, want those known", len(calls))
	}
	live.change(func(tb *table) {
		tb.learn(container{id: idA, trust: trustAPI, name: "web", addrs: []netip.Addr{addr("172.17.0.2")}}, time.Unix(1, 0))
	})
	live.Observe(cgroupCreated(11, "/docker/"+idA+"/init"))
	for _, id := range []uint64{1, 10, 11} {
		a, b := live.Workload(id), replayed.Workload(id)
		if !same(a, b) {
			t.Errorf("cgroup %d\nlive     %+v\nreplayed %+v", id, a, b)
		}
	}
	if got := replayed.ByAddr(addr("172.17.0.2")); got == nil || got.CgroupID != 10 {
		t.Errorf("replayed address = %v", got)
	}
	n := len(calls)
	cancel()
	live.Observe(cgroupCreated(12, "/x"))
	if len(calls) != n {
		t.Error("called after cancel")
	}
}

func TestConcurrentUse(t *testing.T) {
	r := withRuntime(t, &slowRuntime{n: 2, c: container{id: idA, trust: trustAPI, name: "web"}})
	defer r.OnWorkload(func(*flow.Workload) {})()
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			for i := range uint64(200) {
				id := g*1000 + i + 10
				r.Observe(cgroupCreated(id, "/docker/"+idA))
				r.Workload(id)
				r.ByAddr(addr("10.0.0.1"))
				r.Observe(&flow.Event{Kind: flow.KindDNS, DNS: answer(id, "a.example", 1, "192.0.2.1")})
				r.Names(id, addr("192.0.2.1"))
				r.Translated(flow.TCP, netip.AddrPort{}, netip.AddrPort{})
				r.Observe(&flow.Event{Kind: flow.KindCgroupRemoved, Cgroup: &flow.Cgroup{ID: id}})
				r.Lost()
				r.Status()
			}
		})
	}
	wg.Wait()
	if w := r.Workload(3209); w == nil {
		t.Error("a removed cgroup is forgotten")
	}
}

func BenchmarkWorkload(b *testing.B) {
	r := New(Config{Offline: true})
	for i := range uint64(1000) {
		r.Observe(cgroupCreated(i+1, fmt.Sprintf("/docker/%s%04x", idA[:60], i)))
	}
	b.ReportAllocs()
	for i := range b.N {
		r.Workload(uint64(i%1000) + 1)
	}
}
