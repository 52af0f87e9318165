package enforcer

import (
	"errors"
	"fmt"
	"net"
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
	sending  bool            // somebody has rules of egress, or will have
	host     *namespace      // where the far ends of cables are; nil: this process's own namespace
	cables   map[device]bool // that are covered at the host's end; nil: nobody has looked for them
	early    uint64          // frames that cables had carried before they were looked at
	express  express
	turns    bool // refused questions of DNS are answered, or their connections reset
	turners  map[enforceTurnerKey]uint32
}

// device is one hook of one network device of the host.
type device struct {
	ns    uint64 // inode of its network namespace
	index int
	hook  hook
}

// hook is where a program sits on a device.
type hook struct {
	pin     string // what the names of its links begin with
	tcx     ebpf.AttachType
	filters uint32 // parent of its filters
}

var (
	outbound = hook{"tcx", ebpf.AttachTCXEgress, netlink.HANDLE_MIN_EGRESS}
	inbound  = hook{"tcxin", ebpf.AttachTCXIngress, netlink.HANDLE_MIN_INGRESS}
	turned   = hook{"tcxlo", ebpf.AttachTCXIngress, netlink.HANDLE_MIN_INGRESS}
	farEnd   = hook{"tcxfar", ebpf.AttachTCXIngress, netlink.HANDLE_MIN_INGRESS}
)

// Devices puts the device programs to work on every network device of the
// workloads that rules speak of, where they are not yet, and takes them from those
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
	seen, unsure := map[device]bool{}, map[uint64]bool{}
	e.devices.turners = map[enforceTurnerKey]uint32{}
	// Cables first: nobody may be at their other ends yet.
	if err := e.coverCables(&d, seen, unsure); err != nil {
		d.Uncovered = append(d.Uncovered, err.Error())
	}
	namespaces, err := e.namespaces()
	if err != nil {
		return d, fmt.Errorf("devices: %w", err)
	}
	for _, ns := range namespaces {
		n, err := e.cover(ns, seen, &d)
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
	past, err := e.pastDevices(namespaces)
	if err != nil {
		d.Uncovered = append(d.Uncovered, err.Error())
	}
	d.Uncovered = append(d.Uncovered, past...)
	slices.Sort(d.Uncovered)
	// Before the programs go, and after they came: what is not turned round must not leave.
	if err := errors.Join(e.turners.forget(e.devices.turners), e.turners.put(e.devices.turners)); err != nil {
		return d, fmt.Errorf("say which devices answer refused questions: %w", err)
	}
	err = e.uncover(func(at device) bool { return seen[at] || unsure[at.ns] })
	return d, errors.Join(err, e.disenroll(namespaces))
}

// gone tells whether something ended while it was looked at.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENODEV)
}

// cover sees to the devices of one namespace, and marks them as seen. It tells
// how many have their programs, and which come late; errors are those of the others.
func (e *Enforcer) cover(ns *namespace, seen map[device]bool, d *kernel.Devices) (n int, err error) {
	if len(ns.tenants) > 0 {
		err = e.enroll(ns)
	}
	entered := ns.do(func(nl *netlink.Handle) error {
		links, failed := nl.LinkList()
		if failed != nil {
			return fmt.Errorf("list devices: %w", failed)
		}
		d.Late = append(d.Late, late(ns, links)...)
		cookie, failed := e.cookie()
		if failed != nil {
			err = failed
		}
		for _, l := range links {
			var failed error
			hooks := e.hooks(ns, l)
			for _, h := range hooks {
				at := device{ns.inode, l.Attrs().Index, h}
				seen[at] = true
				failed = errors.Join(failed, e.attachDevice(nl, l, at))
			}
			if gone(failed) || len(hooks) == 0 {
				continue
			}
			if failed != nil {
				err = errors.Join(err, fmt.Errorf("device %q: %w", l.Attrs().Name, failed))
				continue
			}
			n++
			if cookie != 0 && ns.sends {
				e.devices.turners[enforceTurnerKey{Netns: cookie, Device: uint32(l.Attrs().Index)}] = 1
			}
		}
		return nil
	})
	return n, errors.Join(entered, err)
}

// hooks are those at which a device's packets are judged.
func (e *Enforcer) hooks(ns *namespace, l netlink.Link) (out []hook) {
	if ns.sends {
		out = append(out, outbound)
	}
	if ns.sends && e.devices.turns && l.Attrs().Flags&net.FlagLoopback != 0 {
		out = append(out, turned)
	}
	// What comes by lo the namespace says to itself.
	if len(ns.tenants) > 0 && l.Attrs().Flags&net.FlagLoopback == 0 {
		out = append(out, inbound)
	}
	return out
}

func (e *Enforcer) attachDevice(nl *netlink.Handle, l netlink.Link, at device) error {
	p := e.programs["device_bare"]
	switch encap := l.Attrs().EncapType; {
	case at.hook == inbound:
		p = e.programs["device_inbound"]
	case at.hook == turned:
		p = e.programs["device_turned"]
	case at.hook == farEnd:
		p = e.programs["device_far"]
	case encap == "ether" || encap == "loopback":
		p = e.programs["device_ether"]
	}
	if !e.devices.classic {
		err := e.attachTCX(p, at)
		if !errors.Is(err, ebpf.ErrNotSupported) {
			return err
		}
		e.devices.classic = true
	}
	return attachFilter(nl, l, p, at.hook, filterHandle(e.cfg.PinDir))
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
	e.maps["namespaces"] = coll.DetachMap("namespaces")
	return nil
}

// rulingsOf tells how much a set, whose table is rules, says of what its workloads
// send, and of what they are sent.
func rulingsOf(s policy.Set, rules []rule) deviceRulings {
	r := deviceRulings{Egress: plainOf(rules, policy.Egress), Ingress: plainOf(rules, policy.Ingress)}
	r.Egress.Ruling = uint16(max(rulingOf(s.Egress, policy.Egress, s.Entries), rulingOfQuestions(s.Questions)))
	r.Ingress.Ruling = uint16(rulingOf(s.Ingress, policy.Ingress, s.Entries))
	return r
}

// plainOf is what is said of every peer, where that is the same whatever it is asked.
func plainOf(rules []rule, d policy.Direction) deviceRuledWay {
	plain := deviceRuledWay{Plain: 1}
	for _, r := range rules {
		if r.key.Peer != uint32(policy.IdentityAny) || r.key.Direction != uint8(d) {
			continue
		}
		if r.key.Bits != bitsAnyProtocol || r.value.Asked != 0 {
			return deviceRuledWay{}
		}
		plain.Everyone = deviceRuleValue(r.value)
	}
	return plain
}

// rulingOfQuestions is what denials of some names say.
func rulingOfQuestions(all []policy.Questions) (ruling deviceRuling) {
	for _, q := range all {
		for _, n := range q.Names {
			switch {
			case n.Enforced.Verdict == policy.Deny:
				return deviceRulingRULED_ENFORCED
			case n.Audited.Verdict == policy.Deny:
				ruling = deviceRulingRULED_AUDITED
			}
		}
	}
	return ruling
}

func rulingOf(p policy.Posture, d policy.Direction, entries []policy.Entry) deviceRuling {
	ruling := deviceRulingRULED_NOT
	if p.Audit {
		ruling = deviceRulingRULED_AUDITED
	}
	if p.Enforce {
		return deviceRulingRULED_ENFORCED
	}
	for _, en := range entries {
		if en.Direction != d {
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
