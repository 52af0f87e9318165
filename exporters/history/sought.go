package history

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
)

// sought is what filters ask for of the things that blocks are indexed by: all
// conditions of one of its lists hold for whatever a filter matches. An empty one asks
// for nothing: each record may be matched.
type sought [][]condition

// condition holds for a record that has one of these; one kind of them is given.
type condition struct {
	addrs     []netip.Addr
	pods      []string // what a name begins with
	ports     []uint16
	verdicts  []flowpb.Verdict
	workloads []string
	l7        bool
}

func newSought(filters []*flowpb.FlowFilter) (s sought) {
	for _, ff := range filters {
		all := conditions(ff)
		if len(all) == 0 {
			return nil // this filter can match anywhere
		}
		s = append(s, all)
	}
	return s
}

// conditions are those of one filter: each of its fields must match. A field with a
// value that is not in the index gives none.
func conditions(ff *flowpb.FlowFilter) (all []condition) {
	for _, c := range [...]condition{
		{addrs: addresses(ff.GetSourceIp())},
		{addrs: addresses(ff.GetDestinationIp())},
		{pods: pods(ff.GetSourcePod())},
		{pods: pods(ff.GetDestinationPod())},
		{ports: lowPorts(ff.GetSourcePort())},
		{ports: lowPorts(ff.GetDestinationPort())},
		{workloads: workloads(ff.GetSourceWorkload())},
		{workloads: workloads(ff.GetDestinationWorkload())},
		{verdicts: ff.GetVerdict()},
		{l7: len(ff.GetHttpPath())+len(ff.GetHttpMethod())+len(ff.GetHttpStatusCode())+len(ff.GetDnsQuery()) > 0},
	} {
		if len(c.addrs)+len(c.pods)+len(c.ports)+len(c.workloads)+len(c.verdicts) > 0 || c.l7 {
			all = append(all, c)
		}
	}
	return all
}

func addresses(list []string) (out []netip.Addr) {
	for _, s := range list {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil // a range
		}
		out = append(out, plain(a))
	}
	return out
}

func pods(list []string) (out []string) {
	for _, s := range list {
		if _, name, ok := strings.Cut(s, "/"); ok {
			s = name
		}
		if s == "" {
			return nil
		}
		out = append(out, s)
	}
	return out
}

func lowPorts(list []string) (out []uint16) {
	for _, s := range list {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n > maxPort {
			return nil
		}
		out = append(out, uint16(n))
	}
	return out
}

func workloads(list []*flowpb.Workload) (out []string) {
	for _, w := range list {
		if w.GetName() == "" {
			return nil
		}
		out = append(out, w.GetName())
	}
	return out
}

// holds tells whether a filter may match a record.
func (s sought) holds(r *flow.Record, c *convert.Converter) bool {
	return len(s) == 0 || slices.ContainsFunc(s, func(all []condition) bool {
		for i := range all {
			if !all[i].holds(r, c) {
				return false
			}
		}
		return true
	})
}

func (c *condition) holds(r *flow.Record, conv *convert.Converter) bool {
	if c.l7 {
		return r.Kind == flow.RecordL7
	}
	if len(c.verdicts) > 0 {
		return slices.Contains(c.verdicts, flowpb.Verdict(r.Verdict))
	}
	client, server := ends(r)
	return c.ofEnd(client, conv) || c.ofEnd(server, conv)
}

func (c *condition) ofEnd(e *flow.Endpoint, conv *convert.Converter) bool {
	switch {
	case len(c.addrs) > 0:
		return slices.Contains(c.addrs, plain(e.Addr.Addr()))
	case len(c.ports) > 0:
		return slices.Contains(c.ports, e.Addr.Port())
	case e.Workload == nil:
		return false
	}
	pod, workload := conv.Named(e)
	return slices.Contains(c.workloads, workload) || slices.ContainsFunc(c.pods, func(s string) bool { return strings.HasPrefix(pod, s) })
}

// maxArgs bounds the statement; a longer list of values is looked for in all blocks.
const maxArgs = 500

// where is a condition on blocks.id that holds for every block which has a flow that
// is sought, and for few others. It is empty where the index does not help.
func (s sought) where() (where string, args []any) {
	var or []string
	for _, all := range s {
		var and []string
		for i := range all {
			text, values := all[i].where()
			and = append(and, text)
			args = append(args, values...)
		}
		or = append(or, "("+strings.Join(and, " AND ")+")")
	}
	if len(or) == 0 || len(args) > maxArgs {
		return "", nil
	}
	return "(" + strings.Join(or, " OR ") + ")", args
}

func (c *condition) where() (where string, args []any) {
	var or []string
	exact := func(k string) {
		or = append(or, "key = ?")
		args = append(args, []byte(k))
	}
	for _, a := range c.addrs {
		exact(keyIP + a.String())
	}
	for _, p := range c.ports {
		exact(keyPort + strconv.Itoa(int(p)))
	}
	for _, v := range c.verdicts {
		exact(keyVerdict + strconv.Itoa(int(v)))
	}
	for _, w := range c.workloads {
		exact(keyWorkload + w)
	}
	if c.l7 {
		exact(keyL7)
	}
	for _, s := range c.pods {
		or = append(or, "key >= ? AND key < ?")
		args = append(args, []byte(keyName+s), above(keyName+s))
	}
	return "id IN (SELECT block FROM keys WHERE " + strings.Join(or, " OR ") + ")", args
}

// above is behind all that begins with k, which is UTF-8: its last byte is no 255.
func above(k string) []byte {
	b := []byte(k)
	b[len(b)-1]++
	return b
}
