package enforcer

import (
	"reflect"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// Devices that are no cables are told, with whose they are, while they can carry
// frames of who is ruled.
func TestDevicesThatComeLateAreTold(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server")
	wan := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "wan0"}}
	for _, h := range w.hosts {
		if err := h.Run(func() error { return netlink.LinkAdd(wan) }); err != nil {
			t.Fatal(err)
		}
	}
	told := func(when string, want ...kernel.LateDevice) {
		t.Helper()
		d, err := w.Devices()
		if err != nil || len(d.Late) != len(want) || (len(want) > 0 && !reflect.DeepEqual(d.Late, want)) {
			t.Errorf("%s: %+v (%v), want %+v", when, d.Late, err, want)
		}
	}
	w.apply(map[string]policy.Set{"client": {Egress: enforced}, "server": {Ingress: enforced}})
	told("while it is down")
	for _, h := range w.hosts {
		if err := h.Run(func() error { return netlink.LinkSetUp(wan) }); err != nil {
			t.Fatal(err)
		}
	}
	told("up", kernel.LateDevice{Cgroups: []uint64{w.hosts["client"].CgroupID}, Name: "wan0", Kind: "bridge"})
	w.apply(map[string]policy.Set{"server": {Ingress: enforced}})
	told("without rules of egress")
}
