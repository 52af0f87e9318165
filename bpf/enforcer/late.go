package enforcer

import (
	"net"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/seed79351815/weir/enforce/kernel"
)

// late are the devices of a workload's own network namespace that carry frames
// before they can be covered, each time that they come: those that are up, and have
// no other end where the host sees what they send.
func late(ns *namespace, links []netlink.Link) (out []kernel.LateDevice) {
	if !ns.sends || ns.hosts {
		return nil
	}
	for _, l := range links {
		if a := l.Attrs(); a.Flags&net.FlagUp != 0 && a.Flags&net.FlagLoopback == 0 && !isCable(l) {
			out = append(out, kernel.LateDevice{Cgroups: slices.Clone(ns.senders), Name: a.Name, Kind: l.Type()})
		}
	}
	return out
}
