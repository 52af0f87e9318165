/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What all protocols of layer 7 share: what every socket has, and how a
 * connection gets to the program that reads its protocol.
 *
 * A connection between two sockets of this host is read once, at the client's
 * end, where every byte is seen in the order in which it was sent: that halves the
 * cost. The server's end finds the client's note in `pairs`, signs it, and is
 * left alone from then on.
 */
#pragma once

#include "event.h"
#include "segment.h"
#include "wire_l7.h"

#define L7_HANDED_LEN 2048 /* a hello with post-quantum keys has some 1,500 */
#define L7_TRIES 16
#define L7_HEAD 32 /* bytes kept of a stream's beginning until its protocol is known */

enum l7_flag {
	L7_OPAQUE = 1,	/* nothing to read here any more */
	L7_LOST = 2,	/* what is not read is counted */
	L7_DOUBT = 4,	/* what came is of no protocol; it is opaque once TCP took it */
	L7_NOTED = 8,	/* there is a note in l7_pairs */
	L7_HANDED = 16, /* the first bytes are in l7_handed */
	L7_MIDDLE = 32, /* it is read from its middle on: what is found is on probation */
};

/* On every TCP socket that had payload. */
struct l7_sock {
	u8 protocol; /* enum l7_protocol, once it is known */
	u8 flags;    /* enum l7_flag */
	u8 have;     /* bytes in head */
	u8 role;     /* enum sock_role: who asks */
	u32 asks;    /* sequence number of the first byte that the client sends, of those that are read */
	u32 answers; /* the same of the server */
	u32 tries;   /* segments that were looked at in mid-stream */
	u64 conn;    /* as flow.Socket's ConnID */
	u64 peer;    /* cgroup at the other end, where it has signed */
	u64 began;   /* when the first byte came */
	u8 head[L7_HEAD];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct l7_sock);
} l7_socks SEC(".maps");

/* A client's note that it reads a connection, and the server's signature. Keyed by ConnID. */
struct l7_pair {
	u64 server; /* cgroup, or L7_SELF; 0 until it signs */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct l7_pair);
} l7_pairs SEC(".maps");

/*
 * The first payload of a connection, where it met the listener because there was no
 * socket of its own yet: TCP_DEFER_ACCEPT, Fast Open, or an ACK that was lost. The
 * socket that is made of it picks it up. Keyed by ConnID.
 */
struct l7_handed {
	u64 began;
	u32 len;
	u32 protocol;
	u8 bytes[L7_HANDED_LEN + 128]; /* so that a window can be read at once, wherever it begins */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct l7_handed);
} l7_handed SEC(".maps");

/* Where it is put together: too big for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct l7_handed);
} l7_handing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct l7_cpu);
} l7_cpus SEC(".maps");

/* The programs that read a protocol, by enum l7_protocol. Their attach types differ, so each way has its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, L7_PROTOCOLS);
	__type(key, u32);
	__type(value, u32);
} l7_egress SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, L7_PROTOCOLS);
	__type(key, u32);
	__type(value, u32);
} l7_ingress SEC(".maps");

static __always_inline struct l7_cpu *l7_cpu(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&l7_cpus, &zero);
}

static __always_inline void l7_unseen(u8 protocol, u8 reason, u64 stretches, u64 bytes)
{
	struct l7_cpu *cpu = l7_cpu();
	u32 at = (protocol & (L7_PROTOCOLS - 1)) * UNSEEN_MAX + (reason & (UNSEEN_MAX - 1));

	if (!cpu)
		return;
	__sync_fetch_and_add(&cpu->unseen[at].stretches, stretches);
	__sync_fetch_and_add(&cpu->unseen[at].bytes, bytes);
}
