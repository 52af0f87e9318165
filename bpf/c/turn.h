/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Questions of DNS that are refused so that who asks hears of it: the hook at the
 * socket lets them go with a mark, and the device's turns them round. Which devices
 * do, user space says: elsewhere they are dropped.
 */
#pragma once

#include "party.h"

#define TURN_CODE 15   /* of the mark: the code to answer with */
#define TURN_RESET 14  /* in its place: of a connection, which is to be reset */
#define TURN_TURNED 15 /* in its place: this is the answer */

#define TCP_FLAG_FIN 1
#define TCP_FLAG_RST 4
#define TCP_FLAG_ACK 16

/* A device, by the cookie of its network namespace, which no other one ever has. */
struct turner_key {
	u64 netns;
	u32 device;
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct turner_key);
	__type(value, u32);
} turners SEC(".maps");

/* Marks what is to be turned round into an answer with a code, or into a reset. False where it must be dropped. */
static __always_inline bool mark_turn(struct __sk_buff *skb, const struct party *p, u32 code)
{
	struct turner_key k = {.device = skb->ifindex};
	struct regime *r = the_regime();

	if (!p || !r || !r->mark || !code || code >= TURN_TURNED)
		return false;
	k.netns = p->netns;
	if (!bpf_map_lookup_elem(&turners, &k))
		return false;
	skb->mark = r->mark | code;
	return true;
}
