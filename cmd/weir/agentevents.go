package main

import (
	"context"
	"maps"
	"slices"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/exporters/hubble/convert"
)

// eventsEvery is how often policies are looked at; workloads are besides when one
// of them changed.
const eventsEvery = time.Second

// tellEvents makes agent events of what changes, until ctx ends.
func (d *daemon) tellEvents(ctx context.Context) {
	changed, cancel := d.feed.resolver.Changes()
	defer cancel()
	tick := time.NewTicker(eventsEvery)
	defer tick.Stop()
	w := witness{tell: d.observer.Tell, rules: d.rulesOf}
	for {
		if d.feed.resolver.Settled() || w.settled() {
			w.workloads(d.feed.resolver.Roster().Live)
		}
		w.revisions(d.manager.History())
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// rulesOf is how many rules each of the policies that hold has, by name.
func (d *daemon) rulesOf() map[string]int {
	out := make(map[string]int)
	list, err := d.manager.Policies()
	if err != nil {
		return out // a text that cannot be read is the manager's to tell
	}
	for _, p := range list {
		out[p.String()] = len(p.Specs)
	}
	return out
}

// witness tells what is not as it was when it looked last. What was there when
// weir began to look did not come; policies do, as they are put to work then.
type witness struct {
	tell  func(*flowpb.AgentEvent)
	rules func() map[string]int

	live     map[uint64]*flow.Workload // by cgroup; nil before the first look
	policies map[string]held
	revision uint64
}

// held is a policy as it was told of.
type held struct {
	enforce.Stored
	rules int
}

func (w *witness) settled() bool { return w.live != nil }

// workloads tells who came and who went. Who has no name yet comes when it has.
func (w *witness) workloads(list []*flow.Workload) {
	first := !w.settled()
	now := make(map[uint64]*flow.Workload, len(list))
	for _, x := range list {
		old := w.live[x.CgroupID]
		switch {
		case x.Runtime == flow.RuntimeHost:
		case x.Pending && old == nil:
		case old != nil:
			now[x.CgroupID] = x
		default:
			now[x.CgroupID] = x
			if !first {
				w.tell(convert.WorkloadEvent(x, false))
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.live)) {
		if now[id] == nil {
			w.tell(convert.WorkloadEvent(w.live[id], true))
		}
	}
	w.live = now
}

// revisions tells what policies became, one revision after the other. history has
// the newest first.
func (w *witness) revisions(history []enforce.Revision) {
	if len(history) == 0 || history[0].Number == w.revision {
		return
	}
	rules := w.rules()
	for _, r := range slices.Backward(history) {
		// Of what was before weir began, only the outcome is told.
		if r.Number > w.revision && (w.policies != nil || r.Number == history[0].Number) {
			w.revise(r, rules)
		}
	}
	w.revision = history[0].Number
}

func (w *witness) revise(r enforce.Revision, rules map[string]int) {
	now := make(map[string]held, len(r.Policies))
	for _, p := range r.Policies {
		old, known := w.policies[p.Name]
		h := held{p, rules[p.Name]}
		if _, holds := rules[p.Name]; !holds {
			h.rules = old.rules // it is gone again already
		}
		now[p.Name] = h
		if !known || old.Mode != p.Mode || old.Source != p.Source {
			w.tell(convert.PolicyEvent(h.labels(), r.Number, h.rules, false))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.policies)) {
		if _, kept := now[name]; !kept {
			gone := w.policies[name]
			w.tell(convert.PolicyEvent(gone.labels(), r.Number, gone.rules, true))
		}
	}
	w.policies = now
}

func (h held) labels() []string {
	return []string{"weir:policy=" + h.Name, "weir:mode=" + string(h.Mode), "weir:kind=" + string(h.Kind)}
}
