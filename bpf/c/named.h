/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The peer that the application named. NAT happens below the socket: egress sees
 * a packet after it, and so does ingress, in the other direction, so one flow
 * would have two keys (Docker's resolver at 127.0.0.11:53 is such a case). A
 * connected socket knows its peer; of others the last few are kept, so that two
 * threads that send to different peers at once are not taken for NAT.
 */
#pragma once

#include "sock.h"

static __always_inline bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	const u64 *x = (const void *)a->addr, *y = (const void *)b->addr;

	return a->port == b->port && !__builtin_memcmp(x, y, 16);
}

static __always_inline void remember_named(struct sock_info *i, const struct endpoint *peer)
{
	for (int n = 0; n < NAMED_PEERS; n++)
		if (same_endpoint(&i->named[n], peer))
			return;
	i->named[i->named_next++ & (NAMED_PEERS - 1)] = *peer;
}

/* Puts the named peer in the place of the one on the wire. */
static __always_inline void recall_named(const struct sock_info *i, struct endpoint *wire)
{
	for (int n = 0; n < NAMED_PEERS; n++)
		if (same_endpoint(&i->named[n], wire))
			return;
	if (i->named_next)
		*wire = i->named[(i->named_next - 1) & (NAMED_PEERS - 1)];
}
