/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which names an address has for a workload: what resolvers answered it. A name
 * counts for connections that begin while the answer lives, as long as they live.
 */
#pragma once

#include "rule.h"
#include "wire_name.h"

#define RESOLVER_PORT 53
#define SECOND 1000000000ull
#define NAME_GRACE 5	/* seconds beyond an answer's TTL, so that what asked has time to connect */
#define NAME_MOST 86400 /* of TTL that is believed */

/* One table of patterns; another takes its place as a whole. */
struct name_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct name_state));
};

/* Patterns of names that open addresses, and of names that may be asked for. */
enum pattern_table {
	PATTERNS_OPEN = 0,
	PATTERNS_ASKED = 1,
	PATTERN_TABLES = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PATTERN_TABLES);
	__type(key, u32);
	__array(values, struct name_table);
} patterns SEC(".maps");

/* The longest unused goes when it is full: its workload has to ask again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct known_key);
	__type(value, struct known_names);
} known SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NAME_LOSSES);
	__type(key, u32);
	__type(value, u64);
} name_losses SEC(".maps");

static __always_inline void lose_name(u32 why)
{
	u64 *n = bpf_map_lookup_elem(&name_losses, &why);

	if (n)
		(*n)++;
}

static __always_inline u32 seconds_now(void)
{
	return bpf_ktime_get_boot_ns() / SECOND;
}

/* Whose a cgroup is: a container's own, for all that are below it. */
static __always_inline u64 owner_by(const struct member *m, u64 cgroup)
{
	return m && m->owner ? m->owner : cgroup;
}

/* Containers are what policy knows: what one process of it was answered is known to all of them, and to nobody else. */
static __always_inline u64 owner_of(u64 cgroup)
{
	return owner_by(bpf_map_lookup_elem(&members, &cgroup), cgroup);
}
