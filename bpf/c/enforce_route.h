/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Source routes: the packet goes to a first hop that its socket does not show,
 * with the destination that was judged in an option. Any program may ask for one
 * (IP_OPTIONS, IPV6_RTHDR). While policies hold no socket of this host sends any.
 */
#pragma once

#include "skb_header.h"

#define IP_OPTION_END 0
#define IP_OPTION_NOP 1
#define IP_OPTION_LSRR 131
#define IP_OPTION_SSRR 137

#define ROUTING_HEADER 43

/* RFC 791 §3.1. Options that cannot be read are taken for a route. */
static __noinline int ipv4_routed(struct __sk_buff *skb, u32 header)
{
	u8 options[40] = {};
	u32 len = header - sizeof(struct ipv4), at = 0;

	if (len > sizeof(options))
		return 1;
	for (u32 n = 0; n < 10; n++) { /* they come in words of four */
		if (n * 4 >= len)
			break;
		if (bpf_skb_load_bytes(skb, sizeof(struct ipv4) + n * 4, options + n * 4, 4))
			return 1;
	}
	for (int n = 0; n < 40; n++) {
		u8 type, size;

		if (at >= len || at >= sizeof(options) - 1)
			return 0;
		type = options[at];
		if (type == IP_OPTION_LSRR || type == IP_OPTION_SSRR)
			return 1;
		if (type == IP_OPTION_END)
			return 0;
		if (type == IP_OPTION_NOP) {
			at++;
			continue;
		}
		size = options[at + 1];
		if (size < 2)
			return 1;
		at += size;
	}
	return 0;
}

/* RFC 8200 §4.4. A chain that does not end is taken for a route. */
static __noinline int ipv6_routed(struct __sk_buff *skb, u32 next)
{
	u32 at = sizeof(struct ipv6);
	u8 ext[8];

	for (int n = 0; n < MAX_EXTENSIONS; n++) {
		if (next != 0 && next != ROUTING_HEADER && next != 60 && next != 44)
			return 0;
		if (bpf_skb_load_bytes(skb, at, ext, sizeof(ext)))
			return 1;
		if (next == ROUTING_HEADER && ext[3]) /* segments left */
			return 1;
		at += next == 44 ? 8 : (ext[1] + 1) * 8;
		next = ext[0];
	}
	return 1;
}

static __always_inline bool source_routed(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u32 next;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ipv4 *ip = data;

		if ((void *)(ip + 1) > end)
			return true;
		if (ip->version_ihl == 0x45)
			return false;
		return ipv4_routed(skb, (ip->version_ihl & 15) * 4);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6 *ip = data;

		if ((void *)(ip + 1) > end)
			return true;
		next = ip->next;
		if (next == IPPROTO_TCP || next == IPPROTO_UDP || next == IPPROTO_ICMPV6)
			return false;
		return ipv6_routed(skb, next);
	}
	return false;
}
