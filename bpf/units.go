package bpf

import (
	"github.com/cilium/ebpf"
	"github.com/seed79351815/weir/collector/flow"
)

// How a program is attached.
type attachment uint8

const (
	attachTracing  attachment = iota // tp_btf: a raw tracepoint with BTF
	attachCgroup                     // at the root of cgroup v2
	attachSockIter                   // an iterator over the socket storage, opened at each reading
	attachTaskIter                   // an iterator over all tasks' files, opened once
	attachTail                       // called by another program: the one of its unit's protocol
)

// hook is one program: where it sits, what for, and what is lost without it.
type hook struct {
	program  string
	attach   attachment
	point    string // as the kernel names it
	purpose  string
	without  string
	required bool
}

// unit is one object of programs that load together.
type unit struct {
	name     string
	spec     func() (*ebpf.CollectionSpec, error)
	hooks    []hook
	protocol flow.L7Protocol // of its tail calls
}

// units is everything that weir puts into the kernel. It drives load, attachment
// and `weir doctor`.
func units() []unit {
	return []unit{
		{name: "tcp", spec: loadTcp, hooks: []hook{
			{"tcp_state", attachTracing, "tp_btf/inet_sock_set_state", "TCP connections: open, close, how they ended", "no TCP flows", true},
		}},
		{name: "table", spec: loadTable, hooks: []hook{
			{"tcp_table", attachSockIter, "iter/bpf_sk_storage_map", "TCP counters, RTT and retransmits of living connections", "they are read by way of the processes' open files, which takes longer; a connection that no process holds open shows its numbers when it ends", false},
		}},
		{name: "http", spec: loadHttp, protocol: flow.HTTP, hooks: []hook{
			{"http_egress", attachTail, "cgroup_skb/egress", "HTTP/1: what sockets send", "no HTTP requests", false},
			{"http_ingress", attachTail, "cgroup_skb/ingress", "HTTP/1: what sockets receive", "no HTTP requests", false},
			{"http_close", attachTracing, "tp_btf/inet_sock_set_state", "HTTP/1: what a connection ended in the middle of", "answers that end with their connection are not seen", false},
		}},
		{name: "lookup", spec: loadLookup, protocol: flow.DNS, hooks: []hook{
			{"lookup_egress", attachTail, "cgroup_skb/egress", "DNS: questions that sockets send, answers that they give", "no DNS lookups", false},
			{"lookup_ingress", attachTail, "cgroup_skb/ingress", "DNS: answers that sockets receive, questions that they are asked", "no DNS lookups", false},
		}},
		{name: "tls", spec: loadTls, protocol: flow.TLS, hooks: []hook{
			{"tls_egress", attachTail, "cgroup_skb/egress", "TLS handshakes: what sockets send", "no TLS handshakes", false},
			{"tls_ingress", attachTail, "cgroup_skb/ingress", "TLS handshakes: what sockets receive", "no TLS handshakes", false},
			{"tls_close", attachTracing, "tp_btf/inet_sock_set_state", "TLS handshakes: those that had no answer", "handshakes without an answer are not seen", false},
		}},
		// Behind those that its programs call: a connection that finds none of them is left alone for good.
		{name: "packet", spec: loadPacket, hooks: []hook{
			{"packet_egress", attachCgroup, "cgroup_skb/egress", "UDP, ICMP and other flows: sent", "no flows but TCP", true},
			{"packet_ingress", attachCgroup, "cgroup_skb/ingress", "UDP, ICMP and other flows: received; DNS answers", "no flows but TCP, no DNS names", true},
		}},
		{name: "socket", spec: loadSocket, hooks: []hook{
			{"socket_create", attachCgroup, "cgroup/sock_create", "who opened a UDP or raw socket", "UDP flows without process and network namespace", false},
			{"socket_sendmsg4", attachCgroup, "cgroup/sendmsg4", "the peer that an application named, before NAT", "a UDP flow through NAT shows as two", false},
			{"socket_sendmsg6", attachCgroup, "cgroup/sendmsg6", "the same for IPv6", "a UDP flow through NAT shows as two", false},
			{"socket_files", attachTaskIter, "iter/task_file", "sockets that were there before weir", "flows that are older than weir stay unseen until they end", false},
		}},
		{name: "cgroup", spec: loadCgroup, hooks: []hook{
			{"cgroup_mkdir", attachTracing, "tp_btf/cgroup_mkdir", "containers are known before their first packet", "new containers are found by looking, seconds later", false},
			{"cgroup_rmdir", attachTracing, "tp_btf/cgroup_rmdir", "containers that are gone", "gone containers are found by looking", false},
		}},
		{name: "drop", spec: loadDrop, hooks: []hook{
			{"packet_dropped", attachTracing, "tp_btf/kfree_skb", "packets that the kernel dropped, with its reason", "no drops", false},
		}},
	}
}
