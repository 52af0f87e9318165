/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where a TCP segment's payload is, and which bytes of the stream it has. RFC 9293 §3.1. */
#pragma once

#include "packet.h"

struct tcp_header {
	__be16 source;
	__be16 destination;
	__be32 seq;
	__be32 ack;
	u8 offset;
	u8 flags;
	__be16 window;
};

#define TCP_FLAG_SYN 2

struct segment {
	u32 seq; /* of the first byte of payload */
	u32 ack;
	u32 offset; /* of the payload in the packet */
	u32 len;    /* of the payload, which may be more than any packet on a wire has */
};

/* Headers are always in the linear part, payload is not. False where it is no plain TCP over IP. */
static __always_inline bool read_segment(struct __sk_buff *skb, struct segment *g)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct tcp_header *tcp;
	u32 at, header;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ipv4 *ip = data;

		if ((void *)(ip + 1) > end || ip->protocol != IPPROTO_TCP)
			return false;
		at = (ip->version_ihl & 15) * 4;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6 *ip = data;

		if ((void *)(ip + 1) > end || ip->next != IPPROTO_TCP)
			return false;
		at = sizeof(*ip);
	} else {
		return false;
	}
	tcp = data + at;
	if ((void *)(tcp + 1) > end)
		return false;
	header = at + (tcp->offset >> 4) * 4;
	if (header > skb->len)
		return false;
	g->seq = bpf_ntohl(tcp->seq);
	g->ack = bpf_ntohl(tcp->ack);
	if (tcp->flags & TCP_FLAG_SYN)
		g->seq++;
	g->offset = header;
	g->len = skb->len - header;
	return true;
}

/* When a segment came or went: TCP has just read the same clock for what leaves (tcp_wstamp_ns, include/linux/tcp.h).
 */
static __always_inline u64 segment_time(const struct __sk_buff *skb, bool egress)
{
	u64 now = egress ? skb->tstamp : 0;

	return now ? now : bpf_ktime_get_ns();
}

/*
 * n, at least 1 and at most max, a power of two, in a way that every verifier sees: 6.1
 * learns nothing from a comparison with zero.
 */
static __always_inline u32 load_size(u32 n, u32 max)
{
	n--;
	asm volatile("" : "+r"(n)); /* the compiler knows the range, and would leave the mask out */
	n &= max - 1;
	asm volatile("" : "+r"(n));
	return n + 1;
}
