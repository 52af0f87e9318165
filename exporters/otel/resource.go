package otel

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// Labels by which an application says who it is.
const (
	labelServiceName = "resource.opentelemetry.io/service.name"
	labelInstance    = "app.kubernetes.io/instance"
	labelName        = "app.kubernetes.io/name"
	labelVersion     = "app.kubernetes.io/version"
	labelPodUID      = "io.kubernetes.pod.uid"
	labelContainer   = "io.kubernetes.container.name"
)

// resources makes the resource of each workload. It is immutable.
type resources struct {
	node    string
	version string
	service string   // weir's own name
	extra   resource // OTEL_RESOURCE_ATTRIBUTES
}

// resource is a resource's attributes. What is empty is left out.
type resource []attribute

type attribute struct {
	key   string
	value value
}

const resourceAttributes field = 1

// field is the resource as a message's field.
func (a resource) field() (w wire) {
	begin := w.open(resourceField)
	for i := range a {
		w.attribute(resourceAttributes, a[i].key, a[i].value)
	}
	w.close(begin)
	return w
}

// of is the resource of a workload; of nobody's where it is nil.
func (r *resources) of(w *flow.Workload) resource {
	var a resource
	if w == nil {
		a.text(keyServiceName, "unknown_service")
		return r.finish(a)
	}
	name, namespace := serviceName(w)
	a.text(keyServiceName, name)
	a.text(keyServiceNamespace, namespace)
	a.text(keyServiceInstance, instance(w))
	version, _ := w.Label(labelVersion)
	a.text(keyServiceVersion, version)
	if w.Container != "" {
		a.text(keyContainerID, w.Container)
		container, _ := label(w, "container", "name")
		a.text(keyContainerName, cmp.Or(container, w.Name))
		a.text(keyContainerRuntime, string(w.Runtime))
	}
	image, tag := splitImage(w.Image)
	a.text(keyContainerImage, image)
	if tag != "" {
		a.put(keyContainerTags, texts([]string{tag}))
	}
	kubernetes(&a, w)
	a.text(keyProcessCgroup, w.Cgroup)
	return r.finish(a)
}

// own is the resource of what weir says of itself and of the host.
func (r *resources) own() resource {
	var a resource
	a.text(keyServiceName, r.service)
	a.text(keyServiceInstance, r.node)
	a.text(keyServiceVersion, r.version)
	for _, e := range r.extra {
		if e.key != keyServiceName && strings.HasPrefix(e.key, "service.") {
			a.replace(e.key, e.value)
		}
	}
	return r.finish(a)
}

// finish adds what all resources of this weir have. What OTEL_RESOURCE_ATTRIBUTES
// says of a service is weir's own affair, and what weir knows of a workload stands.
func (r *resources) finish(a resource) resource {
	for _, e := range r.extra {
		if !strings.HasPrefix(e.key, "service.") && !a.has(e.key) {
			a.put(e.key, e.value)
		}
	}
	if !a.has(keyHostName) {
		a.text(keyHostName, r.node)
	}
	a.text(keyDistroName, "weir")
	a.text(keyDistroVersion, r.version)
	return a
}

func (a *resource) put(key string, v value) {
	if v.kind != absent {
		*a = append(*a, attribute{key, v})
	}
}

func (a *resource) text(key, s string) { a.put(key, text(s)) }

func (a resource) has(key string) bool {
	return slices.ContainsFunc(a, func(own attribute) bool { return own.key == key })
}

// replace puts a value in the place of the one that is there.
func (a *resource) replace(key string, v value) {
	for i := range *a {
		if own := &(*a)[i]; own.key == key && v.kind != absent {
			own.value = v
			return
		}
	}
	a.put(key, v)
}

// kubernetes adds what only pods have.
func kubernetes(a *resource, w *flow.Workload) {
	uid, ok := w.Label(labelPodUID)
	if !ok {
		return
	}
	a.text(keyK8sPod, w.Name)
	a.text(keyK8sPodUID, uid)
	a.text(keyK8sNamespace, w.Namespace)
	container, _ := w.Label(labelContainer)
	a.text(keyK8sContainer, container)
	if key := k8sOwners[w.Owner.Kind]; key != "" {
		a.text(key, w.Owner.Name)
	}
}

// serviceName is what a workload is called as a service: as it says itself, else
// what manages it. It is "world" for whoever is not on this host.
func serviceName(w *flow.Workload) (name, namespace string) {
	if w == nil {
		return string(flow.RuntimeWorld), ""
	}
	for _, key := range [...]string{labelServiceName, labelInstance, labelName} {
		if v, _ := w.Label(key); v != "" {
			return v, w.Namespace
		}
	}
	return cmp.Or(w.Owner.Name, w.Name), w.Namespace
}

// instance tells the workloads of one service apart.
func instance(w *flow.Workload) string {
	if w.Container == "" {
		return w.Name
	}
	return w.Container
}

// label is a workload's label of one source.
func label(w *flow.Workload, source, key string) (value string, ok bool) {
	for _, l := range w.Labels {
		if l.Source == source && l.Key == key {
			return l.Value, true
		}
	}
	return "", false
}

// splitImage parts an image's name and its tag. A digest is no tag.
func splitImage(image string) (name, tag string) {
	name, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i], name[i+1:]
	}
	return name, ""
}
