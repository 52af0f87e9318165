package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const (
	netnsDir = "/run/netns"
	hostLink = "weir-demo0" // the host's leg in the shop's network
	// switchName is a namespace that holds only the bridge. In the host's own
	// namespace the host's firewall would judge the shop's traffic: Docker, for
	// one, sets the policy of FORWARD to DROP and has it apply to bridges.
	switchName = "switch"
)

// bareNet is a bridge with one leg for each service and one for the host.
type bareNet struct {
	prefix netip.Prefix
	addr   map[string]netip.Addr
	bridge *netlink.Handle // works in the bridge's namespace
	next   int             // number of the next leg
}

func newBareNet(names []string) (*bareNet, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("routes of the host: %w", err)
	}
	var taken []netip.Prefix
	for _, r := range routes {
		if p, ok := toPrefix(r.Dst); ok && p.Bits() > 0 {
			taken = append(taken, p)
		}
	}
	prefix, err := freePrefix(taken)
	if err != nil {
		return nil, err
	}
	n := &bareNet{prefix: prefix, addr: addresses(prefix, names)}
	ns, err := newNs(switchName)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if n.bridge, err = netlink.NewHandleAt(ns); err != nil {
		return nil, fmt.Errorf("namespace %s: %w", nsName(switchName), err)
	}
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	if err := n.bridge.LinkAdd(br); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	if err := n.bridge.LinkSetUp(br); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	return n, n.addHost()
}

func toPrefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), bits), ok
}

// freePrefix is a private network that overlaps none of the taken ones.
func freePrefix(taken []netip.Prefix) (netip.Prefix, error) {
	for third := byte(77); third < 250; third++ {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 231, third, 0}), 24)
		free := true
		for _, t := range taken {
			free = free && !t.Overlaps(p)
		}
		if free {
			return p, nil
		}
	}
	return netip.Prefix{}, errors.New("no free network in 10.231.0.0/16 for the shop")
}

// addresses gives the names addresses from .2 on; .1 is the host.
func addresses(p netip.Prefix, names []string) map[string]netip.Addr {
	m := map[string]netip.Addr{}
	a := p.Addr().Next()
	for _, name := range names {
		a = a.Next()
		m[name] = a
	}
	return m
}

// addHost gives the host its leg. It has no route beyond the shop's network and
// forwards nothing.
func (n *bareNet) addHost() error {
	self, err := netns.Get()
	if err != nil {
		return fmt.Errorf("the host's network namespace: %w", err)
	}
	defer self.Close()
	if err := n.addLeg(hostLink, self); err != nil {
		return err
	}
	here, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer here.Close()
	return configure(here, hostLink, netip.PrefixFrom(n.prefix.Addr().Next(), n.prefix.Bits()))
}

// join makes the namespace of a service and connects it. The caller closes it.
func (n *bareNet) join(service string) (netns.NsHandle, error) {
	ns, err := newNs(service)
	if err != nil {
		return 0, err
	}
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		ns.Close()
		return 0, fmt.Errorf("namespace %s: %w", nsName(service), err)
	}
	defer h.Close()
	err = n.addLeg("eth0", ns)
	if err == nil {
		err = configure(h, "eth0", netip.PrefixFrom(n.addr[service], n.prefix.Bits()))
	}
	if err == nil {
		err = linkUp(h, "lo")
	}
	if err != nil {
		ns.Close()
		return 0, err
	}
	return ns, nil
}

// addLeg connects peer, a new device of the namespace ns, with the bridge.
func (n *bareNet) addLeg(peer string, ns netns.NsHandle) error {
	n.next++
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("leg%d", n.next)
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: peer, PeerNamespace: netlink.NsFd(ns)}
	if err := n.bridge.LinkAdd(veth); err != nil {
		return fmt.Errorf("device %s: %w", peer, err)
	}
	br, err := n.bridge.LinkByName("br0")
	if err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if err := n.bridge.LinkSetMaster(veth, br); err != nil {
		return fmt.Errorf("bridge port %s: %w", attrs.Name, err)
	}
	return linkUp(n.bridge, attrs.Name)
}

func configure(h *netlink.Handle, name string, addr netip.Prefix) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	ip := &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), 32)}
	if err := h.AddrAdd(link, &netlink.Addr{IPNet: ip}); err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	return linkUp(h, name)
}

func linkUp(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	return nil
}

// newNs makes a named network namespace without moving the caller into it.
func newNs(service string) (netns.NsHandle, error) {
	type made struct {
		ns  netns.NsHandle
		err error
	}
	result := make(chan made, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is in the new namespace
		ns, err := netns.NewNamed(nsName(service))
		result <- made{ns, err}
	}()
	m := <-result
	if m.err != nil {
		return 0, fmt.Errorf("network namespace %s: %w", nsName(service), m.err)
	}
	return m.ns, nil
}

// removeBareNet removes every namespace and device of any run.
func removeBareNet() error {
	entries, err := os.ReadDir(netnsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("network namespaces: %w", err)
	}
	var errs error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), nsName("")) {
			continue
		}
		if err := netns.DeleteNamed(e.Name()); err != nil {
			errs = errors.Join(errs, fmt.Errorf("network namespace %s: %w", filepath.Join(netnsDir, e.Name()), err))
		}
	}
	link, err := netlink.LinkByName(hostLink)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return errs
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !isNoDevice(err) {
		errs = errors.Join(errs, fmt.Errorf("device %s: %w", hostLink, err))
	}
	return errs
}
