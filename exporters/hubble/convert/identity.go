package convert

import (
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// Cilium's reserved identities that weir uses.
const (
	identityUnknown = 0
	identityHost    = 1
	identityWorld   = 2
	identityFirst   = 256 // the first that is not reserved
)

// identity is what a workload is in every flow.
type identity struct {
	number    uint32
	namespace string
	name      string
	labels    []string
	workloads []*flowpb.Workload
	extension []byte           // what an end's extensions say of it
	json      []byte           // the same as JSON, without a comma
	endpoint  *flowpb.Endpoint // of flows that are lent; nil until there is one
}

func (c *Converter) endpoint(e *flow.Endpoint) *flowpb.Endpoint {
	w := e.Workload
	switch {
	case w == nil && (e.Seen || local(e.Addr.Addr())):
		return &flowpb.Endpoint{Identity: identityUnknown}
	case w == nil || w.Runtime == flow.RuntimeWorld:
		return &flowpb.Endpoint{Identity: identityWorld, Labels: []string{"reserved:world"}}
	}
	id := c.identity(w)
	if c.lending && w.Runtime != flow.RuntimeHost {
		if id.endpoint == nil {
			id.endpoint = id.newEndpoint()
		}
		return id.endpoint
	}
	out := id.newEndpoint()
	out.PodName = id.podName(e)
	return out
}

// Named is an end's pod_name and the name of its workload in flows; empty where they
// have none.
func (c *Converter) Named(e *flow.Endpoint) (pod, workload string) {
	if e.Workload == nil || e.Workload.Runtime == flow.RuntimeWorld {
		return "", ""
	}
	id := c.identity(e.Workload)
	if len(id.workloads) > 0 {
		workload = id.workloads[0].Name
	}
	return id.podName(e), workload
}

// podName is that of an end of the workload.
func (id *identity) podName(e *flow.Endpoint) string {
	if e.Workload.Runtime == flow.RuntimeHost {
		// "host" would say nothing: the process is the name that helps.
		if p := processName(e.Comm); p != "" {
			return p
		}
	}
	return id.name
}

func (id *identity) newEndpoint() *flowpb.Endpoint {
	return &flowpb.Endpoint{Identity: id.number, Namespace: id.namespace, PodName: id.name, Labels: id.labels, Workloads: id.workloads}
}

// local tells whether an address can be nobody's beyond this host or its links.
func local(a netip.Addr) bool {
	return a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsUnspecified()
}

func (c *Converter) identity(w *flow.Workload) *identity {
	if id, ok := c.cache[w]; ok {
		return id
	}
	if len(c.cache) >= maxCache {
		clear(c.cache)
	}
	id := newIdentity(w)
	c.cache[w] = id
	return id
}

func newIdentity(w *flow.Workload) *identity {
	id := &identity{namespace: valid(w.Namespace), name: valid(w.Name), extension: workloadField(object{}, w)}
	id.json = workloadField(object{b: []byte("{"), json: true}, w)[len("{"):]
	for _, l := range w.Labels {
		id.labels = append(id.labels, valid(l.String()))
	}
	if w.Runtime == flow.RuntimeHost {
		id.number = identityHost
	} else {
		id.number = labelNumber(w)
	}
	if owner := ownerOf(w); owner.Name != "" {
		id.workloads = []*flowpb.Workload{{Name: valid(owner.Name), Kind: valid(owner.Kind)}}
	}
	return id
}

func ownerOf(w *flow.Workload) flow.Owner {
	if w.Owner.Name != "" {
		return w.Owner
	}
	switch {
	case w.Container != "":
		return flow.Owner{Kind: "Container", Name: w.Name}
	case w.Runtime == flow.RuntimeSystemd:
		return flow.Owner{Kind: "Unit", Name: w.Name}
	}
	return flow.Owner{}
}

// labelNumber is a number for a set of labels, the same on every host and after
// every restart, in the range of Cilium's cluster-wide identities. Replicas
// share one: what tells one container from another is left out. Two sets can
// share one too: among a thousand, with a probability of 3 %. Only filters on
// identities see it.
func labelNumber(w *flow.Workload) uint32 {
	h := fnv.New64a()
	n := 0
	for _, l := range w.Labels {
		if l.Source == "container" && (l.Key == "id" || l.Key == "name") {
			continue
		}
		h.Write([]byte(l.String()))
		h.Write([]byte{0})
		n++
	}
	if n == 0 { // nothing but its name tells it apart
		h.Write([]byte(w.Namespace + "\x00" + string(w.Runtime) + "\x00" + w.Name))
	}
	const last = 1<<24 - 1
	return identityFirst + uint32(h.Sum64()%(last-identityFirst+1))
}

// processName is a command name fit to be a pod's: a slash would read as the
// end of a namespace.
func processName(c flow.Comm) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == '/' || r == ' ' || r == 0xfffd {
			return '_'
		}
		return r
	}, valid(c.String()))
}

// valid makes s fit for a protobuf string, which must be UTF-8.
func valid(s string) string {
	if utf8.ValidString(s) { // eight letters at a time
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// validAll is list itself where nothing had to be replaced.
func validAll(list []string) []string {
	for i := range list {
		if v := valid(list[i]); v != list[i] {
			out := slices.Clone(list)
			for j := i; j < len(out); j++ {
				out[j] = valid(out[j])
			}
			return out
		}
	}
	return list
}
