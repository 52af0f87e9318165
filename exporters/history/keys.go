package history

import (
	"net/netip"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// What a key begins with.
const (
	keyIP       = "i:"
	keyName     = "n:" // of a pod, container, unit or process
	keyPort     = "p:"
	keyVerdict  = "v:"
	keyWorkload = "w:"
	keyL7       = "l:" // the flow tells an exchange
)

// maxPort is the highest port in the index. Above it are those that clients get by
// chance (Linux' net.ipv4.ip_local_port_range): they would be half of the index, and
// nobody asks for them.
const maxPort = 32767

// addKeys adds what a flow can be found by.
func addKeys(to map[string]struct{}, f *flowpb.Flow) {
	var room [64]byte
	put := func(b []byte) {
		if _, ok := to[string(b)]; !ok { // nearly all are there: to look costs no memory
			to[string(b)] = struct{}{}
		}
	}
	add := func(prefix, s string) {
		if s != "" {
			put(append(append(room[:0], prefix...), s...))
		}
	}
	for _, ip := range [2]string{f.GetIP().GetSource(), f.GetIP().GetDestination()} {
		if a, err := netip.ParseAddr(ip); err == nil {
			put(a.Unmap().AppendTo(append(room[:0], keyIP...)))
		}
	}
	for _, e := range [2]*flowpb.Endpoint{f.GetSource(), f.GetDestination()} {
		add(keyName, e.GetPodName())
		for _, w := range e.GetWorkloads() {
			add(keyWorkload, w.GetName())
		}
	}
	for _, p := range ports(f.GetL4()) {
		if p <= maxPort {
			put(strconv.AppendUint(append(room[:0], keyPort...), uint64(p), 10))
		}
	}
	add(keyVerdict, strconv.Itoa(int(f.GetVerdict())))
	if f.GetType() == flowpb.FlowType_L7 {
		add(keyL7, "7")
	}
}

func ports(l4 *flowpb.Layer4) [2]uint32 {
	switch p := l4.GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		return [2]uint32{p.TCP.GetSourcePort(), p.TCP.GetDestinationPort()}
	case *flowpb.Layer4_UDP:
		return [2]uint32{p.UDP.GetSourcePort(), p.UDP.GetDestinationPort()}
	case *flowpb.Layer4_SCTP:
		return [2]uint32{p.SCTP.GetSourcePort(), p.SCTP.GetDestinationPort()}
	}
	return [2]uint32{maxPort + 1, maxPort + 1}
}

// candidates is a condition on blocks.id that holds for every block which has a
// flow that one of filters matches, and for few others. It is empty where the index
// does not help.
func candidates(filters []*flowpb.FlowFilter) (where string, args []any) {
	var or []string
	for _, ff := range filters {
		all, values := conditions(ff)
		if len(all) == 0 {
			return "", nil // this filter can match anywhere
		}
		or = append(or, "("+strings.Join(all, " AND ")+")")
		args = append(args, values...)
	}
	if len(or) == 0 || len(args) > maxArgs {
		return "", nil
	}
	return "(" + strings.Join(or, " OR ") + ")", args
}

// maxArgs bounds the statement; a longer list of values is looked for in all blocks.
const maxArgs = 500

// conditions are those of one filter: each of its fields must match.
func conditions(ff *flowpb.FlowFilter) (all []string, args []any) {
	field := func(exact, prefixes []string) {
		if len(exact)+len(prefixes) == 0 {
			return
		}
		var or []string
		for _, k := range exact {
			or = append(or, "key = ?")
			args = append(args, []byte(k))
		}
		for _, k := range prefixes {
			or = append(or, "key >= ? AND key < ?")
			args = append(args, []byte(k), above(k))
		}
		all = append(all, "id IN (SELECT block FROM keys WHERE "+strings.Join(or, " OR ")+")")
	}
	field(addresses(ff.GetSourceIp()), nil)
	field(addresses(ff.GetDestinationIp()), nil)
	field(nil, names(ff.GetSourcePod()))
	field(nil, names(ff.GetDestinationPod()))
	field(lowPorts(ff.GetSourcePort()), nil)
	field(lowPorts(ff.GetDestinationPort()), nil)
	field(workloads(ff.GetSourceWorkload()), nil)
	field(workloads(ff.GetDestinationWorkload()), nil)
	var verdicts []string
	for _, v := range ff.GetVerdict() {
		verdicts = append(verdicts, keyVerdict+strconv.Itoa(int(v)))
	}
	field(verdicts, nil)
	if len(ff.GetHttpPath())+len(ff.GetHttpMethod())+len(ff.GetHttpStatusCode())+len(ff.GetDnsQuery()) > 0 {
		field([]string{keyL7 + "7"}, nil)
	}
	return all, args
}

// above is behind all that begins with k, which is UTF-8: its last byte is no 255.
func above(k string) []byte {
	b := []byte(k)
	b[len(b)-1]++
	return b
}

// Each of the following gives nothing where one of the values is not in the index.

func addresses(list []string) (out []string) {
	for _, s := range list {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil // a range
		}
		out = append(out, keyIP+a.Unmap().WithZone("").String())
	}
	return out
}

func names(list []string) (out []string) {
	for _, s := range list {
		if _, name, ok := strings.Cut(s, "/"); ok {
			s = name
		}
		if s == "" {
			return nil
		}
		out = append(out, keyName+s)
	}
	return out
}

func lowPorts(list []string) (out []string) {
	for _, s := range list {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n > maxPort {
			return nil
		}
		out = append(out, keyPort+strconv.FormatUint(n, 10))
	}
	return out
}

func workloads(list []*flowpb.Workload) (out []string) {
	for _, w := range list {
		if w.GetName() == "" {
			return nil
		}
		out = append(out, keyWorkload+w.GetName())
	}
	return out
}
