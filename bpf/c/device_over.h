/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A segment of a connection that asked what is refused becomes two resets: one goes
 * on in its place, to the server, the other one back to the client, in the server's
 * name. Both numbers are what the ends expect. One that has missed something asks
 * for it (RFC 5961 §3.2), and what says so is answered alike.
 */
#pragma once

#include "device_turn.h"

#define TCP_CHECK 16
#define TCP_PLAIN (5 << 4) /* a header without options */
#define IPV4_CHECK 10

struct tcp_whole {
	struct tcp_header h;
	__be16 check;
	__be16 urgent;
};

/* The IP header at `ip` says that so many bytes are behind it. */
static __always_inline bool set_length(struct __sk_buff *skb, u32 ip, u32 header, u16 size)
{
	__be16 old, new;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		u32 at = ip + __builtin_offsetof(struct ipv4, total);

		new = bpf_htons(header + size);
		return !bpf_skb_load_bytes(skb, at, &old, 2) &&
		       !bpf_l3_csum_replace(skb, ip + IPV4_CHECK, old, new, 2) &&
		       !bpf_skb_store_bytes(skb, at, &new, 2, 0);
	}
	new = bpf_htons(size);
	return !bpf_skb_store_bytes(skb, ip + __builtin_offsetof(struct ipv6, payload), &new, 2, 0);
}

/*
 * Makes a reset of the segment at `at`; t is its header before and after. Its payload is gone first. The sum of what a
 * socket sends is the device's to do (CHECKSUM_PARTIAL): there is only that of the pseudo header yet, which has the
 * size. Were it otherwise nobody would take the reset for one.
 */
static __always_inline bool make_reset(struct __sk_buff *skb, u32 ip, u32 at, struct tcp_whole *t)
{
	u32 size = skb->len - at;

	if (bpf_skb_load_bytes(skb, at, t, sizeof(*t)) || bpf_skb_change_tail(skb, at + sizeof(*t), 0))
		return false;
	t->h.offset = TCP_PLAIN;
	t->h.flags = TCP_FLAG_RST | TCP_FLAG_ACK;
	t->h.window = t->urgent = 0;
	return !bpf_skb_store_bytes(skb, at, t, sizeof(*t), 0) &&
	       !bpf_l4_csum_replace(skb, at + TCP_CHECK, bpf_htonl(size), bpf_htonl(sizeof(*t)),
				    4 | BPF_F_PSEUDO_HDR) &&
	       set_length(skb, ip, at - ip, sizeof(*t));
}

/* How far a segment of so many bytes, header and all, takes the stream. */
static __always_inline u32 length_of(const struct tcp_header *h, u32 size)
{
	return size - (h->offset >> 4) * 4 + !!(h->flags & TCP_FLAG_FIN);
}

/*
 * At the far end of a cable: what should have been made a reset at this one has its
 * socket yet. It came past the program there, which somebody took away, or never saw.
 */
static __always_inline int came_past(struct __sk_buff *skb)
{
	struct regime *r = the_regime();
	struct bpf_sock *sk;
	struct party *p;

	if (!r || !r->names)
		return TC_ACT_UNSPEC;
	sk = full_sock(skb);
	if (!sk || sk->protocol != IPPROTO_TCP)
		return TC_ACT_UNSPEC;
	p = bpf_sk_storage_get(&parties, sk, 0, 0);
	return p && p->verdict == VERDICT_DENIED && p->asks == ASKED_REFUSED ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* Ends the connection of a marked segment. What cannot be made a reset is dropped: it must not go on. */
static __always_inline int end_both(struct __sk_buff *skb, const struct regime *r, bool ether)
{
	u32 ip = ether ? ETH_HEADER : 0, at = transport_at(skb, ip, IPPROTO_TCP), next;
	struct tcp_whole t;
	__be32 numbers[2];

	if (!at || bpf_skb_load_bytes(skb, at, &t, sizeof(t)))
		return TC_ACT_SHOT;
	next = bpf_ntohl(t.h.seq) + length_of(&t.h, skb->len - at);
	if (!make_reset(skb, ip, at, &t))
		return TC_ACT_SHOT;
	skb->mark = 0;
	/* Without memory for it the server's end waits for what its owner waits for; what it then says is answered. */
	bpf_clone_redirect(skb, skb->ifindex, 0);
	numbers[0] = t.h.ack;
	numbers[1] = bpf_htonl(next);
	if (bpf_skb_store_bytes(skb, at + __builtin_offsetof(struct tcp_header, seq), numbers, sizeof(numbers), 0))
		return TC_ACT_SHOT;
	return go_back(skb, r, ip, at, ether);
}
