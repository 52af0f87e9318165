package identity

import (
	"cmp"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// The labels by which orchestrators mark what they make.
const (
	labelPodName       = "io.kubernetes.pod.name"
	labelPodNamespace  = "io.kubernetes.pod.namespace"
	labelPodUID        = "io.kubernetes.pod.uid"
	labelContainerName = "io.kubernetes.container.name"

	labelComposeProject = "com.docker.compose.project"
	labelComposeService = "com.docker.compose.service"
	labelStackNamespace = "com.docker.stack.namespace"
	labelSwarmService   = "com.docker.swarm.service.name"
	labelNomadNamespace = "com.hashicorp.nomad.namespace"
	labelNomadJob       = "com.hashicorp.nomad.job_name"

	labelTemplateHash   = "pod-template-hash"
	labelRevisionHash   = "controller-revision-hash"
	labelStatefulSetPod = "statefulset.kubernetes.io/pod-name"
	labelPodIndex       = "apps.kubernetes.io/pod-index"
	labelJob            = "batch.kubernetes.io/job-name"
	labelJobOld         = "job-name"
)

// wellKnown tells the labels that survive when there are too many.
func wellKnown(key string) bool {
	switch key {
	case labelTemplateHash, labelRevisionHash, labelStatefulSetPod, labelPodIndex, labelJob, labelJobOld:
		return true
	}
	return strings.HasPrefix(key, "io.kubernetes.") || strings.HasPrefix(key, "com.docker.") ||
		strings.HasPrefix(key, "com.hashicorp.nomad.")
}

// ownership is who manages a container, by its labels. The first orchestrator
// whose labels are there decides: Kubernetes, Swarm, Compose, Nomad.
func ownership(c *container) (name, namespace string, owner flow.Owner) {
	l := c.labels
	switch {
	case l[labelPodName] != "":
		name = l[labelPodName]
		return name, l[labelPodNamespace], podOwner(name, c.podLabels)
	case l[labelSwarmService] != "":
		return c.name, l[labelStackNamespace], flow.Owner{Kind: "SwarmService", Name: l[labelSwarmService]}
	case l[labelComposeService] != "":
		return c.name, l[labelComposeProject], flow.Owner{Kind: "ComposeService", Name: l[labelComposeService]}
	case l[labelNomadJob] != "":
		return c.name, l[labelNomadNamespace], flow.Owner{Kind: "NomadJob", Name: l[labelNomadJob]}
	}
	return c.name, "", flow.Owner{Kind: "Container", Name: c.name}
}

// podOwner guesses a pod's controller from the labels that controllers put on
// their pods and from how they build names; asking the API server is not
// needed.
func podOwner(pod string, l map[string]string) flow.Owner {
	job := cmp.Or(l[labelJob], l[labelJobOld])
	switch {
	case job != "":
		// a CronJob's jobs end in the scheduled minute since the epoch
		if base, suffix, ok := cutLast(job); ok && len(suffix) == 8 && isDigits(suffix) {
			return flow.Owner{Kind: "CronJob", Name: base}
		}
		return flow.Owner{Kind: "Job", Name: job}
	case l[labelTemplateHash] != "":
		if base, _, ok := cutLast(pod); ok {
			if deployment, ok := strings.CutSuffix(base, "-"+l[labelTemplateHash]); ok {
				return flow.Owner{Kind: "Deployment", Name: deployment}
			}
		}
	case l[labelRevisionHash] != "":
		base, suffix, ok := cutLast(pod)
		if !ok {
			break
		}
		if (l[labelStatefulSetPod] != "" || l[labelPodIndex] != "") && isDigits(suffix) {
			return flow.Owner{Kind: "StatefulSet", Name: base}
		}
		return flow.Owner{Kind: "DaemonSet", Name: base}
	}
	return flow.Owner{Kind: "Pod", Name: pod}
}

// cutLast cuts at the last dash.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i <= 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
