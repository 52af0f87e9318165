package identity

import (
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// inRoster gives names by cgroup id, those of coming containers under their ids.
func inRoster(r Roster) (live map[uint64]string, coming map[string]string) {
	live, coming = map[uint64]string{}, map[string]string{}
	for _, w := range r.Live {
		live[w.CgroupID] = w.Name
	}
	for _, w := range r.Coming {
		coming[w.Container] = w.Name
	}
	return live, coming
}

// A container is in the roster from its runtime's first word until its cgroup is
// gone, and each step is told.
func TestRosterFollowsAContainer(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	r := New(Config{Offline: true})
	changed, cancel := r.Changes()
	defer cancel()
	told := func(what string) {
		t.Helper()
		select {
		case <-changed:
		default:
			t.Errorf("%s is not told", what)
		}
	}
	r.change(func(tb *table) {
		tb.learn(container{id: id, runtime: flow.RuntimeDocker, trust: trustEvent, name: "web"}, time.Now())
	})
	told("a container that was created")
	live, coming := inRoster(r.Roster())
	if len(live) != 0 || coming[id] != "web" {
		t.Fatalf("created: live %v, coming %v", live, coming)
	}
	path := "/system.slice/docker-" + id + ".scope"
	r.Observe(&flow.Event{Kind: flow.KindCgroupCreated, Cgroup: &flow.Cgroup{ID: 7, Path: path}})
	told("a container that started")
	r.Observe(&flow.Event{Kind: flow.KindCgroupCreated, Cgroup: &flow.Cgroup{ID: 8, Path: path + "/init"}})
	live, coming = inRoster(r.Roster())
	if len(live) != 1 || live[7] != "web" || len(coming) != 0 {
		t.Fatalf("started: live %v, coming %v", live, coming)
	}
	for len(changed) > 0 {
		<-changed
	}
	r.Observe(&flow.Event{Kind: flow.KindCgroupRemoved, Cgroup: &flow.Cgroup{ID: 8}})
	r.Observe(&flow.Event{Kind: flow.KindCgroupRemoved, Cgroup: &flow.Cgroup{ID: 7}})
	told("a container that ended")
	live, coming = inRoster(r.Roster())
	if len(live) != 0 || coming[id] != "web" {
		t.Fatalf("ended: live %v, coming %v", live, coming)
	}
}
