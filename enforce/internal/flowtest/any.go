package flowtest

import (
	"fmt"
	"net/netip"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
)

// Host names and addresses that Any talks to.
var (
	names   = []string{"db.example.com", "api.example.com", "s3.example.net"}
	asked   = []string{"db.example.com", "Db.Example.com", "1.0.0.10.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa.", "_x._tcp.example.com", "not a name"}
	remotes = []string{"198.51.100.7", "198.51.100.8", "203.0.113.9", "2001:db8::7"}
)

// Workloads are those that Any speaks of: replicas, pods, containers, units and
// the host.
func Workloads() []*flow.Workload {
	return []*flow.Workload{
		Service(11, "shop", "web", 1), Service(12, "shop", "web", 2), Service(13, "shop", "db", 1), Service(14, "blog", "web", 1),
		Container(21, "cache"), Container(22, "worker"),
		Pod(31, "default", "cart", "abcde", "k8s", "app", "cart"), Pod(32, "default", "cart", "fghij", "k8s", "app", "cart"),
		Pod(33, "prod", "cart", "klmno", "k8s", "app", "cart", "k8s", "tier", "back"),
		Unit(41, "sshd.service"), Host(),
	}
}

// Any draws the records of some flows and exchanges, in a sensible order.
func Any() *rapid.Generator[[]flow.Record] { return rapid.Custom(anyRecords) }

func anyRecords(t *rapid.T) (out []flow.Record) {
	all := Workloads()
	// The host takes part in everything: only then are its addresses known.
	out = Flow(1000, flow.TCP, Local(Host(), 39999), Remote("203.0.113.200", 443))
	for id := range uint64(rapid.IntRange(1, 40).Draw(t, "flows")) {
		protocol := rapid.SampledFrom([]flow.Protocol{flow.TCP, flow.TCP, flow.UDP, flow.ICMP, flow.SCTP}).Draw(t, "protocol")
		port := rapid.SampledFrom([]uint16{53, 80, 443, 3306, 8080, 30000}).Draw(t, "port")
		client := Local(rapid.SampledFrom(all).Draw(t, "client"), uint16(40000+id))
		server := Local(rapid.SampledFrom(all).Draw(t, "server"), port)
		kind := rapid.SampledFrom([]string{"local", "out", "name", "in", "refused", "old"}).Draw(t, "kind")
		address := rapid.SampledFrom(remotes).Draw(t, "remote")
		switch kind {
		case "out":
			server = Remote(address, port)
		case "name":
			server = Remote(address, port, rapid.SampledFrom(names).Draw(t, "name"))
		case "in":
			client = Remote(address, uint16(50000+id))
		}
		flows := Flow(id, protocol, client, server)
		switch kind {
		case "refused":
			flows = Refused(id, client, server)
		case "old":
			flows[0].Flow.Preexisting, flows[1].Flow.Preexisting = true, true
		}
		for i := range flows {
			if protocol == flow.ICMP {
				flows[i].Flow.ICMPType = 8
				flows[i].Flow.Client.Addr, flows[i].Flow.Server.Addr = portless(client), portless(server)
			}
		}
		out = append(out, flows...)
		if protocol == flow.TCP && rapid.Bool().Draw(t, "http") {
			route := fmt.Sprintf("/%s/{id}", rapid.SampledFrom([]string{"users", "posts", "a b\n"}).Draw(t, "route"))
			method := rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method")
			out = append(out, Tally(flow.HTTP, method, route, 1+id, client, server))
		}
		if port == 53 && kind != "refused" && (protocol == flow.TCP || protocol == flow.UDP) {
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(asked), 0, 3).Draw(t, "asked") {
				out = append(out, Tally(flow.DNS, "A", name, 1+id, client, server))
			}
		}
	}
	return out
}

func portless(e flow.Endpoint) netip.AddrPort { return netip.AddrPortFrom(e.Addr.Addr(), 0) }
