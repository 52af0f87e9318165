/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the kernel of a network namespace answers by itself: requests of ICMP,
 * which meet no socket, so that no hook of a cgroup sees them. The answer is
 * nobody's in particular. It is given only where every workload of the namespace
 * whose ingress is ruled would take the request.
 */
#pragma once

#include "device_frame.h"
#include <bpf/bpf_core_read.h>
#include <linux/pkt_cls.h>

#define PACKET_OTHERHOST 3 /* include/uapi/linux/if_packet.h */
#define VLAN_VID_MASK 0xfff

/* By the number of the namespace's inode. User space fills it before the program gets to a device there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, struct tenants);
} namespaces SEC(".maps");

/* Cheap, for all that is no ICMP. Behind extension headers it may be. */
static __always_inline bool may_be_icmp(struct __sk_buff *skb)
{
	u8 next = 0;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return !bpf_skb_load_bytes_relative(skb, 9, &next, 1, BPF_HDR_START_NET) && next == IPPROTO_ICMP;
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return !bpf_skb_load_bytes_relative(skb, 6, &next, 1, BPF_HDR_START_NET) && next != IPPROTO_TCP &&
		       next != IPPROTO_UDP;
	return false;
}

/* The link's header may be gone or not, whatever the device is. */
static __always_inline void read_inbound(struct __sk_buff *skb, struct frame *f)
{
	struct sk_buff *kernels = (void *)skb;
	u32 at = BPF_CORE_READ(kernels, head) + BPF_CORE_READ(kernels, network_header) - BPF_CORE_READ(kernels, data);

	f->kind = skb->protocol == bpf_htons(ETH_P_IP) ? read_v4(skb, at, f) : read_v6(skb, at, f);
	if (f->kind == FRAME_IP)
		read_transport(skb, f);
}

/*
 * RFC 2710, RFC 3810: who listens to which group. Without it a switch takes the
 * namespace's neighbours for nobody's.
 */
static __always_inline bool is_of_groups(u8 protocol, u8 type)
{
	return protocol == IPPROTO_ICMPV6 && ((type >= 130 && type <= 132) || type == 143);
}

static __always_inline bool is_request(struct __sk_buff *skb, const struct frame *f)
{
	u8 icmp = skb->protocol == bpf_htons(ETH_P_IP) ? IPPROTO_ICMP : IPPROTO_ICMPV6;

	if (f->kind == FRAME_ENDLESS)
		return true;
	/* Of a fragmented request the first part is refused: the rest comes to nothing. */
	if (f->kind != FRAME_IP || f->h.fragment || f->h.protocol != icmp)
		return false;
	return !icmp_answers(icmp, f->icmp_type) && !is_of_groups(icmp, f->icmp_type);
}

/* Whether the namespace routes it on: then it is not its kernel that answers. */
static __always_inline bool is_forwarded(struct __sk_buff *skb, const struct frame *f)
{
	struct bpf_fib_lookup p = {.ifindex = skb->ifindex};
	long found;

	if (is_v4(f->h.destination)) {
		p.family = AF_INET;
		__builtin_memcpy(&p.ipv4_src, f->h.source + 12, 4);
		__builtin_memcpy(&p.ipv4_dst, f->h.destination + 12, 4);
	} else {
		p.family = AF_INET6;
		__builtin_memcpy(p.ipv6_src, f->h.source, 16);
		__builtin_memcpy(p.ipv6_dst, f->h.destination, 16);
	}
	found = bpf_fib_lookup(skb, &p, sizeof(p), 0);
	return found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       found == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

/* Of several verdicts the heaviest stands. */
static __always_inline u32 weight(u32 verdict)
{
	switch (verdict) {
	case VERDICT_DENIED:
		return 3;
	case VERDICT_HELD:
		return 2;
	case VERDICT_AUDITED:
		return 1;
	}
	return 0;
}

/* The hardest of what the tenants say. Those whose verdict is `told` are told. */
__attribute__((noinline)) u32 ask(const struct tenants *t, struct question *q, u32 told)
{
	u32 hardest = VERDICT_PASSED;
	struct answer a = {};

	if (!t || !q)
		return VERDICT_DENIED;
#pragma clang loop unroll(disable)
	for (u32 n = 0; n < TENANTS; n++) {
		if (n >= t->count)
			break;
		q->cgroup = t->cgroups[n];
		judge(q, &a);
		if (!q->protocol)
			refuse_unread(q, &a);
		if (a.verdict == told)
			tell(q, &a);
		if (weight(a.verdict) > weight(hardest))
			hardest = a.verdict;
	}
	return hardest;
}

static __always_inline int inbound(struct __sk_buff *skb)
{
	struct question q = {.direction = DIRECTION_INGRESS};
	struct frame f = {};
	struct tenants *t;
	u32 inode, hardest;

	/* What is another station's, or a VLAN's, is not the kernel's here: for the VLAN's device it comes again. */
	if (!may_be_icmp(skb) || skb->pkt_type == PACKET_OTHERHOST ||
	    (skb->vlan_present && skb->vlan_tci & VLAN_VID_MASK))
		return TC_ACT_UNSPEC;
	read_inbound(skb, &f);
	if (!is_request(skb, &f) || is_forwarded(skb, &f))
		return TC_ACT_UNSPEC;
	inode = BPF_CORE_READ((struct sk_buff *)(void *)skb, dev, nd_net.net, ns.inum); /* skb is one, in the kernel */
	t = bpf_map_lookup_elem(&namespaces, &inode);
	if (!t)
		return TC_ACT_UNSPEC;
	/* Between namespaces of one bridge it still has the socket that it was sent by. */
	q.peer_cgroup = bpf_skb_cgroup_id(skb);
	__builtin_memcpy(q.addr, f.h.source, 16);
	if (f.kind == FRAME_IP) {
		q.protocol = f.h.protocol;
		q.port = f.icmp_type;
	}
	if (t->more) {
		struct answer a = {.verdict = VERDICT_DENIED, .peer = IDENTITY_UNKNOWN};

		q.cgroup = t->cgroups[0];
		tell(&q, &a);
		return TC_ACT_SHOT;
	}
	hardest = ask(t, &q, VERDICT_NONE);
	if (hardest == VERDICT_DENIED || hardest == VERDICT_AUDITED)
		ask(t, &q, hardest);
	return passes(hardest) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}
