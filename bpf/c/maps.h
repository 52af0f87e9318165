/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every map, shared by all units: user space creates each once and gives it to
 * the objects by name. Sizes are set from the configuration.
 */
#pragma once

#include "wire.h"
#include <bpf/bpf_helpers.h>

#define NAMED_PEERS 4 /* a power of two */

/* What weir knows of a socket beyond what the kernel keeps in it. */
struct sock_info {
	u64 start;
	u64 established;
	u64 reported; /* packets both ways at the last report, to leave out what did not change */
	u64 cgroup;
	u32 netns;
	u32 pid;
	u32 segs_in; /* last seen, to carry the kernel's 32-bit counters over */
	u32 segs_out;
	u32 carry_in;
	u32 carry_out;
	u8 role;
	u8 flags;
	u8 reserved[6];
	u8 comm[COMM_LEN];
	struct endpoint named[NAMED_PEERS]; /* of an unconnected UDP socket, see named.h */
	u32 named_next;
	u32 reserved2;
};

_Static_assert(sizeof(struct sock_info) <= 512, "optmem_max is 20,480 on 6.1");

/*
 * Freed with its socket. A child inherits its listener's copy (CLONE): owner and
 * marks come from whoever listens, the rest is set anew in SYN_RECV.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct sock_info);
} sockets SEC(".maps");

/* Connectionless flows. Not an LRU: that costs six times as much, and would lose in silence. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow_value);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct drop_key);
	__type(value, struct drop_value);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cpu_stats);
} stats SEC(".maps");
