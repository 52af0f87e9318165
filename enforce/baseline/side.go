package baseline

import "github.com/seed79351815/weir/collector/flow"

// Side is a conversation as one of its workloads sees it.
type Side struct {
	Workload *flow.Workload // whose traffic it is; never nil
	Key      Key
	Egress   bool // the workload is the client
	Peer     Peer
	Far      *flow.Endpoint // the peer's end
	Service  Service
}

// Sides gives the workloads at the ends of a flow whose names are known: none, one
// or two. A client's service is the port that it asked for, a server's the one
// that it listens on; NAT may lie between them.
func Sides(f *flow.Flow) (sides [2]Side, n int) {
	asked, real := serviceOf(f), serviceOf(f)
	if f.Protocol.HasPorts() {
		asked.Port = f.Server.Addr.Port()
		if real.Port = asked.Port; f.ServerXlated.IsValid() {
			real.Port = f.ServerXlated.Port()
		}
	}
	return sidesOf(&f.Client, &f.Server, asked, real)
}

func serviceOf(f *flow.Flow) Service {
	s := Service{Protocol: f.Protocol}
	if f.Protocol == flow.ICMP || f.Protocol == flow.ICMPv6 {
		s.Port = uint16(f.ICMPType)
	}
	return s
}

// exchangeSides is Sides for an exchange, which does not tell its transport.
func exchangeSides(l *flow.L7, port uint16) (sides [2]Side, n int) {
	s := Service{Port: port}
	return sidesOf(&l.Client, &l.Server, s, s)
}

func sidesOf(client, server *flow.Endpoint, asked, real Service) (sides [2]Side, n int) {
	if k, ok := KeyOf(client.Workload); ok {
		sides[n] = Side{client.Workload, k, true, peerOf(server, true), server, asked}
		n++
	}
	if k, ok := KeyOf(server.Workload); ok {
		sides[n] = Side{server.Workload, k, false, peerOf(client, false), client, real}
		n++
	}
	return sides, n
}
