package enforcer

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"

	"github.com/seed79351815/weir/enforce/kernel"
)

// coverCables puts the program to work at the host's ends of cables, while somebody
// has rules of egress. A runtime lays a cable before anything runs at its other
// end, so that what is there cannot be quicker than the program at its own device.
// Those that came since the last look are asked what they have carried.
func (e *Enforcer) coverCables(d *kernel.Devices, seen map[device]bool, unsure map[uint64]bool) error {
	host := e.devices.host
	if host == nil {
		own, ok := namespaceOf("self")
		if !ok {
			return errors.New("cables: this process's network namespace, /proc/self/ns/net, cannot be read")
		}
		host = &own
	}
	before, looked := e.devices.cables, e.devices.cables != nil
	e.devices.cables = nil
	defer func() { d.Early = e.devices.early }()
	if !e.devices.sending {
		return nil
	}
	e.devices.cables = map[device]bool{}
	var failed error
	err := host.do(func(nl *netlink.Handle) error {
		links, err := nl.LinkList()
		if err != nil {
			return fmt.Errorf("list devices: %w", err)
		}
		for _, l := range links {
			if !isCable(l) {
				continue
			}
			at := device{host.inode, l.Attrs().Index, farEnd}
			seen[at] = true
			err := e.coverCable(nl, l, at, looked && !before[at])
			if gone(err) {
				continue
			}
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("device %q of the host: %w", l.Attrs().Name, err))
				continue
			}
			d.Cables++
		}
		return nil
	})
	if err != nil {
		unsure[host.inode] = true
	}
	return errors.Join(err, failed)
}

// isCable tells devices whose other end may be in another network namespace. At
// first both ends are here.
func isCable(l netlink.Link) bool { return l.Type() == "veth" || l.Type() == "netkit" }

// coverCable covers one, and where it is fresh adds what it has carried before.
func (e *Enforcer) coverCable(nl *netlink.Handle, l netlink.Link, at device, fresh bool) error {
	if err := e.attachDevice(nl, l, at); err != nil {
		return err
	}
	e.devices.cables[at] = true
	if !fresh {
		return nil
	}
	now, err := nl.LinkByIndex(at.index)
	if err != nil {
		if _, ok := errors.AsType[netlink.LinkNotFoundError](err); ok {
			return os.ErrNotExist
		}
		return fmt.Errorf("what it has carried: %w", err)
	}
	if s := now.Attrs().Statistics; s != nil {
		e.devices.early += s.RxPackets
	}
	return nil
}
