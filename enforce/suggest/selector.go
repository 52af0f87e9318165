package suggest

import (
	"maps"
	"slices"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/internal/words"
	"github.com/seed79351815/weir/enforce/policy"
)

const namespaceLabel = "k8s:io.kubernetes.pod.namespace"

// choices are the sets of labels that name a workload for good, the best first.
// One with a label that a workload has not is no choice for it.
var choices = [][]string{
	{"container:com.docker.compose.project", "container:com.docker.compose.service"},
	{"container:com.docker.swarm.service.name"},
	{"container:com.hashicorp.nomad.namespace", "container:com.hashicorp.nomad.job_name"},
	{"container:com.hashicorp.nomad.job_name"},
	{namespaceLabel, "k8s:app.kubernetes.io/name", "k8s:app.kubernetes.io/instance", "k8s:app.kubernetes.io/component"},
	{namespaceLabel, "k8s:app.kubernetes.io/name", "k8s:app.kubernetes.io/instance"},
	{namespaceLabel, "k8s:app.kubernetes.io/name"},
	{namespaceLabel, "k8s:app"},
	{namespaceLabel, "k8s:k8s-app"},
	{namespaceLabel, "k8s:io.kubernetes.pod.name"},
	{"container:name"},
	{"systemd:unit", "systemd:user-unit"},
	{"systemd:unit"},
}

// unstable is the choice where no runtime gave a container a name.
var unstable = []string{"container:id"}

// changing tells labels that are another with every version or replica.
func changing(l string) bool {
	key := strings.TrimPrefix(l, "k8s:")
	switch key {
	case "pod-template-hash", "controller-revision-hash", "pod-template-generation", "statefulset.kubernetes.io/pod-name",
		"apps.kubernetes.io/pod-index", "controller-uid", "job-name":
		return true
	}
	return strings.HasPrefix(key, "batch.kubernetes.io/") || strings.HasPrefix(key, "io.kubernetes.") && l != namespaceLabel
}

// selection is how a policy names a workload.
type selection struct {
	selector policy.Selector
	also     []baseline.Key // others of the baseline that it selects too
	brief    bool           // it holds only until the container is made again
}

// selectors finds the selection of a workload; ok is false where no label names it.
func (s *suggester) selection(k baseline.Key) (sel selection, ok bool) {
	p := s.baseline.Profiles[k]
	if k == baseline.HostKey {
		return selection{selector: policy.Selector{Labels: map[string]string{"reserved:host": ""}}}, true
	}
	if p == nil {
		return selection{}, false
	}
	has := labelsOf(p)
	var first map[string]string
	for _, labels := range candidates(has) {
		if first == nil {
			first = labels
		}
		if s.alsoSelected(labels, k) == nil {
			return selection{selector: policy.Selector{Labels: labels}, brief: has[unstable[0]] != "" && labels[unstable[0]] != ""}, true
		}
	}
	if first == nil {
		return selection{}, false
	}
	return selection{selector: policy.Selector{Labels: first}, also: s.alsoSelected(first, k)}, true
}

// candidates are the choices that a workload's labels leave.
func candidates(has map[string]string) (out []map[string]string) {
	pick := func(keys []string) {
		labels := map[string]string{}
		for _, k := range keys {
			v, ok := has[k]
			if !ok {
				return
			}
			labels[k] = v
		}
		out = append(out, labels)
	}
	for _, keys := range choices {
		pick(keys)
	}
	var stable []string // all that a pod's makers gave it
	for _, k := range slices.Sorted(maps.Keys(has)) {
		if strings.HasPrefix(k, "k8s:") && !changing(k) {
			stable = append(stable, k)
		}
	}
	if len(stable) > 1 {
		pick(stable)
	}
	pick(unstable)
	return out
}

// alsoSelected are the other workloads with these labels, in order.
func (s *suggester) alsoSelected(labels map[string]string, k baseline.Key) (also []baseline.Key) {
	for _, o := range s.keys {
		if o == k {
			continue
		}
		has := s.labels[o]
		match := true
		for key, v := range labels {
			if w, ok := has[key]; !ok || w != v {
				match = false
			}
		}
		if match {
			also = append(also, o)
		}
	}
	return also
}

func labelsOf(p *baseline.Profile) map[string]string {
	out := make(map[string]string, len(p.Labels))
	for _, l := range p.Labels {
		if plainLabel(l) {
			out[l.Source+":"+l.Key] = l.Value
		}
	}
	return out
}

// plainLabel tells labels that name something for longer than a login lasts, and
// that a person can read, from those of sessions and what a stranger may have put
// into one.
func plainLabel(l flow.Label) bool {
	if l.Source == "systemd" && strings.HasSuffix(l.Value, ".scope") {
		return false
	}
	return !strings.Contains(l.Source, ":") && words.Printable(l.Key) && words.Printable(l.Value)
}
