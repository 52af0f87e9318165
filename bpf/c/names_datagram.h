/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Questions and answers in datagrams. The resolver is the one that the
 * application named: its packets may show another one, which NAT put there
 * (Docker's resolver at 127.0.0.11:53 listens at another port). What arrives has
 * the named one again.
 */
#pragma once

#include "asking.h"
#include "names_forged.h"

#define UDP_HEADER 8
#define NAMED_PEERS 4 /* a power of two */

/* The resolvers that a socket without a peer of its own sent to last. */
struct resolvers {
	struct endpoint named[NAMED_PEERS];
	u32 next;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct resolvers);
} resolvers SEC(".maps");

/* A process sends to a resolver that it names with the datagram. */
static __always_inline void note_resolver(struct bpf_sock *sk, const struct endpoint *peer)
{
	struct resolvers *r = bpf_sk_storage_get(&resolvers, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!r)
		return;
	for (int n = 0; n < NAMED_PEERS; n++)
		if (same_end(&r->named[n], peer))
			return;
	r->named[r->next++ & (NAMED_PEERS - 1)] = *peer;
}

/* The peer that the application named, of a datagram to `wire`. */
static __noinline int name_resolver(struct bpf_sock *sk, const struct endpoint *wire, struct endpoint *named)
{
	struct resolvers *r;

	*named = *wire;
	named->reserved = 0;
	if (sk->dst_port) {
		__builtin_memset(named->addr, 0, sizeof(named->addr));
		read_remote(sk, named->addr);
		named->port = bpf_ntohs(sk->dst_port);
		return 0;
	}
	r = bpf_sk_storage_get(&resolvers, sk, 0, 0);
	if (!r)
		return 0;
	for (int n = 0; n < NAMED_PEERS; n++)
		if (same_end(&r->named[n], wire))
			return 0;
	*named = r->named[(r->next - 1) & (NAMED_PEERS - 1)];
	return 0;
}

/* What is asked of a room for a datagram. */
static __always_inline void fill_room(struct name_room *r, struct __sk_buff *skb, struct bpf_sock *sk,
				      const struct endpoint *resolver)
{
	__builtin_memset(&r->asked, 0, sizeof(r->asked));
	r->asked.cookie = bpf_get_socket_cookie(skb);
	r->asked.resolver = *resolver;
	r->asked.looped = skb->ifindex == LOOPBACK_DEVICE;
	r->key.owner = owner_of(bpf_sk_cgroup_id(sk));
}

/* A datagram to a resolver, whose message begins at offset. Without w nothing is judged. */
static __always_inline int name_question(struct __sk_buff *skb, struct bpf_sock *sk, const struct datagram *d,
					 const struct endpoint *resolver, const struct asking *w)
{
	u32 offset = d->h.length + UDP_HEADER, size = skb->len - offset;
	u32 number = name_enter(), read = 0;
	struct name_room *r = name_room(number);
	int pass = PASS;

	if (!r)
		return w->what ? DROP : PASS;
	fill_room(r, skb, sk, resolver);
	/* Several datagrams in one packet are no question, nor is what a raw socket says in a protocol of streams. */
	if (d->h.protocol == IPPROTO_UDP && !d->h.fragment && skb->len > offset && skb->gso_segs <= 1) {
		if (size > ANSWER_MOST)
			lose_name(NAME_TOO_LONG);
		else if (!bpf_skb_load_bytes(skb, offset, r->bytes.b, load_size(size, ANSWER_MOST)))
			read = name_read(&r->bytes, number, size);
	}
	if (w->what)
		pass = judge_datagram(skb, sk, d, w, number, read);
	if (read && pass == PASS && sk->type != SOCK_RAW)
		name_asked(r);
	name_leave(r);
	return pass;
}

/* A datagram from a resolver. */
static __always_inline void name_answer(struct __sk_buff *skb, struct bpf_sock *sk, const struct datagram *d)
{
	u32 offset = d->h.length + UDP_HEADER, size = skb->len - offset;
	u32 number;
	struct name_room *r;

	if (skb->len <= offset || skb->gso_segs > 1)
		return;
	if (size > ANSWER_MOST) {
		lose_name(NAME_TOO_LONG);
		return;
	}
	number = name_enter();
	r = name_room(number);
	if (!r)
		return;
	fill_room(r, skb, sk, &d->source);
	if (!bpf_skb_load_bytes(skb, offset, r->bytes.b, load_size(size, ANSWER_MOST)))
		name_answered(&r->bytes, number, size,
			      r->asked.looped && is_forged(r->key.owner, &d->source, &d->destination));
	name_leave(r);
}

/* What may pass, and is no connection's. Verified by itself. */
__attribute__((noinline)) int watch_datagram(struct __sk_buff *skb, u32 egress, const struct asking *w)
{
	struct bpf_sock *sk = full_sock(skb);
	struct endpoint resolver = {};
	struct datagram d = {};
	bool raw;

	if (!sk || !w)
		return PASS;
	raw = sk->type == SOCK_RAW;
	if (raw && !egress)
		return PASS;
	read_datagram(skb, &d);
	if (egress && skb->ifindex == LOOPBACK_DEVICE && (raw || d.source.port == RESOLVER_PORT))
		note_forged(owner_of(bpf_sk_cgroup_id(sk)), &d.source, &d.destination, raw);
	if (!egress) {
		if (d.h.protocol == IPPROTO_UDP && d.source.port == RESOLVER_PORT)
			name_answer(skb, sk, &d);
		return PASS;
	}
	if (!raw && d.h.protocol == IPPROTO_UDP)
		name_resolver(sk, &d.destination, &resolver);
	if (w->what || resolver.port == RESOLVER_PORT)
		return name_question(skb, sk, &d, &resolver, w);
	return PASS;
}
