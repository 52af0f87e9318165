package flow

import (
	"net/netip"
	"slices"
)

// Runtime says what kind of thing a workload is.
type Runtime string

// The runtimes weir knows. RuntimeCgroup is a cgroup that no runtime claims.
const (
	RuntimeDocker     Runtime = "docker"
	RuntimeContainerd Runtime = "containerd"
	RuntimeCRIO       Runtime = "cri-o"
	RuntimePodman     Runtime = "podman"
	RuntimeLXC        Runtime = "lxc"
	RuntimeSystemd    Runtime = "systemd"
	RuntimeCgroup     Runtime = "cgroup"
	RuntimeHost       Runtime = "host"
	RuntimeWorld      Runtime = "world"
)

// Workload is who is behind a socket: a container, a pod's container, a systemd
// unit, a plain cgroup or the host. It is immutable once published; a workload
// whose name becomes known later is a new value with the same CgroupID.
//
// All strings come from outside and are hostile: they are bounded in length
// but may hold any bytes. Show them through a sanitising function only.
type Workload struct {
	CgroupID  uint64
	Cgroup    string  // path below the cgroup v2 root
	Runtime   Runtime //
	Container string  // full container id, 64 hex digits as a rule; empty for units and the host
	Name      string  // what a person calls it: pod, container, unit or process; never empty
	Namespace string  // Kubernetes namespace, Compose project, Swarm stack, Nomad namespace; else empty
	Image     string
	Owner     Owner        // what manages it: Deployment, Compose service, …
	Labels    []Label      // sorted by Source, Key; "source:key=value" in text
	Addrs     []netip.Addr // its own addresses where they are known; none when it shares the host's
	PID       uint32       // the container's first process, 0 when not known
	Pending   bool         // a runtime is still being asked: the name may yet become better
}

// Owner is the thing that made a workload: what is counted as one service.
type Owner struct {
	Kind string // Deployment, StatefulSet, DaemonSet, Job, CronJob, Pod, ComposeService, SwarmService, NomadJob, Unit, Cgroup, Container, Host
	Name string
}

// Label is one label of a workload.
type Label struct {
	Source string // container, k8s, systemd, reserved
	Key    string
	Value  string
}

// String is "source:key=value", or "source:key" without a value.
func (l Label) String() string {
	if l.Value == "" {
		return l.Source + ":" + l.Key
	}
	return l.Source + ":" + l.Key + "=" + l.Value
}

// Label looks a label up by key in any source; ok is false when it has none.
func (w *Workload) Label(key string) (value string, ok bool) {
	i := slices.IndexFunc(w.Labels, func(l Label) bool { return l.Key == key })
	if i < 0 {
		return "", false
	}
	return w.Labels[i].Value, true
}

// String is "namespace/name", or the name alone.
func (w *Workload) String() string {
	if w == nil {
		return ""
	}
	if w.Namespace == "" {
		return w.Name
	}
	return w.Namespace + "/" + w.Name
}

// ShortID is the first 12 characters of the container id, as Docker shows it.
func (w *Workload) ShortID() string {
	if len(w.Container) > 12 {
		return w.Container[:12]
	}
	return w.Container
}
