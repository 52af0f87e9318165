package identity

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// container is what a runtime or one of its files says about a container. Like
// everything from outside it is hostile: merge and build bound it.
type container struct {
	id        string
	runtime   flow.Runtime
	trust     trust
	name      string
	image     string
	labels    map[string]string // of the container
	podLabels map[string]string // of its pod
	pid       uint32
	addrs     []netip.Addr // its own, not the host's
	sandbox   string       // id of the pod's sandbox container, where there is one
	isSandbox bool
	cgroup    string // path below the root, when the id does not show in it
}

// trust orders the sources: what a better one says stays.
type trust uint8

const (
	trustBundle trust = iota + 1 // an OCI bundle's annotations
	trustFile                    // a runtime's own record
	trustEvent                   // an event that carries name and labels
	trustTask                    // containerd, which does not know what runs above it
	trustAPI                     // the API of whoever made the container
)

// merge is what is known after n was learnt on top of old. Equally good or
// better sources replace, lesser ones fill gaps. old may be nil; neither is
// changed.
func merge(old *container, n container) *container {
	n = n.bounded()
	if old == nil {
		return &n
	}
	a, b := *old, n // b wins
	if n.trust < old.trust {
		a, b = n, *old
	}
	if b.runtime == "" || b.runtime == flow.RuntimeCgroup {
		b.runtime = a.runtime
	}
	b.name = cmp.Or(b.name, a.name)
	b.image = cmp.Or(b.image, a.image)
	b.sandbox = cmp.Or(b.sandbox, a.sandbox)
	b.cgroup = cmp.Or(b.cgroup, a.cgroup)
	b.isSandbox = b.isSandbox || a.isSandbox
	if len(b.labels) == 0 {
		b.labels = a.labels
	}
	if len(b.podLabels) == 0 {
		b.podLabels = a.podLabels
	}
	if b.pid == 0 {
		b.pid = a.pid
	}
	if len(b.addrs) == 0 && b.trust < trustAPI { // who made the container knows when it has none
		b.addrs = a.addrs
	}
	return &b
}

// named tells whether a person would know the container by what is known.
func (c *container) named() bool { return c.name != "" || c.labels[labelPodName] != "" }

func (c *container) equal(o *container) bool {
	return c != nil && o != nil &&
		c.id == o.id && c.runtime == o.runtime && c.trust == o.trust && c.name == o.name && c.image == o.image &&
		c.pid == o.pid && c.sandbox == o.sandbox && c.isSandbox == o.isSandbox && c.cgroup == o.cgroup &&
		maps.Equal(c.labels, o.labels) && maps.Equal(c.podLabels, o.podLabels) && slices.Equal(c.addrs, o.addrs)
}

func (c container) bounded() container {
	c.name = clean(c.name, maxName)
	c.image = clean(c.image, maxImage)
	c.sandbox = clean(c.sandbox, maxName)
	c.labels = boundLabels(c.labels)
	c.podLabels = boundLabels(c.podLabels)
	c.addrs = boundAddrs(c.addrs)
	return c
}

// boundLabels keeps the labels that weir reads itself and then, in order, as
// many of the others as there is room for.
func boundLabels(in map[string]string) map[string]string {
	if len(in) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(in), func(a, b string) int {
		if wa, wb := wellKnown(a), wellKnown(b); wa != wb {
			if wa {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	out := make(map[string]string, min(len(keys), maxLabels))
	for _, k := range keys {
		if len(out) == maxLabels {
			break
		}
		if k != "" {
			out[clean(k, maxLabelKey)] = clean(in[k], maxLabelValue)
		}
	}
	return out
}

// boundAddrs keeps usable unicast addresses, sorted and each once.
func boundAddrs(in []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range in {
		a = a.Unmap().WithZone("")
		if a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	out = slices.Compact(out)
	return out[:min(len(out), maxAddrs)]
}
