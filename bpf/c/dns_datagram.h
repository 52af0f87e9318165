/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which flows of datagrams are DNS, told by content: a flow is when a whole query
 * was read of it, in either direction. Until then the first few datagrams are
 * looked at; a flow that had none that begins like a query costs a comparison from
 * then on.
 */
#pragma once

#include "dns_room.h"

#define DNS_DOUBTS 4
#define DNS_LEAST 17 /* bytes of a query: header, root, type, class */

/* mDNS and LLMNR look the same, but ask everybody: who does not answer owes nothing. */
static __always_inline bool dns_multicast(const struct endpoint *e)
{
	return e->addr[0] == 0xff || (!e->addr[0] && e->addr[10] == 0xff && e->addr[12] >= 224);
}

static __always_inline bool dns_looks(struct __sk_buff *skb, const struct flow_key *k, u32 offset, u32 len)
{
	u8 head[16] = {};

	if (len < DNS_LEAST || skb->gso_segs > 1 || dns_multicast(&k->local) || dns_multicast(&k->remote))
		return false;
	return !bpf_skb_load_bytes(skb, offset, head, sizeof(head)) && dns_detect(head, sizeof(head)) == DNS_IS_QUERY;
}

/* A datagram whose payload begins at offset. May not return: lookup.bpf.c goes on in its place. */
static __always_inline void dns_datagram(struct __sk_buff *skb, const struct flow_key *k, struct flow_value *v,
					 u32 offset, bool egress)
{
	u32 len = skb->len - offset, number;
	struct dns_room *r;

	if (v->doubts >= DNS_DOUBTS || skb->len <= offset)
		return;
	if (v->protocol != L7_DNS && !dns_looks(skb, k, offset, len)) {
		v->doubts++;
		return;
	}
	number = dns_enter();
	r = dns_room(number);
	if (!r) {
		l7_unseen(L7_DNS, UNSEEN_BUSY, 1, len);
		return;
	}
	r->at = offset;
	r->rest = r->size = len;
	r->cookie = k->cookie;
	r->conn = r->peer = 0;
	r->local = k->local;
	r->remote = k->remote;
	r->cgroup = v->cgroup;
	r->netns = v->netns;
	r->pid = v->pid;
	__builtin_memcpy(r->comm, v->comm, COMM_LEN);
	r->transport = IPPROTO_UDP;
	r->self = v->flags & FLAG_SELF;
	r->known = v->protocol == L7_DNS;
	skb->cb[0] = number;
	if (egress)
		bpf_tail_call(skb, &l7_egress, L7_DNS);
	else
		bpf_tail_call(skb, &l7_ingress, L7_DNS);
	/* There is no such program. */
	dns_leave(r);
	v->doubts = DNS_DOUBTS;
}
