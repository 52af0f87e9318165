package identity

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestTableContainerLife(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	if key := tab.see(10, "/docker/"+idA, true); key != idA {
		t.Fatalf("see gives %q to look up, want the container", key)
	}
	w := tab.workload(10)
	if !w.Pending || w.Name != idA[:12] || w.Container != idA || w.Runtime != flow.RuntimeDocker {
		t.Errorf("provisional workload = %+v", w)
	}
	gen := tab.gen
	tab.learn(container{id: idA, trust: trustAPI, name: "web", addrs: []netip.Addr{addr("172.17.0.2")}}, now)
	if w := tab.workload(10); w.Pending || w.Name != "web" || tab.gen <= gen {
		t.Errorf("named workload = %+v, generation %d after %d", w, tab.gen, gen)
	}
	gen = tab.gen
	tab.learn(container{id: idA, trust: trustAPI, name: "web", addrs: []netip.Addr{addr("172.17.0.2")}}, now)
	if tab.gen != gen {
		t.Error("news without anything new raised the generation")
	}
	if w := tab.byAddr(addr("172.17.0.2")); w != tab.workload(10) {
		t.Errorf("byAddr = %v", w)
	}

	// what it makes inside is itself; its own cgroup gives the id
	tab.see(11, "/docker/"+idA+"/system.slice/nginx.service", true)
	if tab.workload(11) != tab.workload(10) || tab.workload(11).CgroupID != 10 {
		t.Errorf("nested cgroup is %+v, want the container's own", tab.workload(11))
	}

	// it dies, and is remembered; a restart has a new id and the same name
	tab.remove(11, now)
	tab.remove(10, now)
	if w := tab.workload(10); w == nil || w.Name != "web" {
		t.Errorf("dead workload = %v", w)
	}
	if w := tab.byAddr(addr("172.17.0.2")); w == nil || w.CgroupID != 10 {
		t.Errorf("a dead container's address is %v until somebody else has it", w)
	}
	tab.see(10, "/docker/"+idA, true) // a walk that was under way when it died
	if len(tab.groups) != 0 {
		t.Error("a walk brought the dead back to life")
	}
	if key := tab.see(12, "/docker/"+idA, true); key != "" {
		t.Error("a container that is known is looked up again")
	}
	if w := tab.workload(12); w.Name != "web" || w.CgroupID != 12 || tab.workload(10).CgroupID != 10 {
		t.Errorf("restarted: %+v, old %+v", w, tab.workload(10))
	}
	if w := tab.byAddr(addr("172.17.0.2")); w == nil || w.CgroupID != 12 {
		t.Errorf("address belongs to %v, want the living", w)
	}
	tab.expire(now.Add(rememberDead + time.Second))
	if tab.workload(10) != nil || tab.workload(12) == nil {
		t.Error("expire forgot the wrong ones")
	}
}

func TestTableCreateEventFirst(t *testing.T) {
	tab := newTable()
	tab.learn(container{id: idA, trust: trustEvent, name: "web"}, time.Unix(1, 0))
	key := tab.see(10, "/docker/"+idA, true)
	if w := tab.workload(10); w.Name != "web" || w.Pending {
		t.Errorf("workload = %+v, want it named at once", w)
	}
	if key != idA {
		t.Error("its addresses are not looked up")
	}
}

func TestTableReusedPath(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	tab.see(10, "/system.slice/a.service", true)
	tab.see(20, "/system.slice/a.service", true) // its removal is still on the way
	if w := tab.workload(20); w.CgroupID != 20 {
		t.Errorf("the newer cgroup is %+v", w)
	}
	tab.remove(10, now)
	if w := tab.workload(20); w.CgroupID != 20 || tab.workload(10) == nil {
		t.Errorf("after the removal: %+v", w)
	}
}

// A runtime starts a container's first process above the container's cgroup.
func TestTableParentOfContainersHasNoAddress(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	own, other := addr("172.17.0.2"), addr("10.9.9.9")
	tab.see(1, "/docker", true)
	tab.foundAddrs(1, []netip.Addr{own})
	if w := tab.byAddr(own); w != tab.workload(1) {
		t.Fatalf("a plain cgroup's address is %v's", w)
	}
	tab.see(2, "/docker/"+idA, true)
	tab.learn(container{id: idA, trust: trustAPI, name: "web", addrs: []netip.Addr{own}}, now)
	tab.foundAddrs(1, []netip.Addr{own})
	if w := tab.workload(1); len(w.Addrs) != 0 {
		t.Errorf("the parent of containers has %v", w.Addrs)
	}
	if w := tab.byAddr(own); w != tab.workload(2) {
		t.Errorf("the container's address is %v's", w)
	}

	// A name that begins alike is no parent.
	tab.see(3, "/dock", true)
	tab.foundAddrs(3, []netip.Addr{other})
	if w := tab.byAddr(other); w != tab.workload(3) {
		t.Errorf("a plain cgroup's address is %v's", w)
	}
	tab.foundAddrs(3, nil) // its processes are gone
	if w := tab.byAddr(other); w != nil {
		t.Errorf("an address that nobody has is %v's", w)
	}

	// A container keeps what was found of one of its cgroups.
	tab.see(4, "/docker/"+idB, true)
	tab.foundAddrs(4, []netip.Addr{other})
	tab.foundAddrs(4, nil)
	if w := tab.byAddr(other); w != tab.workload(4) {
		t.Errorf("the other container's address is %v's", w)
	}
}

func TestTablePods(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	kube := "/kubepods/burstable/pod" + uid + "/"
	pod := map[string]string{labelPodName: "web-5d4f-abcde", labelPodNamespace: "prod"}
	ip := addr("10.244.0.9")
	tab.see(1, kube+idB, true)
	tab.see(2, kube+idA, true)
	app := container{id: idA, runtime: flow.RuntimeContainerd, trust: trustAPI, sandbox: idB, labels: map[string]string{labelPodName: "web-5d4f-abcde", labelPodNamespace: "prod", labelContainerName: "nginx"}}
	tab.learn(app, now)
	// the sandbox, learnt later, completes its containers
	tab.learn(container{id: idB, runtime: flow.RuntimeContainerd, trust: trustAPI, isSandbox: true, labels: pod,
		podLabels: map[string]string{labelTemplateHash: "5d4f", "app": "web"}, addrs: []netip.Addr{ip}}, now)
	w := tab.workload(2)
	if w.Name != "web-5d4f-abcde" || w.Namespace != "prod" || w.Owner != (flow.Owner{Kind: "Deployment", Name: "web"}) {
		t.Errorf("workload = %+v", w)
	}
	if v, _ := w.Label("app"); v != "web" {
		t.Errorf("labels = %v, want the pod's among them", w.Labels)
	}
	if got := tab.byAddr(ip); got != w {
		t.Errorf("a pod of one container: its address is %v, want the container", got)
	}
	other := app
	other.id = "ff" + idA[2:]
	tab.see(3, kube+other.id, true)
	tab.learn(other, now)
	if got := tab.byAddr(ip); got != tab.workload(1) {
		t.Errorf("a pod of two: its address is %v, want the sandbox", got)
	}
}

func TestTableHostAddresses(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	tab.setHost([]netip.Addr{addr("192.168.1.5"), addr("127.0.0.1"), addr("fe80::1")})
	if w := tab.byAddr(addr("192.168.1.5")); w == nil || w.Runtime != flow.RuntimeHost {
		t.Errorf("without a walk: %v, want the host", w)
	}
	tab.see(1, "/", true)
	tab.see(10, "/docker/"+idA, true)
	// a pod in the host's network claims the host's address
	tab.learn(container{id: idA, trust: trustAPI, name: "hostnet", addrs: []netip.Addr{addr("192.168.1.5")}}, now)
	if w := tab.byAddr(addr("192.168.1.5")); w != tab.workload(1) {
		t.Errorf("the host's address is %v", w)
	}
	if w := tab.byAddr(addr("127.0.0.1")); w != nil {
		t.Errorf("loopback is %v, want nobody", w)
	}
	if w := tab.workload(1); len(w.Addrs) != 1 {
		t.Errorf("the host's workload has the addresses %v", w.Addrs)
	}
}

func TestTablePathFromRuntime(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	tab.see(5, "/default/redis", true)
	tab.learn(container{id: "redis", runtime: flow.RuntimeContainerd, trust: trustTask, name: "redis", cgroup: "/default/redis"}, now)
	if w := tab.workload(5); w.Container != "redis" || w.Runtime != flow.RuntimeContainerd {
		t.Errorf("learnt after the cgroup: %+v", w)
	}
	tab.learn(container{id: "db", runtime: flow.RuntimeContainerd, trust: trustTask, name: "db", cgroup: "/default/db"}, now)
	tab.see(6, "/default/db", true)
	if w := tab.workload(6); w.Container != "db" {
		t.Errorf("learnt before the cgroup: %+v", w)
	}
}

func TestTableIsBounded(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	for i := range uint64(maxDead + 10) {
		tab.see(i+1, fmt.Sprintf("/x/%d", i), true)
		tab.remove(i+1, now)
	}
	if len(tab.entries) > maxDead || len(tab.dead) > maxDead || len(tab.groups) != 0 || tab.lost["dead_evicted"] != 10 {
		t.Errorf("%d entries, %d dead, %d groups, lost %v", len(tab.entries), len(tab.dead), len(tab.groups), tab.lost)
	}
	for i := range maxContainers + 5 {
		tab.learn(container{id: fmt.Sprint(i), name: "x"}, now)
	}
	if len(tab.known) != maxContainers || tab.lost["containers_full"] != 5 {
		t.Errorf("%d containers, lost %v", len(tab.known), tab.lost)
	}
	tab.expire(now.Add(time.Hour))
	if len(tab.known) != 0 || len(tab.entries) != 0 {
		t.Errorf("an hour later: %d containers, %d cgroups", len(tab.known), len(tab.entries))
	}
}
