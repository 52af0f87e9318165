package aggregate

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// viaProxy is an Endpoint's Via where docker-proxy's socket stands for a workload.
const viaProxy = "docker-proxy"

// maxBehind bounds the addresses behind which another server is known to be.
const maxBehind = 4096

// behind remembers of living flows where servers really are. A tally names no
// socket, so its flow cannot be looked up.
type behind map[asked]reached

// asked is a server as one cgroup's sockets name it; for docker-proxy's own
// sockets, which are the server, it has no address.
type asked struct {
	cgroup uint64
	addr   netip.Addr
	port   uint16
}

// reached is where it really is.
type reached struct {
	addr  netip.Addr
	proxy bool // docker-proxy's socket stands before it
}

// noteBehind takes a flow in. What a newer flow tells replaces what an older one did.
func (t *Table) noteBehind(e *entry) {
	c, s := &e.ends[client], &e.ends[server]
	real, differs := e.realServer()
	to := reached{real.unpack().Addr(), s.proxied}
	if c.seen {
		named := e.serverAddr().unpack()
		t.putBehind(asked{c.cgroup, named.Addr(), named.Port()}, to, differs)
	}
	if s.seen && s.proxied {
		t.putBehind(asked{cgroup: s.cgroup, port: s.local.port}, to, true)
	}
}

func (t *Table) putBehind(k asked, to reached, differs bool) {
	m := t.l7.behind
	if !differs {
		if len(m) > 0 {
			delete(m, k)
		}
		return
	}
	if _, known := m[k]; !known && len(m) >= maxBehind {
		clear(m) // living flows are few of them; new ones tell again
	}
	m[k] = to
}

// behindProxy names the server that NAT or a proxy hides.
func (t *Table) behindProxy(near, far *flow.Endpoint, c *flow.Counted) {
	if len(t.l7.behind) == 0 {
		return
	}
	k, end := asked{c.Cgroup, c.Remote, c.Port}, far
	if c.Role == flow.RoleServer {
		k, end = asked{cgroup: c.Cgroup, port: c.Port}, near
	}
	to, ok := t.l7.behind[k]
	if !ok {
		return
	}
	if to.proxy {
		end.Via = viaProxy
	} else if c.Peer != 0 {
		return // the socket at the other end is the server
	}
	if w := t.identity.ByAddr(to.addr); w != nil {
		end.Workload = w
	}
}
