/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who may speak to whom: the tables that policies are compiled to. User space
 * fills them and pins them, so that they outlive it; programs only read them.
 */
#pragma once

#include "wire_rule.h"
#include <bpf/bpf_helpers.h>

#define ENFORCE_RULES 65536 /* entries of one table of one set */
#define ENFORCE_SETS 4096

/* Who a cgroup belongs to, and which set of rules is its own. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct member);
} members SEC(".maps");

/* The same for containers that have no cgroup yet, by their 64 hexadecimal digits. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct container_id);
	__type(value, struct member);
} containers SEC(".maps");

/* Whose an address is; `addresses` has blocks of them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__uint(key_size, 16);
	__type(value, u32);
} hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct address_key);
	__type(value, u32);
} addresses SEC(".maps");

/*
 * The rules of one set: those for one port in a hash, since most are and it costs
 * the same however many there are, and the wider ones by their prefixes. A set
 * never changes: another takes a free place, and its members go there.
 */
struct port_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENFORCE_RULES);
	__uint(key_size, sizeof(struct port_key));
	__uint(value_size, sizeof(struct rule_value));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, ENFORCE_SETS);
	__type(key, u32);
	__array(values, struct port_table);
} port_sets SEC(".maps");

struct rule_table {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENFORCE_RULES);
	__uint(key_size, sizeof(struct rule_key));
	__uint(value_size, sizeof(struct rule_value));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, ENFORCE_SETS);
	__type(key, u32);
	__array(values, struct rule_table);
} sets SEC(".maps");

/*
 * What was denied, and what would be. There are two of it: user space has programs
 * write to the other one before it reads and empties one, so that nothing is counted
 * in what is gone.
 */
struct verdict_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct verdict_key);
	__type(value, struct verdict_value);
};

struct verdict_table verdicts SEC(".maps");
struct verdict_table verdicts_too SEC(".maps");

/* What is the same for all; see wire_rule.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct regime);
} regimes SEC(".maps");

static __always_inline struct regime *the_regime(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&regimes, &zero);
}
