package enforcer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// devices is where the device program is at work.
type devices struct {
	classic  bool // the kernel has no tcx, which came with 6.6
	links    map[device]*tcx
	straight map[uint64]bool // packet sockets, by inode, that do not go past the devices' hooks
}

// device is one network device of the host.
type device struct {
	ns    uint64 // inode of its network namespace
	index int
}

// Devices puts the device program to work on every network device of the
// workloads that rules speak of, where it is not yet, and takes it from those
// that no rule speaks of any more. Apply does it too; call it besides every
// second or so and when LinkChanges says so, for devices that came since. It
// changes nothing before the first Apply.
//
// What cannot be covered is told by name; only what makes all of it impossible
// is an error.
func (e *Enforcer) Devices() (kernel.Devices, error) {
	var d kernel.Devices
	if !e.working {
		return d, nil
	}
	namespaces, err := e.namespaces()
	if err != nil {
		return d, fmt.Errorf("devices: %w", err)
	}
	seen, unsure := map[device]bool{}, map[uint64]bool{}
	for _, ns := range namespaces {
		n, err := e.cover(ns, seen)
		if gone(err) {
			continue
		}
		d.Namespaces++
		d.Devices += n
		if err != nil {
			unsure[ns.inode] = true
			d.Uncovered = append(d.Uncovered, fmt.Sprintf("network namespace %d: %v", ns.inode, err))
		}
	}
	if err := e.straighten(namespaces); err != nil {
		d.Uncovered = append(d.Uncovered, err.Error())
	}
	slices.Sort(d.Uncovered)
	return d, e.uncover(func(at device) bool { return seen[at] || unsure[at.ns] })
}

// gone tells whether something ended while it was looked at.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENODEV)
}

// cover sees to the devices of one namespace, and marks them as seen. It tells
// how many have the program; errors are those of the others.
func (e *Enforcer) cover(ns namespace, seen map[device]bool) (n int, err error) {
	entered := ns.do(func(nl *netlink.Handle) error {
		links, failed := nl.LinkList()
		if failed != nil {
			return fmt.Errorf("list devices: %w", failed)
		}
		for _, l := range links {
			at := device{ns.inode, l.Attrs().Index}
			seen[at] = true
			failed := e.attachDevice(nl, l, at)
			if gone(failed) {
				continue
			}
			if failed != nil {
				err = errors.Join(err, fmt.Errorf("device %q: %w", l.Attrs().Name, failed))
				continue
			}
			n++
		}
		return nil
	})
	return n, errors.Join(entered, err)
}

func (e *Enforcer) attachDevice(nl *netlink.Handle, l netlink.Link, at device) error {
	p := e.programs["device_bare"]
	switch l.Attrs().EncapType {
	case "ether", "loopback":
		p = e.programs["device_ether"]
	}
	if !e.devices.classic {
		err := e.attachTCX(p, at)
		if !errors.Is(err, ebpf.ErrNotSupported) {
			return err
		}
		e.devices.classic = true
	}
	return attachFilter(nl, l, p, filterHandle(e.cfg.PinDir))
}

// openDevices loads the device programs onto the tables of the others.
func (e *Enforcer) openDevices() error {
	e.devices.links = map[device]*tcx{}
	spec, err := loadDevice()
	if err != nil {
		return fmt.Errorf("read embedded BPF object: %w", err)
	}
	shared := map[string]*ebpf.Map{}
	for name, m := range spec.Maps {
		if !isTable(name, m) {
			continue
		}
		if known, ok := e.maps[name]; ok {
			shared[name], m.MaxEntries = known, known.MaxEntries()
		} else {
			m.Pinning = ebpf.PinByName
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Maps: ebpf.MapOptions{PinPath: e.mapDir()}, MapReplacements: shared})
	if err != nil {
		return fmt.Errorf("load the device programs: %w", err)
	}
	defer coll.Close()
	for name := range coll.Programs {
		e.programs[name] = coll.DetachProgram(name)
	}
	return nil
}

// rulingOf tells how much a set says of what its workloads send.
func rulingOf(s policy.Set) deviceRuling {
	ruling := deviceRulingRULED_NOT
	if s.Egress.Audit {
		ruling = deviceRulingRULED_AUDITED
	}
	if s.Egress.Enforce {
		return deviceRulingRULED_ENFORCED
	}
	for _, en := range s.Entries {
		if en.Direction != policy.Egress {
			continue
		}
		if en.Enforced.Verdict == policy.Deny {
			return deviceRulingRULED_ENFORCED
		}
		if en.Audited.Verdict == policy.Deny {
			ruling = deviceRulingRULED_AUDITED
		}
	}
	return ruling
}
