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

/* A room, whose number is left in *number, or NULL if all are taken. Leave it with dns_leave(). */
static __always_inline struct dns_room *dns_enter(u32 *number)
{
	for (u32 n = 0; n < DNS_ROOMS; n++) {
		struct dns_room *r;

		*number = n;
		r = bpf_map_lookup_elem(&dns_rooms, number);
		if (r && !__sync_val_compare_and_swap(&r->taken, 0, 1))
			return r;
	}
	return NULL;
}

static __always_inline void dns_leave(struct dns_room *r)
{
	__sync_lock_test_and_set(&r->taken, 0);
}
