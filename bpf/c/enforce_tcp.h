/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Connections: judged once under each regime, at each end that is a socket of this host. */
#pragma once

#include "party.h"

#define BPF_TCP_SYN_SENT_STATE 2
#define BPF_TCP_LISTEN_STATE 10

/* The packet's ends, read from its linear part. False where it is no TCP over IP. */
static __always_inline bool read_ends(struct __sk_buff *skb, struct endpoint *source, struct endpoint *destination,
				      u32 *seq, bool *syn)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct tcp_header *tcp;
	u32 at;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ipv4 *ip = data;

		if ((void *)(ip + 1) > end)
			return false;
		at = (ip->version_ihl & 15) * 4;
		source->addr[10] = source->addr[11] = destination->addr[10] = destination->addr[11] = 0xff;
		__builtin_memcpy(source->addr + 12, &ip->source, 4);
		__builtin_memcpy(destination->addr + 12, &ip->destination, 4);
	} else {
		struct ipv6 *ip = data;

		if ((void *)(ip + 1) > end)
			return false;
		at = sizeof(*ip);
		if (ip->next != IPPROTO_TCP)
			return false;
		__builtin_memcpy(source->addr, ip->source, 16);
		__builtin_memcpy(destination->addr, ip->destination, 16);
	}
	tcp = data + at;
	if ((void *)(tcp + 1) > end)
		return false;
	source->port = bpf_ntohs(tcp->source);
	destination->port = bpf_ntohs(tcp->destination);
	*seq = bpf_ntohl(tcp->seq);
	*syn = tcp->flags & TCP_FLAG_SYN;
	return true;
}

/* A connection that is older than the programs was accepted where its port is listened on. */
static __always_inline u8 guess_role(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *found;
	u8 role = PARTY_CLIENT;
	u32 size;

	if (sk->family == AF_INET) {
		t.ipv4.daddr = sk->src_ip4;
		t.ipv4.dport = bpf_htons(sk->src_port);
		size = sizeof(t.ipv4);
	} else {
		u32 v6[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};

		__builtin_memcpy(t.ipv6.daddr, v6, 16);
		t.ipv6.dport = bpf_htons(sk->src_port);
		size = sizeof(t.ipv6);
	}
	found = bpf_skc_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (found) {
		if (found->state == BPF_TCP_LISTEN_STATE)
			role = PARTY_SERVER;
		bpf_sk_release(found);
	}
	return role;
}

/* What a listener is sent: a SYN, or what completes a handshake that it keeps no state of. */
static __noinline int knock(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct endpoint source = {}, destination = {};
	struct question q = {};
	struct answer a;
	bool syn;
	u32 seq;

	if (!read_ends(skb, &source, &destination, &seq, &syn))
		return DROP;
	q.cgroup = bpf_sk_cgroup_id(sk);
	q.peer_cgroup = whose_syn(syn ? seq : seq - 1, &source, &destination);
	__builtin_memcpy(q.addr, source.addr, 16);
	q.port = q.local_port = sk->src_port;
	q.remote_port = source.port;
	q.protocol = IPPROTO_TCP;
	q.direction = DIRECTION_INGRESS;
	q.noted = 1;
	return may_begin(&q, &a) ? PASS : DROP;
}

/* Not inlined: its notes are large, and what comes after needs the stack. */
static __noinline int leave_note(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct endpoint source = {}, destination = {};
	bool syn;
	u32 seq;

	if (read_ends(skb, &source, &destination, &seq, &syn) && syn)
		note_syn(seq, bpf_sk_cgroup_id(sk), &source, &destination);
	return 0;
}

/* The client's note is under its initial sequence number, which this end's books still tell. */
static __always_inline u64 whose_connection(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct endpoint source = {}, destination = {};
	struct bpf_tcp_sock *tp = bpf_tcp_sock(sk);
	u32 seq;

	if (!tp)
		return 0;
	seq = tp->rcv_nxt - (u32)tp->bytes_received - 1;
	read_remote(sk, source.addr);
	source.port = bpf_ntohs(sk->dst_port);
	if (sk->family == AF_INET) {
		u32 v4 = sk->src_ip4;

		destination.addr[10] = destination.addr[11] = 0xff;
		__builtin_memcpy(destination.addr + 12, &v4, 4);
	} else {
		u32 v6[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};

		__builtin_memcpy(destination.addr, v6, 16);
	}
	destination.port = sk->src_port;
	return whose_syn(seq, &source, &destination);
}

static __noinline int judge_connection(struct __sk_buff *skb, struct bpf_sock *sk, struct party *p)
{
	struct question q = {};
	struct answer a;
	u8 role = p ? p->role : PARTY_UNKNOWN;
	bool pass;

	if (role == PARTY_UNKNOWN)
		role = sk->state == BPF_TCP_SYN_SENT_STATE ? PARTY_CLIENT : guess_role(skb, sk);
	q.cgroup = bpf_sk_cgroup_id(sk);
	read_remote(sk, q.addr);
	q.local_port = sk->src_port;
	q.remote_port = bpf_ntohs(sk->dst_port);
	q.protocol = IPPROTO_TCP;
	if (role == PARTY_SERVER) {
		q.direction = DIRECTION_INGRESS;
		q.port = q.local_port;
		q.peer_cgroup = p ? p->peer_cgroup : 0;
		if (!q.peer_cgroup)
			q.peer_cgroup = whose_connection(skb, sk);
		/* One that is older than the programs has left none. */
		q.noted = p && p->role == PARTY_SERVER && !p->older;
	} else {
		q.direction = DIRECTION_EGRESS;
		q.port = q.remote_port;
	}
	if (p) {
		q.pid = p->pid;
		q.since = p->since;
		__builtin_memcpy(q.comm, p->comm, 16);
	}
	pass = may_pass(&q, &a);
	if (p) {
		p->older |= p->role == PARTY_UNKNOWN;
		p->role = role;
		p->peer_cgroup = q.peer_cgroup;
		p->verdict = a.verdict;
		p->asks = a.asks;
	}
	if (!pass)
		return DROP;
	return a.asks ? ASKS : PASS;
}

static __always_inline int segment(struct __sk_buff *skb, struct bpf_sock *sk, bool egress, const struct regime *r)
{
	struct party *p;
	u64 generation;
	int pass;

	if (sk->state == BPF_TCP_LISTEN_STATE) /* a SYN-ACK answers what was judged */
		return egress ? PASS : knock(skb, sk);
	if (egress && r->notes && sk->state == BPF_TCP_SYN_SENT_STATE)
		leave_note(skb, sk);
	generation = r->generation;
	p = bpf_sk_storage_get(&parties, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (p && p->generation == generation) {
		if (p->verdict == VERDICT_DENIED)
			return DROP;
		return p->asks ? ASKS : PASS;
	}
	/* Without memory for what was decided it is decided for each packet. */
	pass = judge_connection(skb, sk, p);
	if (p && p->verdict != VERDICT_HELD)
		p->generation = generation;
	return pass;
}
