package enforcer

import (
	"errors"
	"fmt"
	"hash/fnv"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filterHandle tells the filters of one directory of pins from all others.
func filterHandle(pinDir string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(pinDir))
	return h.Sum32() | 1
}

// filterName is what `tc filter show` calls it.
const filterName = "weir-device"

// attachFilter puts a program on a device of a kernel without tcx: as a filter of
// its clsact qdisc, which goes on by itself.
func attachFilter(nl *netlink.Handle, l netlink.Link, p *ebpf.Program, h hook, handle uint32) error {
	info, err := p.Info()
	if err != nil {
		return fmt.Errorf("program: %w", err)
	}
	id, _ := info.ID()
	present, err := filterOn(nl, l, h, handle)
	if err != nil {
		return err
	}
	if present != nil && present.Id == int(id) {
		return nil
	}
	if present == nil {
		if err := nl.QdiscAdd(clsact(l)); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("clsact qdisc (module sch_ingress): %w", err)
		}
	}
	filter := &netlink.BpfFilter{Fd: p.FD(), Name: filterName, DirectAction: true, FilterAttrs: netlink.FilterAttrs{
		LinkIndex: l.Attrs().Index, Parent: h.filters, Handle: handle, Protocol: unix.ETH_P_ALL, Priority: 1}}
	if err := nl.FilterReplace(filter); err != nil {
		return fmt.Errorf("filter (module cls_bpf): %w", err)
	}
	return nil
}

func clsact(l netlink.Link) *netlink.GenericQdisc {
	return &netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0)}}
}

// filterOn finds the filter with that handle; nil where there is none.
func filterOn(nl *netlink.Handle, l netlink.Link, h hook, handle uint32) (*netlink.BpfFilter, error) {
	all, err := nl.FilterList(l, h.filters)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return nil, fmt.Errorf("filters: %w", err) // a device without the qdisc is EINVAL
	}
	for _, f := range all {
		if bpf, ok := f.(*netlink.BpfFilter); ok && bpf.Handle == handle {
			return bpf, nil
		}
	}
	return nil, nil
}

// removeFilters takes the filters with that handle from every device of every
// network namespace that a process is in, and the qdisc where nothing else is in
// it.
func removeFilters(handle uint32) error {
	known := map[uint64]bool{}
	var failed error
	err := processes(func(id string) {
		ns, ok := namespaceOf(id)
		if !ok || known[ns.inode] {
			return
		}
		known[ns.inode] = true
		err := ns.do(func(nl *netlink.Handle) error { return cleanDevices(nl, handle) })
		if err != nil && !gone(err) {
			failed = errors.Join(failed, fmt.Errorf("network namespace %d: %w", ns.inode, err))
		}
	})
	return errors.Join(err, failed)
}

func cleanDevices(nl *netlink.Handle, handle uint32) error {
	links, err := nl.LinkList()
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	for _, l := range links {
		if err := cleanDevice(nl, l, handle); err != nil && !gone(err) {
			return fmt.Errorf("device %q: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

func cleanDevice(nl *netlink.Handle, l netlink.Link, handle uint32) error {
	found := false
	for _, h := range []hook{outbound, inbound} {
		f, err := filterOn(nl, l, h, handle)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		found = true
		if err := nl.FilterDel(f); err != nil {
			return fmt.Errorf("take out the filter: %w", err)
		}
	}
	if !found || used(nl, l) {
		return nil
	}
	if err := nl.QdiscDel(clsact(l)); err != nil {
		return fmt.Errorf("take out the qdisc: %w", err)
	}
	return nil
}

// used tells whether something is in a device's clsact qdisc.
func used(nl *netlink.Handle, l netlink.Link) bool {
	for _, h := range []hook{outbound, inbound} {
		if all, err := nl.FilterList(l, h.filters); err != nil || len(all) > 0 {
			return true
		}
	}
	return false
}
