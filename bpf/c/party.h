/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who is at the other end, by socket. Addresses are translated and shared; a
 * client that is a socket of this host leaves a note under what no translation
 * changes, and the server's end finds it.
 */
#pragma once

#include "judge.h"
#include "segment.h"

#define PASS 1
#define DROP 0
#define LOOPBACK_DEVICE 1 /* in every network namespace: include/net/flow.h, LOOPBACK_IFINDEX */
#define TURNS 3		  /* passes, to be answered by the device */
#define ASKS 2		  /* passes, unless it has a question of DNS that is refused */

enum party_role {
	PARTY_UNKNOWN = 0,
	PARTY_CLIENT = 1,
	PARTY_SERVER = 2,
};

/* What is no full socket answers for one that was judged: SYN-ACKs, resets, TIME_WAIT. */
static __always_inline struct bpf_sock *full_sock(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk ? bpf_sk_fullsock(sk) : NULL;
}

#define ASKED_REFUSED 2 /* of party.asks, beside VERDICT_DENIED: a question of the connection was refused */

/* What was decided about a socket, and what is needed to decide again. */
struct party {
	u64 generation; /* of the regime under which `verdict` holds */
	u64 cgroup;	/* its creator's */
	u64 peer_cgroup;
	u64 netns;	/* the cookie of its network namespace; 0 where that is unknown */
	u64 sent_under; /* generation under which sendmsg last let a datagram pass */
	u32 pid;
	u8 role;
	u8 verdict;
	u8 older; /* than the programs */
	u8 asks;  /* each question of DNS is judged too */
	u8 comm[16];
	u64 named_under; /* generation under which connect(2) was let have the peer `named`; 0 where that tells nothing
			  */
	struct endpoint named __attribute__((aligned(8)));
	u32 since;  /* the second of CLOCK_BOOTTIME in which a client began it; 0 where that is unknown */
	u32 number; /* the sequence number of the SYN with which a client began it */
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE); /* what is accepted is as its listener says: see knock() */
	__type(key, int);
	__type(value, struct party);
} parties SEC(".maps");

/* Who sends datagrams from an address. */
struct datagram_note {
	u64 cgroup; /* DATAGRAM_SHARED where there are several */
	u64 time;
};

#define DATAGRAM_SHARED (~0ull)
#define DATAGRAM_NOTE_LIFE (60 * 1000000000ull)

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct endpoint);
	__type(value, struct datagram_note);
} datagram_notes SEC(".maps");

/* A conversation of datagrams of one socket with one peer: who began it, and what was decided. */
struct talk_key {
	u64 cookie;
	struct endpoint peer;
	u32 protocol;
};

struct talk {
	u64 generation;
	u8 role;
	u8 verdict;
	u8 asks; /* each question of DNS is judged too */
	u8 reserved;
	u32 since; /* the second of CLOCK_BOOTTIME in which it began */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct talk_key);
	__type(value, struct talk);
} talks SEC(".maps");

static __always_inline void read_remote(struct bpf_sock *sk, u8 *addr)
{
	if (sk->family == AF_INET) {
		u32 v4 = sk->dst_ip4;

		addr[10] = addr[11] = 0xff;
		__builtin_memcpy(addr + 12, &v4, 4);
	} else {
		u32 v6[4] = {sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2], sk->dst_ip6[3]};

		__builtin_memcpy(addr, v6, 16);
	}
}

static __always_inline bool same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && !__builtin_memcmp(a->addr, b->addr, 16);
}

/* The question whether a client may speak to its peer, without the peer. */
static __always_inline void ask_for(struct question *q, struct bpf_sock *sk, const struct party *p)
{
	q->cgroup = bpf_sk_cgroup_id(sk);
	q->direction = DIRECTION_EGRESS;
	q->local_port = sk->src_port;
	if (p) {
		q->pid = p->pid;
		q->since = p->since;
		__builtin_memcpy(q->comm, p->comm, 16);
	}
}

static __always_inline void note_datagram(const struct endpoint *source, u64 cgroup)
{
	struct datagram_note *n = bpf_map_lookup_elem(&datagram_notes, source), fresh = {.cgroup = cgroup};
	u64 now = bpf_ktime_get_ns();

	if (n && now - n->time < DATAGRAM_NOTE_LIFE) {
		if (n->cgroup != cgroup)
			n->cgroup = DATAGRAM_SHARED;
		n->time = now;
		return;
	}
	fresh.time = now;
	bpf_map_update_elem(&datagram_notes, source, &fresh, BPF_ANY);
}

static __always_inline u64 whose_datagram(const struct endpoint *source)
{
	struct datagram_note *n = bpf_map_lookup_elem(&datagram_notes, source);

	if (!n || n->cgroup == DATAGRAM_SHARED || bpf_ktime_get_ns() - n->time > DATAGRAM_NOTE_LIFE)
		return 0;
	return n->cgroup;
}
