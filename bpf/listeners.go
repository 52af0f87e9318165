package bpf

import "github.com/seed79351815/weir/collector/flow"

// listeners are the TCP ports that something listens on, by network namespace.
// A connection that is older than weir does not tell who opened it; one whose
// local port is listened on was accepted.
type listeners map[listener]struct{}

type listener struct {
	netns uint32
	port  uint16
}

// maxListeners bounds the set; a host with more keeps the first.
const maxListeners = 65536

func (l listeners) add(r *sharedSockReport) {
	if len(l) < maxListeners {
		l[listener{r.Netns, r.Local.Port}] = struct{}{}
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
