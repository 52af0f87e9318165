/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The decision: one for audit and enforcement, for every hook. */
#pragma once

#include "consult.h"

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
static __always_inline void consult_names(const struct place *p, const struct question *q, u64 owner,
					  const struct matched *asked, struct answer *a)
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
			consult(p, slot >> 32, least, asked, a);
	}
}

/*
 * Docker's resolver, in the network of each container that has one, at ports that
 * change: a socket of the host's, so that its rules are those of the host at port 53.
 */
static __always_inline bool is_docker_resolver(const u8 *addr)
{
	return is_v4(addr) && *(const u32 *)(addr + 12) == bpf_htonl(0x7f00000b); /* 127.0.0.11 */
}

static __always_inline bool refuses(u32 rank)
{
	return rank == RANK_DENY || rank == RANK_DEFAULT_DENY;
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

/*
 * What a set says each way. NULL for one that is gone, which lets nothing pass; where
 * there is one, what it is was written down before.
 */
static __always_inline const struct rulings *rulings_of(u32 set)
{
	if (!bpf_map_lookup_elem(&port_sets, &set) || !bpf_map_lookup_elem(&sets, &set))
		return NULL;
	return bpf_map_lookup_elem(&ruled, &set);
}

static __always_inline const struct ruled_way *ruled_way(const struct rulings *r, u8 direction)
{
	if (!r)
		return NULL;
	return direction == DIRECTION_EGRESS ? &r->egress : &r->ingress;
}

/* Whether rules refuse nothing, nor would. */
static __always_inline bool refuses_nothing(const struct ruled_way *w)
{
	return w && w->ruling == RULED_NOT;
}

/*
 * A question of DNS that the peer is asked; asked is NULL where the connection
 * itself is judged. Not static: then it is verified once, and not at each call.
 */
__attribute__((noinline)) int judge_asked(const struct question *q, const struct matched *asked, struct answer *a)
{
	struct place p = {.set = SET_EVERYONE};
	struct regime *r = the_regime();
	u64 cgroup, peer_cgroup, owner;
	const struct ruled_way *way;
	struct member *m, *peer;
	bool looped = false;
	u32 flags = 0;

	if (!q || !a)
		return 0;
	__builtin_memset(a, 0, sizeof(*a));
	cgroup = q->cgroup;
	peer_cgroup = q->peer_cgroup;
	p.direction = q->direction;
	p.protocol = q->protocol;
	p.port = bpf_htons(q->port);
	m = bpf_map_lookup_elem(&members, &cgroup);
	if (m) {
		p.set = m->set;
		flags = m->flags;
	} else if (!r || r->shut) {
		a->verdict = VERDICT_DENIED;
		return 0;
	}
	a->verdict = VERDICT_PASSED;
	/* Within a network namespace of its own a workload speaks to itself and to those that share
	 * it: they are judged at the other end, where the socket tells who asks. */
	if (q->direction == DIRECTION_EGRESS && flags & MEMBER_OWN_NETWORK && is_loopback(q->addr)) {
		if (!is_docker_resolver(q->addr) || p.set == SET_HELD)
			return 0;
		looped = true;
		p.port = bpf_htons(RESOLVER_PORT);
	}
	if (p.set == SET_HELD) {
		a->verdict = VERDICT_HELD;
		return 0;
	}
	if (p.set == SET_EVERYONE && r)
		p.set = r->everyone;
	way = ruled_way(rulings_of(p.set), q->direction);
	if (refuses_nothing(way))
		return 0;
	owner = owner_by(m, cgroup);
	/* The socket tells better than the address, which others may share. */
	if (looped) {
		a->peer = IDENTITY_HOST;
	} else if (peer_cgroup) {
		peer = bpf_map_lookup_elem(&members, &peer_cgroup);
		if (owner_by(peer, peer_cgroup) == owner) /* what it says to itself is its own affair */
			return 0;
		a->peer = peer ? peer->identity : IDENTITY_UNKNOWN;
	} else {
		a->peer = identity_of_address(q->addr, q->noted);
	}
	consult(&p, a->peer, RANK_NONE, asked, a);
	if (way && way->plain)
		hear(&way->everyone, RANK_NONE, a);
	else
		consult(&p, IDENTITY_ANY, RANK_NONE, asked, a);
	if (q->direction == DIRECTION_EGRESS && r && r->names)
		consult_names(&p, q, owner, asked, a);
	if (looped && !(asked && a->asks)) /* nothing is said but of questions */
		return 0;
	if (refuses(a->enforced)) {
		a->verdict = VERDICT_DENIED;
		a->rule = a->enforced_rule;
	} else if (refuses(a->audited)) {
		a->verdict = VERDICT_AUDITED;
		a->rule = a->audited_rule;
	}
	return 0;
}

static __always_inline int judge(const struct question *q, struct answer *a)
{
	return judge_asked(q, NULL, a);
}

/* The same for what is not read, and may be any question. */
static __always_inline void judge_unread(struct question *q, struct answer *a)
{
	struct matched unread = {.names = 1, .identity = {ASKED_UNREAD}};

	q->name = NAME_UNREAD;
	judge_asked(q, &unread, a);
}

/*
 * What rules say of a workload, each way. Where they refuse nothing one way, judge_asked()
 * would find the same, whoever the peer is. NULL where something else refuses.
 */
static __always_inline const struct rulings *rulings_for(const struct regime *r, u64 cgroup)
{
	struct member *m = bpf_map_lookup_elem(&members, &cgroup);
	u32 set = m ? m->set : SET_EVERYONE;

	if (set == SET_HELD || (!m && r->shut))
		return NULL;
	return rulings_of(set == SET_EVERYONE ? r->everyone : set);
}

/* Whether nothing is refused to a workload, either way. */
static __always_inline bool is_free(const struct rulings *r)
{
	return refuses_nothing(ruled_way(r, DIRECTION_EGRESS)) && refuses_nothing(ruled_way(r, DIRECTION_INGRESS));
}

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
	return ruled_way(r, direction)->ruling;
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
	k.name = q->name;
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
