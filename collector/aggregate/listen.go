package aggregate

import "github.com/seed79351815/weir/collector/flow"

// maxListeners bounds the ports that are remembered; a host with more keeps the
// first.
const maxListeners = 65536

// listeners are the ports that something listens on. They tell the server of a
// connection that nobody saw begin.
type listeners struct {
	here map[listener]struct{}
	any  map[listener]struct{} // with netns 0
}

type listener struct {
	netns uint32
	port  uint16
	proto flow.Protocol
}

func newListeners() listeners {
	return listeners{map[listener]struct{}{}, map[listener]struct{}{}}
}

// add is false where there was no room.
func (l listeners) add(s *flow.Socket) bool {
	k := listener{s.NetNS, s.Local.Port(), s.Protocol}
	if _, known := l.here[k]; known {
		return true
	}
	if len(l.here) >= maxListeners {
		return false
	}
	l.here[k] = struct{}{}
	k.netns = 0
	l.any[k] = struct{}{}
	return true
}

// side is the end of its flow that a socket is. Where its role is not known the
// side is guessed: a port that is listened on is a server's, in this namespace
// or else in any; then the lower port is.
func (l listeners) side(s *flow.Socket) (sd side, guessed bool) {
	switch s.Role {
	case flow.RoleClient:
		return client, false
	case flow.RoleServer:
		return server, false
	}
	if !s.Protocol.HasPorts() {
		return client, true
	}
	for _, where := range [...]struct {
		set   map[listener]struct{}
		netns uint32
	}{{l.here, s.NetNS}, {l.any, 0}} {
		if _, ok := where.set[listener{where.netns, s.Local.Port(), s.Protocol}]; ok {
			return server, true
		}
		if _, ok := where.set[listener{where.netns, s.Remote.Port(), s.Protocol}]; ok {
			return client, true
		}
	}
	if s.Local.Port() < s.Remote.Port() {
		return server, true
	}
	return client, true
}
