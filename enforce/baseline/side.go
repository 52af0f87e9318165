package baseline

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// Side is a conversation as one of its workloads sees it, and as the kernel judges
// it at that workload's end.
type Side struct {
	Workload *flow.Workload // whose traffic it is; never nil
	Key      Key
	Named    bool // the Key is one: the workload's name is known
	Egress   bool // the workload is the client
	Peer     Peer
	Far      *flow.Endpoint // the peer's end
	Addr     netip.Addr     // the peer's, as this end sees it
	Service  Service
	Port     uint16 // Service's, also where that is any
}

// Sides gives the workloads of this host at the ends of a flow: none, one or two.
// A client is judged by the address and port that it asked for, a server by the
// port that it listens on; NAT may lie between them.
func Sides(f *flow.Flow) (sides [2]Side, n int) {
	s := Service{Protocol: f.Protocol}
	real := s
	switch {
	case f.Protocol == flow.ICMP || f.Protocol == flow.ICMPv6:
		s.Port = uint16(f.ICMPType)
		real = s
	case f.Protocol.HasPorts():
		s.Port = f.Server.Addr.Port()
		if real.Port = s.Port; f.ServerXlated.IsValid() {
			real.Port = f.ServerXlated.Port()
		}
	}
	sides, n = sidesOf(&f.Client, &f.Server, s, real)
	for i := range sides[:n] {
		if !sides[i].Egress && f.ClientXlated.IsValid() {
			sides[i].Addr = f.ClientXlated.Addr().Unmap().WithZone("")
		}
		// A runtime's own resolver listens on another port in each container.
		if !sides[i].Egress && f.ServerXlated.Addr().IsLoopback() {
			sides[i].Service = Service{Protocol: f.Protocol, Any: true}
		}
	}
	return sides, n
}

// ExchangeSides is Sides for an exchange, which does not tell its transport. The port is
// the server's.
func ExchangeSides(l *flow.L7, port uint16) (sides [2]Side, n int) {
	s := Service{Port: port}
	return sidesOf(&l.Client, &l.Server, s, s)
}

func sidesOf(client, server *flow.Endpoint, asks, serves Service) (sides [2]Side, n int) {
	if w := client.Workload; ofHost(w) {
		k, named := KeyOf(w)
		sides[n] = Side{w, k, named, true, asked(server), server, address(server), asks, asks.Port}
		n++
	}
	// What nobody reported on loopback is only thought to be the client's own.
	if w := server.Workload; ofHost(w) && (server.Seen || !address(server).IsLoopback()) {
		k, named := KeyOf(w)
		sides[n] = Side{w, k, named, false, came(client, serves.Protocol), client, address(client), serves, serves.Port}
		n++
	}
	return sides, n
}

func ofHost(w *flow.Workload) bool { return w != nil && w.Runtime != flow.RuntimeWorld }
