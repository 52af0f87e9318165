package aggregate

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// endsOfL7 names both ends: by the flow of the socket where the exchange's is
// known, else by what was counted.
func (t *Table) endsOfL7(l *flow.L7, c *flow.Counted, x *flow.Exchange) {
	near, far := &l.Client, &l.Server
	if c.Role == flow.RoleServer {
		near, far = far, near
	}
	near.Seen = true
	near.Workload = t.identity.Workload(c.Cgroup)
	if x != nil {
		near.Addr, near.Cookie, near.NetNS, near.PID, near.Comm = x.Local, x.Cookie, x.NetNS, x.PID, x.Comm
	} else if c.Role == flow.RoleServer {
		near.Addr = netip.AddrPortFrom(netip.Addr{}, c.Port)
	}
	t.farEnd(far, near.Workload, c, x)
	if x != nil && t.endsOfFlow(near, far, x) {
		return
	}
	t.behindProxy(near, far, c)
}

// farEnd names the end that was not read. It is nobody's where the kernel had no
// room to say whose.
func (t *Table) farEnd(far *flow.Endpoint, near *flow.Workload, c *flow.Counted, x *flow.Exchange) {
	port := uint16(0)
	switch {
	case c.Role != flow.RoleServer:
		port = c.Port
	case x != nil:
		port = x.RemotePort
	}
	named := c.Remote.IsValid() && !c.Remote.IsUnspecified()
	if named {
		far.Addr = netip.AddrPortFrom(c.Remote, port)
	}
	switch {
	case c.Peer != 0:
		far.Seen = true
		far.Workload = t.identity.Workload(c.Peer)
	case !named:
		return
	case c.Remote.IsLoopback():
		far.Workload = near
	default:
		far.Workload = t.identity.ByAddr(c.Remote)
	}
	if named {
		far.Names = t.identity.Names(c.Cgroup, c.Remote)
	}
}

// flowOf is the entry of an exchange's socket, and which end of it the socket is.
func (t *Table) flowOf(x *flow.Exchange) (*entry, side) {
	if x.Cookie == 0 {
		return nil, client
	}
	v := tuple{pack(x.Local), pack(netip.AddrPortFrom(x.Remote, x.RemotePort)), uint16(x.Transport)}
	n := t.find(t.hash.socket(x.Cookie, v), x.Cookie, &v)
	if n == 0 {
		return nil, client
	}
	return t.slab.at(n.slot()), n.side()
}

// endsOfFlow takes from the exchange's flow what it knows better: NAT and proxies,
// and the other end's socket. It tells whether nothing better can be known.
func (t *Table) endsOfFlow(near, far *flow.Endpoint, x *flow.Exchange) bool {
	e, sd := t.flowOf(x)
	if e == nil {
		return false
	}
	if !e.started {
		t.resolve(e) // it settles; what is known by now is to be used
	}
	n, f := &e.ends[sd], &e.ends[sd.other()]
	if n.workload != nil {
		near.Workload = n.workload
	}
	if n.proxied {
		near.Via = viaProxy
	}
	if f.proxied {
		far.Via = viaProxy
	}
	if f.workload != nil {
		far.Workload = f.workload
	}
	if f.names != nil {
		far.Names = f.names
	}
	if f.seen {
		far.Seen, far.Cookie, far.NetNS, far.PID, far.Comm = true, f.cookie, f.netns, f.pid, f.comm
		if x.Role == flow.RoleServer {
			far.Addr = f.local.unpack() // a client's address as it sees it
		}
	}
	return e.started || e.paired() || e.xlated != (addr{})
}
