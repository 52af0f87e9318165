package baseline

import "github.com/seed79351815/weir/collector/flow"

// Side is a conversation as one of its workloads sees it.
type Side struct {
	Workload *flow.Workload // whose traffic it is; never nil
	Key      Key
	Named    bool // the Key is one: the workload's name is known
	Egress   bool // the workload is the client
	Peer     Peer
	Far      *flow.Endpoint // the peer's end
	Service  Service
}

// Sides gives the workloads of this host at the ends of a flow: none, one or two. A client's service is the port that it asked for, a server's the one
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
	add := func(near, far *flow.Endpoint, egress bool, service Service) {
		if w := near.Workload; w != nil && w.Runtime != flow.RuntimeWorld {
			k, named := KeyOf(w)
			sides[n] = Side{w, k, named, egress, peerOf(far, egress), far, service}
			n++
		}
	}
	add(client, server, true, asked)
	add(server, client, false, real)
	return sides, n
}
