package identity

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// build makes the workload that stands for a cgroup at path: by what a runtime
// told (info, may be nil), else by what the path tells.
func build(id uint64, path string, p place, info *container, pending bool) *flow.Workload {
	w := &flow.Workload{
		CgroupID: id, Cgroup: clean(path, maxPath), Runtime: p.runtime,
		Container: clean(p.container, maxName), Name: clean(p.name, maxName), Pending: pending,
	}
	set := labelSet{}
	set.add("systemd", "unit", p.unit)
	set.add("systemd", "user-unit", p.userUnit)
	set.add("k8s", labelPodUID, p.podUID)

	switch {
	case info != nil:
		describe(w, info, set)
	case p.kind == placeContainer:
		w.Owner = flow.Owner{Kind: "Container", Name: w.Name}
	case p.kind == placeHost:
		w.Owner = flow.Owner{Kind: "Host", Name: w.Name}
		set.mark("reserved", "host", "")
	case p.kind == placeUnit:
		w.Owner = flow.Owner{Kind: "Unit", Name: unitOwner(path, w.Name)}
	default:
		w.Owner = flow.Owner{Kind: "Cgroup", Name: w.Name}
	}
	if w.Container != "" {
		set.add("container", "id", w.ShortID())
	}
	w.Labels = set.sorted()
	return w
}

func describe(w *flow.Workload, info *container, set labelSet) {
	if info.runtime != "" && info.runtime != flow.RuntimeCgroup {
		w.Runtime = info.runtime
	}
	w.Container, w.Image, w.PID, w.Addrs = info.id, info.image, info.pid, info.addrs
	name, namespace, owner := ownership(info)
	if name == "" { // named by nobody: keep what the path told
		name = w.Name
	}
	w.Name, w.Namespace = clean(name, maxName), clean(namespace, maxName)
	w.Owner = flow.Owner{Kind: owner.Kind, Name: cmp.Or(clean(owner.Name, maxName), w.Name)}

	set.add("container", "image", info.image)
	set.add("container", "name", cmp.Or(info.labels[labelContainerName], info.name))
	for k, v := range info.labels {
		switch {
		case strings.HasPrefix(k, "io.kubernetes."):
			// the kubelet's own labels speak of the pod, and are what policies for Kubernetes select by
			set.mark("k8s", k, v)
		case k != "id" && k != "name" && k != "image": // never passes for what weir itself says
			set.mark("container", k, v)
		}
	}
	for k, v := range info.podLabels {
		set.mark("k8s", k, v)
	}
}

// unitOwner makes one service of what a user does: sessions come and go, the
// user's slice stays.
func unitOwner(path, unit string) string {
	if !strings.HasPrefix(unit, "session-") {
		return unit
	}
	for e := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(e, "user-") && strings.HasSuffix(e, ".slice") {
			return unescapeUnit(e)
		}
	}
	return unit
}

// placeholder stands for a cgroup of which nothing but the id is known.
func placeholder(id uint64, pending bool) *flow.Workload {
	name := "cgroup-" + strconv.FormatUint(id, 10)
	if id == 0 {
		name = "unknown"
	}
	return &flow.Workload{CgroupID: id, Runtime: flow.RuntimeCgroup, Name: name, Owner: flow.Owner{Kind: "Cgroup", Name: name}, Pending: pending}
}

// labelSet collects labels. The first value of a source and key stays.
type labelSet map[flow.Label]string

// add adds a label that has a value.
func (s labelSet) add(source, key, value string) {
	if value != "" {
		s.mark(source, key, value)
	}
}

// mark adds a label that may do without a value.
func (s labelSet) mark(source, key, value string) {
	k := flow.Label{Source: source, Key: key}
	if _, ok := s[k]; !ok {
		s[k] = clean(value, maxLabelValue)
	}
}

// sorted gives the labels by source and key, at most maxLabels of them: those
// that weir knows first.
func (s labelSet) sorted() []flow.Label {
	out := make([]flow.Label, 0, len(s))
	for k, v := range s {
		k.Value = v
		out = append(out, k)
	}
	byKey := func(a, b flow.Label) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Key, b.Key))
	}
	if len(out) > maxLabels {
		slices.SortFunc(out, func(a, b flow.Label) int { return cmp.Or(labelRank(a)-labelRank(b), byKey(a, b)) })
		out = out[:maxLabels]
	}
	slices.SortFunc(out, byKey)
	return out
}

func labelRank(l flow.Label) int {
	switch {
	case l.Source == "reserved", l.Source == "systemd",
		l.Source == "container" && (l.Key == "id" || l.Key == "name" || l.Key == "image"):
		return 0
	case wellKnown(l.Key):
		return 1
	}
	return 2
}
