/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What crosses to user space for `weir capture`, and its maps: none is shared with other units. */
#pragma once

#include "config.h"
#include "wire.h"
#include <bpf/bpf_helpers.h>

#define SNAP_PORTS 8
#define SNAP_RANGES 8

/* Which packets are wanted; user space sets it before it loads the programs. Zero is all. */
struct snap_filter {
	u64 base[SNAP_RANGES][2]; /* of a range of addresses, in the packet's byte order, IPv4 as ::ffff:a.b.c.d */
	u64 mask[SNAP_RANGES][2];
	u16 port[SNAP_PORTS]; /* any of them, at either end */
	u32 ranges;
	u8 ports;
	u8 protocol; /* IANA number, 0 is any */
	u16 reserved;
};

/* Before each packet in the ring; the bytes follow. */
struct snap_head {
	u64 time;
	u64 skb; /* the kernel's name for it, by which a drop finds its packet */
	u64 cookie;
	u64 cgroup;
	u32 len;      /* that the packet has: with segmentation offload more than any packet on a wire */
	u32 captured; /* of them, behind this header */
	u32 pid;      /* who opened the socket; 0 when that is not known */
	u32 reason;   /* why the kernel dropped it, for SNAP_DROP */
	u8 comm[COMM_LEN];
	u8 kind;
	u8 reserved[7];
};

enum snap_kind {
	SNAP_INGRESS = 0,
	SNAP_EGRESS = 1,
	SNAP_DROP = 2,
};

enum snap_loss {
	SNAP_LOSS_RING_FULL = 0,
	SNAP_LOSS_UNREADABLE = 1,
	SNAP_LOSS_MAX = 2,
};

_Static_assert(sizeof(struct snap_head) == 72, "snap_head");

/* Who opened a socket, and whether its packets are captured. An accepted socket inherits its listener's. */
struct snap_owner {
	u64 cookie; /* the socket's, 0 until its first packet was captured */
	u32 pid;
	u32 reserved;
	u8 comm[COMM_LEN];
};

/* Who listens at a port by MPTCP, as Go does: its packets are those of a socket that no file leads to. */
struct snap_listener {
	u64 cgroup;
	u32 pid;
	u16 port;
	u16 reserved;
	u8 comm[COMM_LEN];
};

_Static_assert(sizeof(struct snap_listener) == 32, "snap_listener");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct snap_owner);
} snap_owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} snaps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SNAP_LOSS_MAX);
	__type(key, u32);
	__type(value, u64);
} snap_losses SEC(".maps");

volatile const struct snap_filter wanted = {};
volatile const u32 snap_length = 65536;
