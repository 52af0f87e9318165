// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What goes past the IP stack: frames of packet sockets, which no hook of a
 * cgroup sees, are judged at the device; and what goes past the device's hook too
 * is refused where it is asked for. The maps are those of enforce.bpf.c.
 */
#include "device_inbound.h"
#include "device_over.h"
#include "syn_note.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define NO_CGROUP (~0ull) /* a peer whom nobody knows */

const enum ruling ruling_type __attribute__((unused));
const struct tenants *tenants_type __attribute__((unused));

#define SOL_PACKET 263
#define SOL_XDP 283
#define PACKET_QDISC_BYPASS 20

/*
 * Addresses of local clients can be forged in a frame. What the other end is told
 * of who sent it is told by socket, as for any other packet.
 */
static __always_inline void leave_notes(const struct frame *f, u64 cgroup)
{
	if (f->h.fragment)
		return;
	if (f->h.protocol == IPPROTO_UDP) {
		struct endpoint source = f->source;

		note_datagram(&source, cgroup);
	} else if (f->h.protocol == IPPROTO_TCP && f->flags & TCP_FLAG_SYN) {
		note_syn(f->seq, cgroup, &f->source, &f->destination);
	}
}

/* Whether ARP says of its sender what is true: its own address, or that it has none yet. */
static __always_inline bool arp_is_honest(const struct frame *f, u64 cgroup)
{
	struct member *m = bpf_map_lookup_elem(&members, &cgroup);
	const u32 *sender = (const void *)(f->source.addr + 12);
	u32 identity;

	if (!m)
		return false;
	if (!*sender)
		return true;
	identity = identity_of_address(f->source.addr, false);
	return identity == m->identity || (identity == IDENTITY_HOST && !(m->flags & MEMBER_OWN_NETWORK));
}

static __always_inline bool nobodys(const struct frame *f, u32 device)
{
	/* A loopback address on a wire is for a neighbour that takes it for its own (route_localnet). */
	return f->kind != FRAME_IP || (device != LOOPBACK_DEVICE && is_loopback(f->h.destination));
}

/* Judges a frame as what its cgroup says to whom it is for. */
static __always_inline void judge_frame(const struct frame *f, struct question *q, struct answer *a, u32 device)
{
	q->direction = DIRECTION_EGRESS;
	if (nobodys(f, device)) {
		q->peer_cgroup = NO_CGROUP;
		judge(q, a);
		q->peer_cgroup = 0;
	}
	q->protocol = f->h.protocol;
	q->local_port = f->source.port;
	q->remote_port = f->destination.port;
	q->port = q->protocol == IPPROTO_ICMP || q->protocol == IPPROTO_ICMPV6 ? f->icmp_type : f->destination.port;
	__builtin_memcpy(q->addr, f->destination.addr, 16);
	if (!nobodys(f, device)) {
		judge(q, a);
		if (a->asks && a->verdict != VERDICT_DENIED)
			judge_unread(q, a);
	} else if (f->kind == FRAME_ARP) /* the address that is claimed */
		__builtin_memcpy(q->addr, f->source.addr, 16);
	if (f->kind == FRAME_ENDLESS)
		refuse_unread(q, a);
}

/* Packets of inet sockets were judged in the IP stack. Some are to be answered here. */
static __always_inline int judged(struct __sk_buff *skb, bool ether)
{
	struct regime *r = the_regime();

	if (!r || !r->mark || (skb->mark & ~TURN_CODE) != r->mark || !full_sock(skb))
		return TC_ACT_UNSPEC;
	return (skb->mark & TURN_CODE) == TURN_RESET ? end_both(skb, r, ether) : turn_round(skb, r, ether);
}

/* Frames of inet sockets were judged in the IP stack, those of no socket are not a workload's. */
static __always_inline int frame(struct __sk_buff *skb, bool ether, bool far)
{
	struct bpf_sock *sk = skb->sk;
	struct question q = {};
	struct frame f = {};
	struct answer a = {};

	if (!sk)
		return TC_ACT_UNSPEC;
	if (sk->family == AF_INET || sk->family == AF_INET6)
		return far ? came_past(skb) : judged(skb, ether);
	if (!bpf_sk_fullsock(sk))
		return TC_ACT_UNSPEC;
	q.cgroup = bpf_skb_cgroup_id(skb);
	read_frame(skb, &f, ether);
	judge_frame(&f, &q, &a, skb->ifindex);
	if (a.verdict == VERDICT_HELD)
		return TC_ACT_SHOT;
	if (a.verdict == VERDICT_DENIED || a.verdict == VERDICT_AUDITED) {
		if (f.kind == FRAME_ARP && arp_is_honest(&f, q.cgroup))
			return TC_ACT_UNSPEC;
		/* What is only audited was told where it began. */
		if (!far || a.verdict == VERDICT_DENIED)
			tell(&q, &a);
	}
	if (a.verdict == VERDICT_DENIED)
		return TC_ACT_SHOT;
	if (f.kind == FRAME_IP)
		leave_notes(&f, q.cgroup);
	return TC_ACT_UNSPEC;
}

/* tcx/egress or clsact, of devices whose frames begin as Ethernet's do. */
SEC("tc")
int device_ether(struct __sk_buff *skb)
{
	return frame(skb, true, false);
}

/* The same, of devices whose frames begin with IP, or with what nobody here can read. */
SEC("tc")
int device_bare(struct __sk_buff *skb)
{
	return frame(skb, false, false);
}

/*
 * tcx/ingress or clsact, of the host's ends of cables that lead to other network
 * namespaces: a frame still has the socket that sent it. What was judged where it
 * began is judged alike. What went past the hook there, or was sent before there
 * was a program, is judged here alone.
 */
SEC("tc")
int device_far(struct __sk_buff *skb)
{
	return frame(skb, true, true);
}

/* tcx/ingress or clsact, of all devices but lo, in namespaces of ruled workloads that are not the host's. */
SEC("tc")
int device_inbound(struct __sk_buff *skb)
{
	return inbound(skb);
}

/* tcx/ingress or clsact, of lo, in namespaces of workloads whose refused questions are answered. */
SEC("tc")
int device_turned(struct __sk_buff *skb)
{
	return arrive_turned(skb);
}

/* PACKET_QDISC_BYPASS and AF_XDP go past the device's hook too. */
static __always_inline bool goes_past(struct bpf_sockopt *ctx)
{
	int *value = ctx->optval;

	if (ctx->level == SOL_XDP)
		return true;
	if (ctx->level != SOL_PACKET || ctx->optname != PACKET_QDISC_BYPASS)
		return false;
	return (void *)(value + 1) <= ctx->optval_end && *value;
}

/* At the cgroup root, for setsockopt(2) of everybody. */
SEC("cgroup/setsockopt")
int device_setsockopt(struct bpf_sockopt *ctx)
{
	struct question q = {.direction = DIRECTION_EGRESS};
	struct answer a = {.peer = IDENTITY_UNKNOWN};
	u32 ruled;

	if (!goes_past(ctx)) {
		/* An option of more than a page is not all here: the kernel shall take the caller's own. */
		if (ctx->optlen > ctx->optval_end - ctx->optval)
			ctx->optlen = 0;
		return 1;
	}
	q.cgroup = bpf_get_current_cgroup_id();
	ruled = how_ruled(q.cgroup, DIRECTION_EGRESS);
	if (ruled == RULED_NOT)
		return 1;
	a.verdict = ruled == RULED_ENFORCED ? VERDICT_DENIED : VERDICT_AUDITED;
	q.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(q.comm, sizeof(q.comm));
	tell(&q, &a);
	return ruled != RULED_ENFORCED;
}
