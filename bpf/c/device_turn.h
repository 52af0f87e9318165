/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A refused question becomes its own answer: addresses and ports swapped, the
 * code set, all else as it was asked. It goes back to the device as if it had
 * come from there, without the question's track, so that what translated the
 * question's addresses translates the answer's. A loopback address that arrives
 * without a route is dropped: by lo it is sent once more, which gives it one.
 */
#pragma once

#include "device_frame.h"
#include "turn.h"
#include <linux/pkt_cls.h>

#define UDP_CHECK 6
#define UDP_SIZE 8
#define DNS_FLAGS 2 /* in a message */

/* Exchanges two fields of n bytes, at most 16, the first of which is at `at`. */
static __always_inline bool swap_fields(struct __sk_buff *skb, u32 at, const u32 n)
{
	u8 b[32];

	return !bpf_skb_load_bytes(skb, at, b, 2 * n) && !bpf_skb_store_bytes(skb, at, b + n, n, 0) &&
	       !bpf_skb_store_bytes(skb, at + n, b, n, 0);
}

/* RFC 1035 §4.1.1: a response, with recursion; opcode, RD and CD (RFC 4035 §3.2.2) as they were asked. */
static __always_inline bool set_code(struct __sk_buff *skb, u32 udp, u32 code)
{
	u32 at = udp + UDP_SIZE + DNS_FLAGS;
	u8 old[2], new[2];
	u16 from, to;

	if (bpf_skb_load_bytes(skb, at, old, 2))
		return false;
	new[0] = 0x80 | (old[0] & 0x79);
	new[1] = 0x80 | (old[1] & 0x10) | code;
	__builtin_memcpy(&from, old, 2);
	__builtin_memcpy(&to, new, 2);
	return !bpf_l4_csum_replace(skb, udp + UDP_CHECK, from, to, 2 | BPF_F_MARK_MANGLED_0) &&
	       !bpf_skb_store_bytes(skb, at, new, 2, 0);
}

/* Where the header of UDP or TCP is; 0 where there is none that could be turned. */
static __always_inline u32 transport_at(struct __sk_buff *skb, u32 ip, u8 protocol)
{
	u8 first, next;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, ip, &first, 1) ||
		    bpf_skb_load_bytes(skb, ip + __builtin_offsetof(struct ipv4, protocol), &next, 1) ||
		    next != protocol)
			return 0;
		return ip + (first & 15) * 4;
	}
	if (bpf_skb_load_bytes(skb, ip + __builtin_offsetof(struct ipv6, next), &next, 1) || next != protocol)
		return 0;
	return ip + sizeof(struct ipv6);
}

/* Sends a packet back by the device, as if it came from whom it was for. What cannot be sent back is dropped. */
static __always_inline int go_back(struct __sk_buff *skb, const struct regime *r, u32 ip, u32 transport, bool ether)
{
	bool swapped;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		swapped = swap_fields(skb, ip + __builtin_offsetof(struct ipv4, source), 4);
	else
		swapped = swap_fields(skb, ip + __builtin_offsetof(struct ipv6, source), 16);
	if (!swapped || !swap_fields(skb, transport, 2) || (ether && !swap_fields(skb, 0, 6)))
		return TC_ACT_SHOT;
	skb->mark = skb->ifindex == LOOPBACK_DEVICE ? r->mark | TURN_TURNED : 0;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/* Turns a marked question round. What cannot be is dropped: it must not go on. */
static __always_inline int turn_round(struct __sk_buff *skb, const struct regime *r, bool ether)
{
	u32 ip = ether ? ETH_HEADER : 0, code = skb->mark & TURN_CODE, udp = transport_at(skb, ip, IPPROTO_UDP);

	if (!udp || !set_code(skb, udp, code))
		return TC_ACT_SHOT;
	return go_back(skb, r, ip, udp, ether);
}

/* What go_back() sent comes by lo: it goes that way again, with a route. */
static __always_inline int arrive_turned(struct __sk_buff *skb)
{
	struct regime *r = the_regime();

	if (!r || !r->mark || skb->mark != (r->mark | TURN_TURNED))
		return TC_ACT_UNSPEC;
	skb->mark = 0;
	return bpf_redirect_neigh(LOOPBACK_DEVICE, NULL, 0, 0);
}
