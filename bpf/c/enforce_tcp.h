/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Connections: judged once under each regime, at each end that is a socket of this host. */
#pragma once

#include "over.h"
#include "syn_note.h"

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

/* A socket's next connection is another one than before. */
static __always_inline void renew(struct party *p, u8 role)
{
	p->generation = p->peer_cgroup = p->named_under = 0;
	p->older = 0;
	p->role = role;
}

/*
 * Whoever accepts a connection has the rights of the listener. The kernel gives an
 * accepted socket what is stored with its listener: that tells which end it is. Where
 * nothing is refused to the workload nothing is stored, since memory is what takes
 * longest.
 */
static __always_inline void ready(struct bpf_sock *sk, bool free)
{
	struct party *p = bpf_sk_storage_get(&parties, sk, 0, 0);

	if (free) {
		if (p)
			bpf_sk_storage_delete(&parties, sk);
		return;
	}
	if (!p)
		p = bpf_sk_storage_get(&parties, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (p && (p->role != PARTY_SERVER || p->generation || p->peer_cgroup || p->older || p->named_under)) {
		renew(p, PARTY_SERVER);
		p->since = 0;
	}
}

/* What a listener is sent: a SYN, or what completes a handshake that it keeps no state of. */
static __noinline int knock(struct __sk_buff *skb, struct bpf_sock *sk)
{
	const struct rulings *rulings;
	struct endpoint source = {}, destination = {};
	struct regime *r = the_regime();
	struct question q = {};
	struct answer a;
	u64 generation;
	bool syn;
	u32 seq;

	if (!r)
		return DROP;
	generation = r->generation;
	q.cgroup = bpf_sk_cgroup_id(sk);
	rulings = rulings_for(r, q.cgroup);
	ready(sk, is_free(rulings));
	if (refuses_nothing(ruled_way(rulings, DIRECTION_INGRESS)))
		return PASS;
	if (!read_ends(skb, &source, &destination, &seq, &syn))
		return DROP;
	if (!syn)
		seq--;
	__builtin_memcpy(q.addr, source.addr, 16);
	q.port = q.local_port = sk->src_port;
	q.remote_port = source.port;
	q.protocol = IPPROTO_TCP;
	q.direction = DIRECTION_INGRESS;
	q.noted = 1;
	if (whose_syn(seq, &source, &destination, generation, &q))
		return PASS;
	if (!may_begin(&q, &a))
		return DROP;
	if (q.peer_cgroup && a.verdict == VERDICT_PASSED && !a.asks)
		note_passed(seq, generation, &q);
	return PASS;
}

/* As whose_syn(): the client's note is under its initial sequence number, which this end's books still tell. */
static __always_inline bool whose_connection(struct bpf_sock *sk, u64 generation, struct question *q)
{
	struct endpoint source = {}, destination = {};
	struct bpf_tcp_sock *tp = bpf_tcp_sock(sk);
	u32 seq;

	if (!tp)
		return false;
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
	return whose_syn(seq, &source, &destination, generation, q);
}

static __noinline int judge_connection(struct __sk_buff *skb, struct bpf_sock *sk, struct party *p, u64 generation)
{
	struct question q = {};
	struct answer a = {.verdict = VERDICT_PASSED};
	u8 role = p ? p->role : PARTY_UNKNOWN;
	bool pass = false;

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
			pass = whose_connection(sk, generation, &q);
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
	if (!pass)
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

/* Whether a connection is to the peer that connect(2) was let name, for the same cgroup. */
static __always_inline bool is_named(struct bpf_sock *sk, u64 cgroup, const struct party *p)
{
	struct endpoint remote __attribute__((aligned(8))) = {.port = bpf_ntohs(sk->dst_port)};

	read_remote(sk, remote.addr);
	return p->cgroup == cgroup && same_end(&remote, &p->named);
}

/*
 * A SYN leaves a note; and what was decided for connect(2) holds. Once: the socket may
 * begin again, and not only by a connect(2) that a hook sees (MPTCP's), but never with the
 * number that it had. Not inlined: what comes after needs the stack.
 */
static __noinline int begin(struct __sk_buff *skb, struct bpf_sock *sk, struct party *p, const struct regime *r)
{
	struct endpoint source = {}, destination = {};
	u64 cgroup = bpf_sk_cgroup_id(sk), named_under;
	bool syn = false;
	u32 seq = 0;

	if (!read_ends(skb, &source, &destination, &seq, &syn))
		syn = false;
	if (r->notes && syn)
		note_syn(seq, cgroup, &source, &destination);
	if (!p || (syn && p->role == PARTY_CLIENT && p->number == seq && !p->named_under))
		return 0;
	named_under = p->named_under;
	renew(p, PARTY_CLIENT);
	p->number = seq;
	if (!named_under)
		p->since = seconds_now();
	else if (is_named(sk, cgroup, p))
		p->generation = named_under;
	return 0;
}

/*
 * Whether a segment says nothing, and would be refused nothing: then nothing about its
 * socket need be stored yet. Not inlined: what comes after needs the stack.
 */
static __noinline int is_idle(struct __sk_buff *skb, struct bpf_sock *sk, const struct regime *r)
{
	struct segment g;

	if (sk->state == BPF_TCP_SYN_SENT_STATE || !read_segment(skb, &g) || g.len)
		return false;
	return is_free(rulings_for(r, bpf_sk_cgroup_id(sk)));
}

static __always_inline int segment(struct __sk_buff *skb, struct bpf_sock *sk, bool egress, const struct regime *r)
{
	struct party *p;
	u64 generation;
	int pass;

	if (sk->state == BPF_TCP_LISTEN_STATE) /* a SYN-ACK answers what was judged */
		return egress ? PASS : knock(skb, sk);
	p = bpf_sk_storage_get(&parties, sk, 0, 0);
	if (!p) {
		if (is_idle(skb, sk, r))
			return PASS;
		p = bpf_sk_storage_get(&parties, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	}
	if (egress && sk->state == BPF_TCP_SYN_SENT_STATE)
		begin(skb, sk, p, r);
	generation = r->generation;
	if (p && p->generation == generation) {
		if (p->verdict == VERDICT_DENIED)
			return over(skb, p, egress);
		return p->asks ? ASKS : PASS;
	}
	/* Without memory for what was decided it is decided for each packet. */
	pass = judge_connection(skb, sk, p, generation);
	if (p && p->verdict != VERDICT_HELD)
		p->generation = generation;
	return pass;
}
