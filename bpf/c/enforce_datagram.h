/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Everything that has no connection: UDP, ICMP, raw sockets and other protocols.
 * Ports and protocol are the packet's, never the socket's: a raw socket writes
 * what it likes. Whoever sent first is the client; what answers it passes.
 */
#pragma once

#include "party.h"
#include "skb_header.h"

#define ROOT_CGROUP 1

struct datagram {
	struct header h;
	struct endpoint source;
	struct endpoint destination;
	u8 icmp_type;
	u8 reserved[3];
};

/* What cannot be read has no protocol: only rules for every protocol speak of it. */
__attribute__((noinline)) int read_datagram(struct __sk_buff *skb, struct datagram *d)
{
	struct ports ports;

	if (!d)
		return 0;

	if (read_header(skb, &d->h) || is_extension(d->h.protocol)) {
		d->h.protocol = 0;
		return 0;
	}
	__builtin_memcpy(d->source.addr, d->h.source, 16);
	__builtin_memcpy(d->destination.addr, d->h.destination, 16);
	if (d->h.fragment)
		return 0;
	if (has_ports(d->h.protocol)) {
		if (bpf_skb_load_bytes(skb, d->h.length, &ports, sizeof(ports)))
			return 0;
		d->source.port = bpf_ntohs(ports.source);
		d->destination.port = bpf_ntohs(ports.destination);
	} else if (d->h.protocol == IPPROTO_ICMP || d->h.protocol == IPPROTO_ICMPV6) {
		bpf_skb_load_bytes(skb, d->h.length, &d->icmp_type, 1);
	}
	return 0;
}

/* Judges a conversation that `role` began, or that nobody began yet: its role, since and verdict. */
static __always_inline void judge_talk(struct bpf_sock *sk, const struct datagram *d, const struct party *p,
				       const struct endpoint *peer, bool egress, struct talk *t)
{
	u16 local = egress ? d->source.port : d->destination.port;
	struct question q = {};
	struct answer a;

	q.cgroup = bpf_sk_cgroup_id(sk);
	__builtin_memcpy(q.addr, peer->addr, 16);
	q.protocol = d->h.protocol;
	q.local_port = local;
	q.remote_port = peer->port;
	q.since = t->since;
	if (t->role == PARTY_SERVER) {
		q.direction = DIRECTION_INGRESS;
		q.port = is_icmp(q.protocol) ? d->icmp_type : local;
		q.peer_cgroup = whose_datagram(peer);
		q.noted = q.protocol == IPPROTO_UDP;
	} else {
		q.direction = DIRECTION_EGRESS;
		q.port = is_icmp(q.protocol) ? d->icmp_type : peer->port;
	}
	if (p) {
		q.pid = p->pid;
		__builtin_memcpy(q.comm, p->comm, 16);
	}
	judge(&q, &a);
	if (!q.protocol)
		refuse_unread(&q, &a);
	if (a.verdict == VERDICT_DENIED || a.verdict == VERDICT_AUDITED)
		tell(&q, &a);
	t->verdict = a.verdict;
	t->asks = a.asks;
}

/* What a packet is to be asked for besides, when it may pass. */
struct asking {
	struct endpoint peer;
	u32 what; /* of enum asking_what */
};

enum asking_what {
	ASKING_NOTHING = 0,
	ASKING_PEER = 1, /* that the application named */
	ASKING_SOME = 2, /* of those that it named: translation hides which */
};

static __always_inline int pass_talk(const struct talk *t, const struct endpoint *peer, struct asking *w)
{
	if (t->verdict == VERDICT_DENIED)
		return DROP;
	if (t->asks) {
		w->what |= ASKING_PEER;
		w->peer = *peer;
	}
	return PASS;
}

/* Verified by itself. */
__attribute__((noinline)) int converse(struct __sk_buff *skb, u32 egress, struct asking *w)
{
	struct bpf_sock *sk = full_sock(skb);
	struct regime *r = the_regime();
	struct talk_key k = {.cookie = bpf_get_socket_cookie(skb)};
	struct talk *t, fresh = {};
	struct datagram d = {};
	bool translated = false;
	struct party *p;
	u64 generation;

	if (!sk || !r || !w)
		return DROP;
	generation = r->generation;
	read_datagram(skb, &d);
	k.protocol = d.h.protocol;
	k.peer = egress ? d.destination : d.source;
	p = bpf_sk_storage_get(&parties, sk, 0, 0);
	if (is_icmp(d.h.protocol)) {
		k.peer.port = 0;
		/* The kernel answers by a socket of its own, and errors come from anywhere. */
		if (icmp_answers(d.h.protocol, d.icmp_type) && (!egress || bpf_sk_cgroup_id(sk) == ROOT_CGROUP) &&
		    icmp_request(d.h.protocol, d.icmp_type) == d.icmp_type)
			return PASS;
		if (egress && bpf_sk_cgroup_id(sk) == ROOT_CGROUP && icmp_answers(d.h.protocol, d.icmp_type))
			return PASS;
	} else if (egress && r->notes && d.h.protocol == IPPROTO_UDP) {
		note_datagram(&d.source, bpf_sk_cgroup_id(sk));
	}
	/* Its packets may show another peer than the one that it was connected to. */
	if (sk->type == SOCK_DGRAM && sk->dst_port && d.h.protocol == IPPROTO_UDP) {
		__builtin_memset(&k.peer, 0, sizeof(k.peer));
		read_remote(sk, k.peer.addr);
		k.peer.port = bpf_ntohs(sk->dst_port);
		translated = egress && !same_end(&k.peer, &d.destination);
	}
	t = bpf_map_lookup_elem(&talks, &k);
	/* Translated on its way: sendmsg has judged the peer that was named. */
	if (!t && egress && sk->type == SOCK_DGRAM && !sk->dst_port && p && p->sent_under == generation) {
		w->what = ASKING_SOME;
		return PASS;
	}
	if (translated) /* or sent past the peer that it was connected to, which sendmsg has judged too */
		w->what = ASKING_SOME;
	if (t && t->generation == generation)
		return pass_talk(t, &k.peer, w);
	fresh.role = t ? t->role : egress ? PARTY_CLIENT : PARTY_SERVER;
	fresh.generation = generation;
	fresh.since = t ? t->since : seconds_now();
	judge_talk(sk, &d, p, &k.peer, egress, &fresh);
	if (fresh.verdict == VERDICT_HELD)
		return DROP;
	bpf_map_update_elem(&talks, &k, &fresh, BPF_ANY);
	return pass_talk(&fresh, &k.peer, w);
}
