/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a DNS message is read, and what is known of it: too much for the stack.
 * Programs nest on one processor and may be preempted, so each takes a room that
 * nobody else is in.
 */
#pragma once

#include "l7.h"
#include "parse/dns.h"

#define DNS_ROOMS 4 /* per processor; a power of two */

struct dns_room {
	u32 taken;
	u32 at;	  /* where in the packet the rest of the message begins */
	u32 rest; /* bytes of it to come */
	u32 size; /* of the message */
	u64 now;
	/* Whose socket, and which: filled in by whoever takes the room. */
	u64 cookie;
	u64 conn;
	u64 cgroup;
	u64 peer; /* the other end's, where that is known beforehand */
	u32 netns;
	u32 pid;
	u8 comm[COMM_LEN];
	struct endpoint local;
	struct endpoint remote;
	u8 transport;
	u8 self;  /* weir's own */
	u8 known; /* that DNS is spoken here */
	u8 reserved[5];
	struct dns_state state;
	struct dns_out out;
	struct dns_capture capture;
	u8 window[DNS_WINDOW + PARSE_SLACK];
	/* The question: that which is asked, or that which was answered. */
	struct lookup_key key;
	struct lookup_value question;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DNS_ROOMS);
	__type(key, u32);
	__type(value, struct dns_room);
} dns_rooms SEC(".maps");

/* By its number, which functions that are verified by themselves take: 6.1 lets no map be asked with other pointers. */
static __always_inline struct dns_room *dns_room(u32 number)
{
	return bpf_map_lookup_elem(&dns_rooms, &number);
}

/* The number of a room, which is the caller's until dns_leave(); DNS_ROOMS if all are taken. */
static __always_inline u32 dns_enter(void)
{
	u32 n;

	for (n = 0; n < DNS_ROOMS; n++) {
		struct dns_room *r = dns_room(n);

		if (r && !__sync_val_compare_and_swap(&r->taken, 0, 1))
			break;
	}
	return n;
}

static __always_inline void dns_leave(struct dns_room *r)
{
	__sync_lock_test_and_set(&r->taken, 0);
}
