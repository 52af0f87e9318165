// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Packets of sockets, at the cgroup root, both ways. UDP, ICMP and every other
 * connectionless protocol are counted here by socket and peer. TCP is not: the
 * kernel keeps its counters, see tcp.h. What is said over TCP and in DNS' datagrams
 * is read, see l7.h and dns_datagram.h.
 */
#include "dns_datagram.h"
#include "l7_detect.h"
#include "named.h"
#include "skb_header.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define EGRESS 1
#define INGRESS 0
#define PASS 1

#define DNS_PORT 53

struct packet {
	struct header h;
	u32 transport; /* length of the transport header */
	u8 icmp_type;  /* in the request's form */
	u8 icmp_code;
	u8 answer; /* it was the answer's form */
	u8 reserved;
	struct endpoint wire; /* the peer after NAT, where that is another than the socket's */
};

/* Ports and the length of the transport header; 0 for protocols that weir does not know. */
static __always_inline int read_transport(struct __sk_buff *skb, struct flow_key *k, struct packet *p, int egress)
{
	struct endpoint *source = egress ? &k->local : &k->remote;
	struct endpoint *destination = egress ? &k->remote : &k->local;
	struct ports ports;
	u8 icmp[2];

	__builtin_memcpy(source->addr, p->h.source, 16);
	__builtin_memcpy(destination->addr, p->h.destination, 16);
	if (p->h.fragment)
		return 0;
	if (has_ports(p->h.protocol)) {
		if (bpf_skb_load_bytes(skb, p->h.length, &ports, sizeof(ports)))
			return -1;
		source->port = bpf_ntohs(ports.source);
		destination->port = bpf_ntohs(ports.destination);
		p->transport = p->h.protocol == IPPROTO_UDP ? 8 : p->h.protocol == IPPROTO_TCP ? 20 : 12;
	} else if (p->h.protocol == IPPROTO_ICMP || p->h.protocol == IPPROTO_ICMPV6) {
		if (bpf_skb_load_bytes(skb, p->h.length, icmp, sizeof(icmp)))
			return -1;
		p->icmp_type = icmp_request(p->h.protocol, icmp[0]);
		p->icmp_code = icmp[1];
		p->answer = p->icmp_type != icmp[0];
		p->transport = 8;
	}
	return 0;
}

/*
 * Both ends of an outgoing packet as its socket sees them, where the packet has
 * them after NAT. A socket that is bound to no address leaves the packet's.
 */
static __always_inline void name_ends(struct flow_key *k, struct bpf_sock *sk)
{
	bool connected = sk->dst_port != 0;

	if (k->protocol != IPPROTO_UDP || sk->protocol != IPPROTO_UDP)
		return;
	k->local.port = sk->src_port;
	if (sk->family == AF_INET) {
		if (sk->src_ip4)
			map_v4(k->local.addr, sk->src_ip4);
		if (connected)
			map_v4(k->remote.addr, sk->dst_ip4);
	} else if (sk->family == AF_INET6) {
		u32 v6[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};

		if (v6[0] | v6[1] | v6[2] | v6[3])
			__builtin_memcpy(k->local.addr, v6, 16);
		v6[0] = sk->dst_ip6[0];
		v6[1] = sk->dst_ip6[1];
		v6[2] = sk->dst_ip6[2];
		v6[3] = sk->dst_ip6[3];
		if (connected)
			__builtin_memcpy(k->remote.addr, v6, 16);
	}
	if (connected) {
		k->remote.port = bpf_ntohs(sk->dst_port);
	} else {
		struct sock_info *i = bpf_sk_storage_get(&sockets, sk, 0, 0);

		if (i)
			recall_named(i, &k->remote);
	}
}

static __always_inline struct flow_value *flow_create(struct __sk_buff *skb, struct bpf_sock *sk,
						      const struct flow_key *k, const struct packet *p, int egress)
{
	struct sock_info *i = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct flow_value v = {};
	struct sock_event *e;

	v.start = bpf_ktime_get_boot_ns();
	/* Whoever sends first is the client, unless what is sent is an answer: the kernel's own
	 * socket answers echo requests that no socket received. */
	v.role = egress != p->answer ? ROLE_CLIENT : ROLE_SERVER;
	v.icmp_type = p->icmp_type;
	v.icmp_code = p->icmp_code;
	v.wire = p->wire;
	if (i) {
		v.cgroup = i->cgroup;
		v.netns = i->netns;
		v.pid = i->pid;
		v.flags = i->flags & FLAG_SELF;
		__builtin_memcpy(v.comm, i->comm, COMM_LEN);
		/* Who spoke first may have been before weir's time. */
		if (i->flags & FLAG_PREEXISTING)
			v.role = ROLE_UNKNOWN;
	} else {
		v.cgroup = bpf_skb_cgroup_id(skb);
	}
	if (bpf_map_update_elem(&flows, k, &v, BPF_NOEXIST) == -E2BIG) {
		count_loss(LOSS_FLOW_TABLE_FULL);
		return NULL;
	}
	e = event_reserve(EVENT_SOCK_OPEN, sizeof(*e));
	if (e) {
		__builtin_memset(&e->sock, 0, sizeof(e->sock));
		e->sock.cookie = k->cookie;
		e->sock.cgroup = v.cgroup;
		e->sock.start = v.start;
		e->sock.last = v.start;
		e->sock.local = k->local;
		e->sock.remote = k->remote;
		e->sock.wire = v.wire;
		e->sock.netns = v.netns;
		e->sock.pid = v.pid;
		e->sock.protocol = k->protocol;
		e->sock.role = v.role;
		e->sock.flags = v.flags;
		e->sock.icmp_type = v.icmp_type;
		e->sock.icmp_code = v.icmp_code;
		__builtin_memcpy(e->sock.comm, v.comm, COMM_LEN);
		event_submit(e);
	}
	return bpf_map_lookup_elem(&flows, k);
}

/* A resolver's answer, copied for user space to learn names from. */
static __always_inline void report_dns(struct __sk_buff *skb, const struct flow_key *k, const struct flow_value *v,
				       u32 offset, u32 length)
{
	struct dns_event *e;
	u32 n = length;

	if (length < 12)
		return;
	e = event_reserve(EVENT_DNS, sizeof(*e));
	if (!e)
		return;
	if (n > DNS_LEN)
		n = DNS_LEN;
	e->cgroup = v->cgroup;
	e->netns = v->netns;
	e->resolver = k->remote;
	e->full = length;
	e->len = n;
	asm volatile("" : "+r"(n));
	if (n == 0 || n > DNS_LEN || bpf_skb_load_bytes(skb, offset, e->data, n))
		e->len = 0;
	event_submit(e);
}

/* What is not TCP is counted packet by packet: the kernel keeps no counters of such sockets. */
static __always_inline int datagram(struct __sk_buff *skb, struct bpf_sock *sk, int egress)
{
	struct flow_key k = {};
	struct flow_value *v;
	struct packet p = {};
	struct counters *c;
	u32 headers, segments;

	if (read_header(skb, &p.h)) {
		count_loss(LOSS_PACKET_UNREADABLE);
		return PASS;
	}
	k.cookie = bpf_get_socket_cookie(skb);
	k.protocol = p.h.protocol;
	if (read_transport(skb, &k, &p, egress)) {
		count_loss(LOSS_PACKET_UNREADABLE);
		return PASS;
	}
	if (egress) {
		p.wire = k.remote;
		name_ends(&k, sk);
		if (same_endpoint(&p.wire, &k.remote))
			__builtin_memset(&p.wire, 0, sizeof(p.wire));
	}

	v = bpf_map_lookup_elem(&flows, &k);
	if (!v)
		v = flow_create(skb, sk, &k, &p, egress);
	if (!v)
		return PASS;

	/* skb->len holds the headers once, however many packets it becomes on the wire. */
	segments = skb->gso_segs ? skb->gso_segs : 1;
	headers = p.h.length + p.transport;
	c = egress ? &v->sent : &v->received;
	__sync_fetch_and_add(&c->packets, segments);
	__sync_fetch_and_add(&c->wire, skb->len + (segments - 1) * headers);
	if (skb->len > headers)
		__sync_fetch_and_add(&c->payload, skb->len - headers);
	v->last = bpf_ktime_get_boot_ns();

	if (k.protocol != IPPROTO_UDP || p.h.fragment)
		return PASS;
	if (!egress && !(v->flags & FLAG_SELF) &&
	    (k.remote.port == DNS_PORT || (v->protocol == L7_DNS && v->role == ROLE_CLIENT)))
		report_dns(skb, &k, v, headers, skb->len - headers);
	dns_datagram(skb, &k, v, headers, egress);
	return PASS;
}

static __always_inline int packet(struct __sk_buff *skb, int egress)
{
	struct bpf_sock *sk = skb->sk;
	struct l7_sock *l;

	if (!sk)
		return PASS;
	/* Of most packets this is all there is to ask. */
	l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	if (l && l7_settled(skb, l, egress))
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS;
	if (sk->protocol != IPPROTO_TCP)
		return datagram(skb, sk, egress);
	l7_packet(skb, sk, l, egress);
	return PASS;
}

SEC("cgroup_skb/egress")
int packet_egress(struct __sk_buff *skb)
{
	return packet(skb, EGRESS);
}

SEC("cgroup_skb/ingress")
int packet_ingress(struct __sk_buff *skb)
{
	return packet(skb, INGRESS);
}
