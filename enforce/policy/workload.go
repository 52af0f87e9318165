package policy

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// Workload is what Compile knows of a workload. Whoever gives it keeps it
// unchanged.
type Workload struct {
	Cgroup    uint64
	Name      string
	Namespace string
	Labels    map[string]string // "source:key" → value
	Addrs     []netip.Addr      // its own; none when it shares the host's
	// Host says that it runs on the host itself: the host's own processes, and
	// systemd's units. Selectors leave these out unless they name a label of
	// source reserved or systemd.
	Host bool
}

// FromFlow takes over what the pipeline knows of a workload. A cgroup that no
// runtime claims may be a container and is not taken for the host. nil gives a
// workload of which nothing is known.
func FromFlow(w *flow.Workload) Workload {
	if w == nil {
		return Workload{}
	}
	out := Workload{
		Cgroup: w.CgroupID, Name: w.Name, Namespace: w.Namespace, Addrs: w.Addrs,
		Labels: make(map[string]string, len(w.Labels)),
		Host:   w.Runtime == flow.RuntimeHost || (w.Runtime == flow.RuntimeSystemd && w.Container == ""),
	}
	for _, l := range w.Labels {
		out.Labels[l.Source+":"+l.Key] = l.Value
	}
	return out
}

// String is "namespace/name", or the name alone.
func (w *Workload) String() string {
	if w.Namespace == "" {
		return w.Name
	}
	return w.Namespace + "/" + w.Name
}

// isHost tells whether it is the host's own processes: IdentityHost.
func (w *Workload) isHost() bool {
	_, ok := w.Labels[sourceReserved+":host"]
	return ok && w.Host
}

// portLabel is the label that gives a port of a workload a name.
const portLabel = "weir.dev/port."
