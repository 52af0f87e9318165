/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The decision: one for audit and enforcement, for every hook. */
#pragma once

#include "known.h"
#include <bpf/bpf_endian.h>

/* What is asked: may this workload speak to this peer, or be spoken to by it? */
struct question {
	u64 cgroup;
	u64 peer_cgroup; /* where the peer's socket is known; else 0 */
	u8 addr[16];	 /* the peer's */
	u16 port;	 /* the server's; the type of ICMP */
	u16 local_port;
	u16 remote_port;
	u8 protocol;
	u8 direction;
	u32 pid;
	u8 noted; /* a client of this host would have left a note */
	u8 reserved[3];
	u8 comm[16];
	u32 since; /* when it began: names that were known then count; 0 for now */
	u32 reserved2;
};

struct answer {
	u32 rule;
	u32 peer;
	u32 verdict; /* enum verdict */
	u32 enforced;
	u32 audited;
	u32 enforced_rule;
	u32 audited_rule;
};

static __always_inline bool is_v4(const u8 *addr)
{
	const u64 *high = (const void *)addr;
	const u32 *low = (const void *)(addr + 8);

	return *high == 0 && *low == bpf_htonl(0xffff);
}

static __always_inline bool is_loopback(const u8 *addr)
{
	const u64 *a = (const void *)addr;

	return is_v4(addr) ? addr[12] == 127 : a[0] == 0 && a[1] == bpf_cpu_to_be64(1);
}

static __always_inline u32 identity_of_address(const u8 *addr, bool noted)
{
	struct address_key k = {.bits = 128};
	u32 *identity;

	__builtin_memcpy(k.addr, addr, 16);
	identity = bpf_map_lookup_elem(&hosts, k.addr);
	if (!identity)
		identity = bpf_map_lookup_elem(&addresses, &k);
	if (!identity)
		return IDENTITY_WORLD;
	if (noted && *identity & ADDRESS_LOCAL)
		return IDENTITY_UNKNOWN;
	return *identity & ~ADDRESS_LOCAL;
}

/* Adds what the set says about one of the peer's identities, from a rank on. */
static __always_inline void consult(void *narrow, void *set, const struct question *q, u32 peer, u32 least,
				    struct answer *a)
{
	struct rule_key k = {
	    .bits = RULE_BITS,
	    .peer = peer,
	    .direction = q->direction,
	    .protocol = q->protocol,
	    .port = bpf_htons(q->port),
	};
	struct rule_value *v = bpf_map_lookup_elem(narrow, &k.peer);

	if (!v)
		v = bpf_map_lookup_elem(set, &k);
	if (!v)
		return;
	if (v->enforced >= least && v->enforced > a->enforced) {
		a->enforced = v->enforced;
		a->enforced_rule = v->enforced_rule;
	}
	if (v->audited >= least && v->audited > a->audited) {
		a->audited = v->audited;
		a->audited_rule = v->audited_rule;
	}
}

/*
 * Whoever runs a name's servers says which addresses it has. They must not say
 * that it is this machine, or its link: for these a name never opens anything.
 */
static __always_inline bool closed_to_names(const u8 *addr, u32 peer)
{
	const u64 *a = (const void *)addr;

	if (peer == IDENTITY_HOST || is_loopback(addr))
		return true;
	if (is_v4(addr))
		return addr[12] == 0 || addr[12] >= 224 || (addr[12] == 169 && addr[13] == 254);
	return (!a[0] && !a[1]) || addr[0] == 0xff || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80);
}

/* Adds what the set says about the names that the peer's address has for the workload. */
static __always_inline void consult_names(void *narrow, void *set, const struct question *q, u64 owner,
					  struct answer *a)
{
	struct known_key k = {.owner = owner};
	u32 since = q->since ? q->since : seconds_now();
	u32 least = closed_to_names(q->addr, a->peer) ? RANK_DENY : RANK_NONE;
	struct known_names *names;

	__builtin_memcpy(k.addr, q->addr, 16);
	names = bpf_map_lookup_elem(&known, &k);
	if (!names)
		return;
#pragma clang loop unroll(disable)
	for (u32 n = 0; n < NAMES_AT_ONCE; n++) {
		u64 slot = names->slots[n];

		if (slot && (u32)slot >= since)
			consult(narrow, set, q, slot >> 32, least, a);
	}
}

static __always_inline bool refuses(u32 rank)
{
	return rank == RANK_DENY || rank == RANK_DEFAULT_DENY;
}

/*
 * One table of one set. A set that is not there lets nothing pass: its tables were
 * never filled. Not static: then it is verified once, and not at each call.
 */
__attribute__((noinline)) int judge(const struct question *q, struct answer *a)
{
	struct regime *r = the_regime();
	u32 number = SET_EVERYONE, flags = 0;
	u64 cgroup, peer_cgroup, owner;
	struct member *m, *peer;
	void *narrow, *set;

	if (!q || !a)
		return 0;
	__builtin_memset(a, 0, sizeof(*a));
	cgroup = q->cgroup;
	peer_cgroup = q->peer_cgroup;
	m = bpf_map_lookup_elem(&members, &cgroup);
	if (m) {
		number = m->set;
		flags = m->flags;
	} else if (!r || r->shut) {
		a->verdict = VERDICT_DENIED;
		return 0;
	}
	a->verdict = VERDICT_PASSED;
	/* Within a network namespace of its own a workload speaks to itself and to those that share
	 * it: they are judged at the other end, where the socket tells who asks. */
	if (q->direction == DIRECTION_EGRESS && flags & MEMBER_OWN_NETWORK && is_loopback(q->addr))
		return 0;
	if (number == SET_HELD) {
		a->verdict = VERDICT_HELD;
		return 0;
	}
	if (number == SET_EVERYONE && r)
		number = r->everyone;
	narrow = bpf_map_lookup_elem(&port_sets, &number);
	set = bpf_map_lookup_elem(&sets, &number);
	if (!narrow || !set) {
		a->verdict = VERDICT_DENIED;
		return 0;
	}
	owner = owner_by(m, cgroup);
	/* The socket tells better than the address, which others may share. */
	if (peer_cgroup) {
		peer = bpf_map_lookup_elem(&members, &peer_cgroup);
		if (owner_by(peer, peer_cgroup) == owner) /* what it says to itself is its own affair */
			return 0;
		a->peer = peer ? peer->identity : IDENTITY_UNKNOWN;
	} else {
		a->peer = identity_of_address(q->addr, q->noted);
	}
	consult(narrow, set, q, a->peer, RANK_NONE, a);
	consult(narrow, set, q, IDENTITY_ANY, RANK_NONE, a);
	if (q->direction == DIRECTION_EGRESS && r && r->names)
		consult_names(narrow, set, q, owner, a);
	if (refuses(a->enforced)) {
		a->verdict = VERDICT_DENIED;
		a->rule = a->enforced_rule;
	} else if (refuses(a->audited)) {
		a->verdict = VERDICT_AUDITED;
		a->rule = a->audited_rule;
	}
	return 0;
}

/* How much a set of rules says of what its workloads send, and of what they are sent. */
enum ruling {
	RULED_NOT = 0,
	RULED_AUDITED = 1,
	RULED_ENFORCED = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ENFORCE_SETS);
	__type(key, u32);
	__type(value, struct rulings);
} ruled SEC(".maps");

static __always_inline u32 how_ruled(u64 cgroup, u8 direction)
{
	struct member *m = bpf_map_lookup_elem(&members, &cgroup);
	u32 set = m ? m->set : SET_EVERYONE;
	struct rulings *r;
	struct regime *now = the_regime();

	if (set == SET_HELD)
		return RULED_ENFORCED;
	if (set == SET_EVERYONE && now)
		set = now->everyone;
	r = bpf_map_lookup_elem(&ruled, &set);
	if (!r)
		return RULED_NOT;
	return direction == DIRECTION_EGRESS ? r->egress : r->ingress;
}

/* What cannot be read to its end may be whatever a rule refuses. */
__attribute__((noinline)) int refuse_unread(const struct question *q, struct answer *a)
{
	u32 r;

	if (!q || !a)
		return 0;
	r = how_ruled(q->cgroup, q->direction);
	if (a->verdict == VERDICT_PASSED && r != RULED_NOT)
		a->verdict = r == RULED_ENFORCED ? VERDICT_DENIED : VERDICT_AUDITED;
	return 0;
}

/* Counts a verdict that is worth a word. */
__attribute__((noinline)) int tell(const struct question *q, const struct answer *a)
{
	struct verdict_key k = {};
	struct verdict_value *v, first = {};
	struct regime *r = the_regime();
	void *table;

	if (!q || !a || !r)
		return 0;
	table = r->turn ? (void *)&verdicts_too : (void *)&verdicts;
	k.cgroup = q->cgroup;
	k.rule = a->rule;
	k.peer = a->peer;
	k.port = q->port;
	k.protocol = q->protocol;
	k.direction = q->direction;
	k.verdict = a->verdict;
	__builtin_memcpy(k.addr, q->addr, 16);
	v = bpf_map_lookup_elem(table, &k);
	if (!v) {
		first.count = 1;
		first.last = bpf_ktime_get_boot_ns();
		first.peer_cgroup = q->peer_cgroup;
		first.pid = q->pid;
		first.local_port = q->local_port;
		first.remote_port = q->remote_port;
		__builtin_memcpy(first.comm, q->comm, 16);
		if (!bpf_map_update_elem(table, &k, &first, BPF_NOEXIST))
			return 0;
		v = bpf_map_lookup_elem(table, &k); /* another processor was quicker */
	}
	if (v) {
		__sync_fetch_and_add(&v->count, 1);
		v->last = bpf_ktime_get_boot_ns();
		return 0;
	}
	__sync_fetch_and_add(&r->lost, 1);
	return 0;
}

static __always_inline bool passes(u32 verdict)
{
	return verdict != VERDICT_DENIED && verdict != VERDICT_HELD;
}

/* Asks, and tells what is refused. What is only audited is told when more comes of it, so that it counts once. */
static __always_inline bool may_begin(const struct question *q, struct answer *a)
{
	judge(q, a);
	if (a->verdict == VERDICT_DENIED)
		tell(q, a);
	return passes(a->verdict);
}

/* Asks and tells. True where it may pass. */
static __always_inline bool may_pass(const struct question *q, struct answer *a)
{
	judge(q, a);
	if (a->verdict == VERDICT_DENIED || a->verdict == VERDICT_AUDITED)
		tell(q, a);
	return passes(a->verdict);
}
