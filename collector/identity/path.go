package identity

import (
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// place is what a cgroup's path alone tells about it.
type place struct {
	key       string       // cgroups with the same key are one workload
	kind      placeKind    //
	runtime   flow.Runtime // RuntimeCgroup for a container whose runtime the path does not tell
	container string       // full container id; a name for LXC
	podUID    string       // Kubernetes pod, with dashes where the path had them or underscores
	unit      string       // systemd unit, unescaped; for containers the unit they run in, if any
	userUnit  string       // unit of a user's own systemd
	name      string       // the best name that the path gives; never empty
}

type placeKind uint8

const (
	placeHost      placeKind = iota // the root cgroup
	placeContainer                  //
	placePod                        // a Kubernetes pod's cgroup, above its containers'
	placeUnit                       // a systemd service, scope or slice
	placePlain                      // any other cgroup
)

// containerRules say how runtimes name a container's cgroup: one line for each
// runtime and driver. The first rule that fits an element of the path decides;
// an element is prefix + id + suffix. A rule with a parent wants that element
// directly above it (or anywhere above when it ends in "*").
var containerRules = []struct {
	prefix, suffix string
	parent         string
	id             func(string) bool
	runtime        flow.Runtime
}{
	// systemd driver: scopes
	{"docker-", ".scope", "", isHexID, flow.RuntimeDocker},
	{"cri-containerd-", ".scope", "", isHexID, flow.RuntimeContainerd},
	{"nerdctl-", ".scope", "", isHexID, flow.RuntimeContainerd},
	{"crio-", ".scope", "", isHexID, flow.RuntimeCRIO},
	{"libpod-", ".scope", "", isHexID, flow.RuntimePodman},
	// split cgroups (Quadlet units), and drivers without systemd
	{"libpod-payload-", "", "", isHexID, flow.RuntimePodman},
	{"libpod-", "", "", isHexID, flow.RuntimePodman},
	{"crio-", "", "", isHexID, flow.RuntimeCRIO},
	// containerd given a systemd path while it drives cgroupfs: slice:cri-containerd:ID
	{"cri-containerd:", "", "", isHexID, flow.RuntimeContainerd},
	// cgroupfs driver: the bare id below a directory of the runtime
	{"", "", "docker", isHexID, flow.RuntimeDocker},
	{"", "", "libpod_parent", isHexID, flow.RuntimePodman},
	{"", "", "ecs*", isHexID, flow.RuntimeDocker},
	{"", "", "ecs*", isECSID, flow.RuntimeContainerd},
	{"", "", "kubepods*", isHexID, flow.RuntimeCgroup}, // containerd, CRI-O or cri-dockerd: the runtimes will say
	{"", ".scope", "", isHexID, flow.RuntimeCgroup},
	{"", "", "", isHexID, flow.RuntimeCgroup},
	{"", "", "", isECSID, flow.RuntimeContainerd},
	// LXC and Incus, by name
	{"lxc.payload.", "", "", isName, flow.RuntimeLXC},
	{"", "", "lxc.payload", isName, flow.RuntimeLXC},
	{"", "", "lxc", isName, flow.RuntimeLXC},
}

// maxPath is longer than any path a kernel lets one make below a mount.
const maxPath = 4096

// parsePath reads a cgroup's path below the cgroup v2 root. Any string is
// accepted: what is not understood is a plain cgroup.
func parsePath(path string) place {
	if len(path) > maxPath {
		path = path[:maxPath]
	}
	path = "/" + strings.Trim(path, "/")
	if path == "/" {
		return place{key: "host", kind: placeHost, runtime: flow.RuntimeHost, name: "host"}
	}
	elems := strings.Split(path[1:], "/")
	p := place{podUID: podUID(elems)}
	unitEnd := p.findUnits(elems)

	if p.findContainer(elems) {
		return p
	}
	switch {
	case p.podUID != "" && isPodElement(elems[len(elems)-1]):
		p.kind, p.runtime, p.key, p.name = placePod, flow.RuntimeCgroup, "pod:"+p.podUID, "pod-"+p.podUID
	case unitEnd > 0:
		p.kind, p.runtime, p.key = placeUnit, flow.RuntimeSystemd, "/"+strings.Join(elems[:unitEnd], "/")
		p.name = p.unit
		if p.userUnit != "" {
			p.name = p.userUnit
		}
	default:
		p.kind, p.runtime, p.key = placePlain, flow.RuntimeCgroup, path
		p.name = elems[len(elems)-1]
	}
	return p
}

// findContainer looks for the innermost element that a rule fits. What lies
// below that element belongs to the container: its own init, systemd, scopes.
func (p *place) findContainer(elems []string) bool {
	for i := len(elems) - 1; i >= 0; i-- {
		if strings.Contains(elems[i], "-conmon-") { // the runtime's monitor runs on the host
			return false
		}
		id, runtime, ok := matchContainer(elems, i)
		if !ok {
			continue
		}
		p.kind, p.runtime, p.container, p.key, p.name = placeContainer, runtime, id, id, shortID(id)
		if p.unit == unescapeUnit(elems[i]) { // its scope says nothing beyond the id
			p.unit = ""
		}
		if p.userUnit == unescapeUnit(elems[i]) {
			p.userUnit = ""
		}
		return true
	}
	return false
}

func matchContainer(elems []string, i int) (id string, runtime flow.Runtime, ok bool) {
	elem := elems[i]
	// slice:prefix:id, where the colons should have been directories
	if parts := strings.Split(elem, ":"); len(parts) == 3 {
		elem = parts[1] + ":" + parts[2]
	}
	for _, r := range containerRules {
		id, ok := strings.CutPrefix(elem, r.prefix)
		if !ok {
			continue
		}
		if id, ok = strings.CutSuffix(id, r.suffix); !ok || !r.id(id) {
			continue
		}
		if r.parent != "" && !hasParent(elems[:i], r.parent) {
			continue
		}
		return id, r.runtime, true
	}
	return "", "", false
}

func hasParent(above []string, parent string) bool {
	prefix, anywhere := strings.CutSuffix(parent, "*")
	if !anywhere {
		return len(above) > 0 && above[len(above)-1] == parent
	}
	for _, e := range above {
		if strings.HasPrefix(e, prefix) {
			return true
		}
	}
	return false
}

// isHexID tells a container id: 64 lower-case hex digits.
func isHexID(s string) bool { return len(s) == 64 && isHex(s) }

// isECSID tells a task's container on ECS and Fargate: 32 hex digits, a dash, digits.
func isECSID(s string) bool {
	task, n, ok := strings.Cut(s, "-")
	return ok && len(task) == 32 && isHex(task) && n != "" && len(n) <= 20 && strings.Trim(n, "0123456789") == ""
}

func isName(s string) bool { return s != "" && len(s) <= maxName }

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func shortID(id string) string {
	if isHexID(id) {
		return id[:12]
	}
	return id
}

// podUID finds the pod in /kubepods/burstable/podUID and in
// kubepods-burstable-podUID.slice, where systemd wants underscores for dashes.
func podUID(elems []string) string {
	for _, e := range elems {
		e, _, _ = strings.Cut(e, ":")
		if uid, ok := podElementUID(e); ok {
			return uid
		}
	}
	return ""
}

func podElementUID(e string) (string, bool) {
	e = strings.TrimSuffix(e, ".slice")
	uid, ok := strings.CutPrefix(e, "pod")
	if !ok && strings.HasPrefix(e, "kubepods") {
		if i := strings.LastIndex(e, "-pod"); i >= 0 {
			uid, ok = e[i+len("-pod"):], true
		}
	}
	uid = strings.ReplaceAll(uid, "_", "-")
	// a UUID, or the 32 hex digits of a static pod's hash
	return uid, ok && (len(uid) == 36 || len(uid) == 32) && isHex(strings.ReplaceAll(uid, "-", ""))
}

func isPodElement(e string) bool {
	_, ok := podElementUID(e)
	return ok
}
