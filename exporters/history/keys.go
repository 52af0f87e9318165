package history

import (
	"errors"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
)

// What a key begins with.
const (
	keyIP       = "i:"
	keyName     = "n:" // of a pod, container, unit or process
	keyPort     = "p:"
	keyVerdict  = "v:"
	keyWorkload = "w:"
	keyL7       = "l:7" // the flow tells an exchange
)

// maxPort is the highest port in the index. Above it are those that clients get by
// chance (Linux' net.ipv4.ip_local_port_range): they would be half of the index, and
// nobody asks for them.
const maxPort = 32767

// marks gathers what the records of a block can be found by: each thing once, in the
// form that it has in a record, because most of them come again and again.
type marks struct {
	addrs    map[netip.Addr]struct{}
	ends     map[named]struct{}
	ports    [(maxPort + 1) / 64]uint64
	verdicts [256 / 64]uint64
	l7       bool
}

// named is what the names of an end come of.
type named struct {
	workload *flow.Workload
	comm     flow.Comm // where it names the end
}

func (m *marks) add(r *flow.Record) {
	if m.addrs == nil {
		m.addrs, m.ends = make(map[netip.Addr]struct{}), make(map[named]struct{})
	}
	client, server := ends(r)
	for _, e := range [2]*flow.Endpoint{client, server} {
		if a := e.Addr.Addr(); a.IsValid() {
			m.addrs[plain(a)] = struct{}{}
		}
		if p := e.Addr.Port(); p <= maxPort {
			m.ports[p/64] |= 1 << (p % 64)
		}
		if w := e.Workload; w != nil {
			n := named{workload: w}
			if w.Runtime == flow.RuntimeHost {
				n.comm = e.Comm
			}
			m.ends[n] = struct{}{}
		}
	}
	m.verdicts[r.Verdict/64] |= 1 << (r.Verdict % 64)
	m.l7 = m.l7 || r.Kind == flow.RecordL7
}

// ends are the two of a record's flow or exchange.
func ends(r *flow.Record) (client, server *flow.Endpoint) {
	if r.Kind == flow.RecordL7 {
		return &r.L7.Client, &r.L7.Server
	}
	return &r.Flow.Client, &r.Flow.Server
}

// plain is an address as keys have it.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// take gives the keys in their order, and starts anew.
func (m *marks) take(c *convert.Converter) (keys []string) {
	put := func(prefix, s string) {
		if s != "" {
			keys = append(keys, prefix+s)
		}
	}
	for a := range m.addrs {
		put(keyIP, a.String())
	}
	for n := range m.ends {
		pod, workload := c.Named(&flow.Endpoint{Workload: n.workload, Comm: n.comm})
		put(keyName, pod)
		put(keyWorkload, workload)
	}
	for n := range set(m.ports[:]) {
		put(keyPort, strconv.Itoa(n))
	}
	for n := range set(m.verdicts[:]) {
		put(keyVerdict, strconv.Itoa(n))
	}
	if m.l7 {
		keys = append(keys, keyL7)
	}
	clear(m.addrs)
	clear(m.ends)
	*m = marks{addrs: m.addrs, ends: m.ends}
	slices.Sort(keys)
	return slices.Compact(keys) // replicas share a workload's name
}

// set yields the numbers of those that are set.
func set(words []uint64) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i, w := range words {
			for ; w != 0; w &= w - 1 {
				if !yield(64*i + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// packKeys makes what stands in a block's row, so that keys are found in the index when
// the block goes: to make them anew would take reading it.
func packKeys(keys []string) []byte {
	out := []byte{} // not NULL
	for _, k := range keys {
		out = appendText(out, k)
	}
	return out
}

var errKeys = errors.New("keys of a block that cannot be read")

func unpackKeys(b []byte) (keys [][]byte, err error) {
	for len(b) > 0 {
		key, rest, ok := cutText(b)
		if !ok {
			return nil, errKeys
		}
		keys, b = append(keys, key), rest
	}
	return keys, nil
}
