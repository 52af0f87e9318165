/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections that asked what is refused. Nothing of them passes any more; what
 * still leaves goes as far as the device, where such devices are known, and is made
 * a reset for each end there: device_over.h. The client's gets in here.
 */
#pragma once

#include "turn.h"

#define TCP_FLAGS_AT 13

static __always_inline bool is_reset(struct __sk_buff *skb)
{
	u8 first, next, flags;
	u32 at;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, &first, 1))
			return false;
		at = (first & 15) * 4;
	} else {
		if (bpf_skb_load_bytes(skb, __builtin_offsetof(struct ipv6, next), &next, 1) || next != IPPROTO_TCP)
			return false;
		at = sizeof(struct ipv6);
	}
	return !bpf_skb_load_bytes(skb, at + TCP_FLAGS_AT, &flags, 1) && flags & TCP_FLAG_RST;
}

/*
 * What becomes of a segment of a connection that is denied: DROP, TURNS or PASS. Not
 * inlined: what the callers call besides needs the stack.
 */
static __noinline int over(struct __sk_buff *skb, const struct party *p, bool egress)
{
	if (p->asks != ASKED_REFUSED)
		return DROP;
	if (egress)
		return mark_turn(skb, p, TURN_RESET) ? TURNS : DROP;
	return is_reset(skb) ? PASS : DROP;
}
