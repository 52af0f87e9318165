/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What workloads were let connect to of late: most say the same peer again and again.
 * An answer is found in one place here, which takes a third of what the tables take.
 * It holds under the regime under which it was given, and while no rule is about
 * names, whose answers end by themselves. What is worth a word, or asks more, is never
 * here.
 */
#pragma once

#include "syn_note.h"

struct recent {
	struct bpf_spin_lock lock;
	u32 port;
	u64 generation;
	u64 cgroup;
	u8 addr[16] __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096); /* a power of two */
	__type(key, u32);
	__type(value, struct recent);
} recents SEC(".maps");

/* The place of a question about TCP. */
static __always_inline struct recent *recent_of(const struct question *q)
{
	const u64 *addr = (const void *)q->addr;
	u64 h =
	    (q->cgroup ^ addr[0] ^ addr[1] * 0x9e3779b97f4a7c15ull ^ q->port) * 0x9e3779b97f4a7c15ull; /* 2^64 / phi */
	u32 at = (h >> 32) & (((struct bpf_map *)&recents)->max_entries - 1);

	return bpf_map_lookup_elem(&recents, &at);
}

static __always_inline bool same_question(const struct recent *p, const struct question *q)
{
	return p->cgroup == q->cgroup && p->port == q->port && !__builtin_memcmp(p->addr, q->addr, 16);
}

/* Whether it was passed under this regime; then the answer is as it was. */
static __always_inline bool passed_lately(struct recent *p, const struct question *q, u64 generation, struct answer *a)
{
	bool found;

	bpf_spin_lock(&p->lock);
	found = p->generation == generation && same_question(p, q);
	bpf_spin_unlock(&p->lock);
	if (!found)
		return false;
	__builtin_memset(a, 0, sizeof(*a));
	a->verdict = VERDICT_PASSED;
	return true;
}

static __always_inline void note_recent(struct recent *p, const struct question *q, u64 generation)
{
	bpf_spin_lock(&p->lock);
	p->generation = generation;
	p->cgroup = q->cgroup;
	__builtin_memcpy(p->addr, q->addr, 16);
	p->port = q->port;
	bpf_spin_unlock(&p->lock);
}

/* As may_begin(), for what a process begins by TCP. */
static __always_inline bool may_begin_again(const struct regime *r, u64 generation, const struct question *q,
					    struct answer *a)
{
	struct recent *p = r->names || q->protocol != IPPROTO_TCP ? NULL : recent_of(q);
	bool pass;

	if (p && passed_lately(p, q, generation, a))
		return true;
	pass = may_begin(q, a);
	if (p && a->verdict == VERDICT_PASSED && !a->asks)
		note_recent(p, q, generation);
	return pass;
}
