package aggregate

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// Identity knows who is behind a cgroup or an address. A Table calls it when a
// flow begins and when Generation has grown, not for each event; no call may
// wait for anything but a lock.
type Identity interface {
	Observe(ev *flow.Event)                // takes KindCgroupCreated/Removed, KindDNS, KindWorkload
	Workload(cgroup uint64) *flow.Workload // never nil; may be Pending
	ByAddr(addr netip.Addr) *flow.Workload // container (or host) that owns the address; nil unknown
	Names(cgroup uint64, addr netip.Addr) []string
	Proxied(pid uint32) (netip.AddrPort, bool) // docker-proxy: the container behind it
	Translated(proto flow.Protocol, client, server netip.AddrPort) (netip.AddrPort, bool)
	Generation() uint64 // grows when any workload became better known
}
