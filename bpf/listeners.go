package bpf

import "github.com/seed79351815/weir/collector/flow"

// listeners are the TCP ports that something listens on, by network namespace.
// A connection that is older than weir does not tell who opened it; one whose
// local port is listened on was accepted.
// A child of a listener that no program met has its owner from here, too.
type listeners map[listener]owner

type owner struct {
	pid  uint32
	comm flow.Comm
	self bool
}

type listener struct {
	netns uint32
	port  uint16
}

// maxListeners bounds the set; a host with more keeps the first.
const maxListeners = 65536

func (l listeners) add(r *sharedSockReport) {
	if len(l) < maxListeners {
		l[listener{r.Netns, r.Local.Port}] = owner{r.Pid, flow.Comm(r.Comm), r.Flags&uint8(sharedSockFlagFLAG_SELF) != 0}
	}
}

// role guesses the part of a TCP socket that was connected before weir came.
func (l listeners) role(r *sharedSockReport) flow.Role {
	if _, ok := l[listener{r.Netns, r.Local.Port}]; ok {
		return flow.RoleServer
	}
	if _, ok := l[listener{r.Netns, r.Remote.Port}]; ok || r.Local.Port > r.Remote.Port {
		return flow.RoleClient
	}
	return flow.RoleServer
}

// own gives an accepted socket without an owner its listener's.
func (l listeners) own(s *flow.Socket) {
	if s.PID != 0 || s.Role != flow.RoleServer {
		return
	}
	if o, ok := l[listener{s.NetNS, s.Local.Port()}]; ok {
		s.PID, s.Comm, s.Self = o.pid, o.comm, s.Self || o.self
	}
}
