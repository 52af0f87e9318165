package ui

import (
	"net/netip"
	"strconv"

	"github.com/seed79351815/weir/collector/flow"
)

// world is the name of all that no workload of this host stands behind.
const world text = "world"

// workloadKey tells workloads apart; a workload whose name became better keeps
// its key.
func workloadKey(w *flow.Workload) string {
	switch {
	case w == nil:
		return "world"
	case w.CgroupID != 0:
		return "cgroup:" + strconv.FormatUint(w.CgroupID, 10)
	case w.Container != "":
		return "container:" + w.Container
	}
	return "name:" + w.String()
}

// sameWorkload is workloadKey(w) == key without making a string where the
// pointers tell enough.
func sameWorkload(w, known *flow.Workload, key string) bool {
	if w != nil && w == known {
		return true
	}
	if w != nil && known != nil && w.CgroupID != 0 && known.CgroupID != 0 {
		return w.CgroupID == known.CgroupID
	}
	return workloadKey(w) == key
}

// workloadName is a workload's name with its namespace, and alone.
func workloadName(w *flow.Workload) (full, short text) {
	if w == nil {
		return world, world
	}
	return clean(w.String()), clean(w.Name)
}

// endpointName says who is at one end of a flow: the workload, else a DNS name,
// else the address.
func endpointName(e *flow.Endpoint) (full, short text) {
	switch {
	case e.Workload != nil && e.Workload.Runtime != flow.RuntimeWorld:
		return workloadName(e.Workload)
	case len(e.Names) > 0 && e.Names[0] != "":
		n := clean(e.Names[0])
		return n, n
	case e.Addr.Addr().IsValid():
		a := address(e.Addr.Addr())
		return a, a
	}
	return "?", "?"
}

// endpointCell shows one end of a flow: its name and, with ports, its port.
// Where it is narrow the namespace goes first, then, at the client, the port.
func endpointCell(e *flow.Endpoint, p flow.Protocol, client bool) cell {
	full, brief := endpointName(e)
	if p.HasPorts() && e.Addr.Port() != 0 {
		port := ":" + text(strconv.Itoa(int(e.Addr.Port())))
		if e.Workload == nil && len(e.Names) == 0 && e.Addr.Addr().Is6() && !e.Addr.Addr().Is4In6() {
			full, brief = "["+full+"]", "["+brief+"]"
		}
		full += port
		if !client {
			brief += port
		}
	}
	return cell{Text: full, Short: brief}
}

// address writes an address; its zone is a name from outside.
func address(a netip.Addr) text { return clean(a.Unmap().String()) }

// addressPort writes an address with its port where the protocol has ports.
func addressPort(a netip.AddrPort, p flow.Protocol) text {
	switch {
	case !a.Addr().IsValid():
		return none
	case !p.HasPorts():
		return address(a.Addr())
	}
	return clean(netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String())
}

// stateOf says in one word whether a flow lives and how it ended.
func stateOf(f *flow.Flow) cell {
	switch {
	case f.Ended == 0 && f.Drops > 0:
		return cell{Text: "live", Role: warn}
	case f.Ended == 0:
		return cell{Text: "live"}
	case f.End == flow.EndNone:
		return cell{Text: "ended", Role: dim}
	}
	c := cell{Text: text(f.End.String()), Role: dim}
	switch f.End {
	case flow.EndResetLocal:
		c.Short = "rst-clnt"
	case flow.EndResetRemote:
		c.Short = "rst-srvr"
	case flow.EndUnreachable:
		c.Short = "unreach"
	case flow.EndTimedOut:
		c.Short = "timeout"
	}
	if f.End.Failed() {
		c.Role = bad
	}
	return c
}

// processOf is the command that opened the flow: the client's where this host
// saw it, else the server's.
func processOf(f *flow.Flow) (e *flow.Endpoint) {
	if f.Client.PID == 0 && f.Client.Comm == (flow.Comm{}) {
		return &f.Server
	}
	return &f.Client
}
