/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Source routes: the packet goes to a first hop that its socket does not show,
 * with the destination that was judged in an option. Any program may ask for one
 * (IP_OPTIONS, IPV6_RTHDR). While policies hold no socket of this host sends any.
 */
#pragma once

#include "skb_header.h"

#define IP_OPTION_LSRR 131
#define IP_OPTION_SSRR 137

#define ROUTING_HEADER 43

/*
 * RFC 791 §3.1. An octet that has a route's number anywhere among the options is
 * taken for one: to follow the options to it would be a loop that no verifier likes,
 * and hardly anybody else sends any.
 */
__attribute__((noinline)) int ipv4_routed(struct __sk_buff *skb, u32 header)
{
	u32 words = header / 4 - sizeof(struct ipv4) / 4, found = 0;

	for (u32 n = 0; n < 10; n++) {
		u8 o[4];

		if (n >= words)
			break;
		if (bpf_skb_load_bytes(skb, sizeof(struct ipv4) + n * 4, o, sizeof(o)))
			return 1;
		for (int i = 0; i < 4; i++)
			found |= ((u32)(o[i] ^ IP_OPTION_LSRR) - 1 | (u32)(o[i] ^ IP_OPTION_SSRR) - 1) >> 31;
	}
	return found;
}

/* RFC 8200 §4.4. A chain that does not end is taken for a route. */
__attribute__((noinline)) int ipv6_routed(struct __sk_buff *skb, u32 next)
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
