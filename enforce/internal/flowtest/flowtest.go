// Package flowtest makes workloads and flow records for the tests of what
// learns from them and decides about them.
package flowtest

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// Epoch is when the records begin.
var Epoch = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).UnixNano()

// Service is a replica of a Compose service, on the Compose project's network.
func Service(cgroup uint64, project, service string, replica int) *flow.Workload {
	name := fmt.Sprintf("%s-%s-%d", project, service, replica)
	return &flow.Workload{
		CgroupID: cgroup, Cgroup: "/system.slice/docker-" + name + ".scope", Runtime: flow.RuntimeDocker,
		Container: fmt.Sprintf("%064x", cgroup), Name: name, Namespace: project, Image: service + ":1",
		Owner: flow.Owner{Kind: "ComposeService", Name: service},
		Labels: labels(
			"container", "com.docker.compose.project", project, "container", "com.docker.compose.service", service,
			"container", "com.docker.compose.container-number", fmt.Sprint(replica),
			"container", "id", fmt.Sprintf("%012x", cgroup), "container", "image", service+":1", "container", "name", name,
		),
		Addrs: []netip.Addr{Addr(cgroup)},
	}
}

// Container is a container that nothing manages.
func Container(cgroup uint64, name string) *flow.Workload {
	return &flow.Workload{
		CgroupID: cgroup, Cgroup: "/system.slice/docker-" + name + ".scope", Runtime: flow.RuntimeDocker,
		Container: fmt.Sprintf("%064x", cgroup), Name: name, Image: name + ":1", Owner: flow.Owner{Kind: "Container", Name: name},
		Labels: labels("container", "id", fmt.Sprintf("%012x", cgroup), "container", "image", name+":1", "container", "name", name),
		Addrs:  []netip.Addr{Addr(cgroup)},
	}
}

// Pod is a pod of a Deployment.
func Pod(cgroup uint64, namespace, deployment, suffix string, pairs ...string) *flow.Workload {
	name := deployment + "-5d4f7c9b8d-" + suffix
	l := []string{
		"k8s", "io.kubernetes.pod.namespace", namespace, "k8s", "io.kubernetes.pod.name", name,
		"k8s", "pod-template-hash", "5d4f7c9b8d", "container", "id", fmt.Sprintf("%012x", cgroup),
	}
	return &flow.Workload{
		CgroupID: cgroup, Cgroup: "/kubepods.slice/" + name, Runtime: flow.RuntimeContainerd, Container: fmt.Sprintf("%064x", cgroup),
		Name: name, Namespace: namespace, Owner: flow.Owner{Kind: "Deployment", Name: deployment},
		Labels: labels(append(l, pairs...)...), Addrs: []netip.Addr{Addr(cgroup)},
	}
}

// Unit is a systemd unit, which has the host's addresses.
func Unit(cgroup uint64, name string) *flow.Workload {
	return &flow.Workload{
		CgroupID: cgroup, Cgroup: "/system.slice/" + name, Runtime: flow.RuntimeSystemd, Name: name,
		Owner: flow.Owner{Kind: "Unit", Name: name}, Labels: labels("systemd", "unit", name),
	}
}

// Host is the host.
func Host() *flow.Workload {
	return &flow.Workload{
		CgroupID: 1, Cgroup: "/", Runtime: flow.RuntimeHost, Name: "host", Owner: flow.Owner{Kind: "Host", Name: "host"},
		Labels: labels("reserved", "host", ""), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.10")},
	}
}

func labels(of ...string) (out []flow.Label) {
	for i := 0; i+2 < len(of); i += 3 {
		out = append(out, flow.Label{Source: of[i], Key: of[i+1], Value: of[i+2]})
	}
	slices.SortFunc(out, func(a, b flow.Label) int { return slices.Compare([]string{a.Source, a.Key}, []string{b.Source, b.Key}) })
	return out
}

// Addr is the address of a container by its cgroup.
func Addr(cgroup uint64) netip.Addr {
	return netip.AddrFrom4([4]byte{172, 18, byte(cgroup >> 8), byte(cgroup)})
}

// Local is the end of a workload of this host.
func Local(w *flow.Workload, port uint16) flow.Endpoint {
	a := netip.MustParseAddr("192.0.2.10")
	if len(w.Addrs) > 0 {
		a = w.Addrs[0]
	}
	return flow.Endpoint{Addr: netip.AddrPortFrom(a, port), Workload: w, Seen: true, Cookie: w.CgroupID*1000 + uint64(port)}
}

// Remote is the end of somebody elsewhere.
func Remote(addr string, port uint16, names ...string) flow.Endpoint {
	return flow.Endpoint{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), port), Names: names}
}

// Flow is a whole flow: its start, and its end in order.
func Flow(id uint64, p flow.Protocol, client, server flow.Endpoint) []flow.Record {
	start := flow.Record{
		Kind: flow.RecordStart, Time: Epoch + int64(id)*int64(time.Second), Verdict: flow.VerdictForwarded,
		Flow: flow.Flow{ID: id, Protocol: p, Client: client, Server: server, ConnectLatency: 250_000},
	}
	end := start
	end.Kind, end.Time, end.Flow.End = flow.RecordEnd, start.Time+int64(time.Second), flow.EndClosed
	end.Flow.Sent, end.Flow.Received = flow.Counters{Packets: 5, Payload: 500}, flow.Counters{Packets: 9, Payload: 9000}
	end.Delta = flow.Delta{Sent: end.Flow.Sent, Received: end.Flow.Received}
	return []flow.Record{start, end}
}

// Refused is a connection that did not come about.
func Refused(id uint64, client, server flow.Endpoint) []flow.Record {
	server.Seen = false
	r := Flow(id, flow.TCP, client, server)
	for i := range r {
		r[i].Flow.ConnectLatency, r[i].Flow.Sent, r[i].Flow.Received, r[i].Delta = 0, flow.Counters{}, flow.Counters{}, flow.Delta{}
	}
	r[1].Flow.End = flow.EndRefused
	return r
}

// Tally counts n exchanges between two ends.
func Tally(p flow.L7Protocol, method, route string, n uint64, client, server flow.Endpoint) flow.Record {
	return flow.Record{
		Kind: flow.RecordL7, Time: Epoch + int64(time.Minute), Verdict: flow.VerdictForwarded,
		L7: &flow.L7{
			Protocol: p, Client: client, Server: server, Seen: flow.RoleClient, Method: method, Route: route,
			Tally: &flow.Tally{
				Counted: flow.Counted{Protocol: p, Role: flow.RoleClient, Remote: server.Addr.Addr(), Port: server.Addr.Port()}, Count: n,
			},
		},
	}
}
