/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* How an exchange is counted, and whether it is told in full. */
#pragma once

#include "l7.h"

/* Else the compiler leaves out what these types are, as nothing but the inner map names them. */
const struct exchange_key *exchange_key_type __attribute__((unused));
const struct exchange_value *exchange_value_type __attribute__((unused));

struct exchange_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct exchange_key);
	__type(value, struct exchange_value);
};

enum exchange_table {
	EXCHANGES_ALL = 0,
	EXCHANGES_REST = 1, /* those for which there was no room, without their operations: fewer keys */
	EXCHANGES_TABLES = 2,
};

const enum exchange_table exchange_table_type __attribute__((unused));

/*
 * Exchanges since the last reading. There are two, and user space changes them for
 * each reading: the kernel returns from that when no program uses the old one any
 * more, which is then read and emptied at leisure. So no count is ever lost.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EXCHANGES_TABLES);
	__type(key, u32);
	__array(values, struct exchange_map);
} exchanges SEC(".maps");

/* Operations that were told in full not long ago: user space empties it once a minute. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u8);
} operations SEC(".maps");

/* Tells of exchanges in full per second and processor, for each enum l7_why. */
volatile const u64 l7_interval = 5000000;
volatile const u64 l7_burst = 500000000; /* as time: this many ns of the interval may be used at once */
volatile const u64 l7_slow = 500000000;	 /* ns from which an exchange is slow */

/*
 * The bucket of a latency: 8 to an octave, the bounds of Prometheus' native
 * histograms of schema 3. In units of 2^-30 s they are powers of 2^(1/8).
 */
static __always_inline u16 l7_bucket(u64 ns)
{
	u64 units = ns + (ns * 77324 >> 20), mantissa, n = 0, v;
	/* 2^(k/8), 16 bits behind the point */
	const u32 bound[8] = {65536, 71468, 77936, 84990, 92682, 101070, 110218, 120194};
	u32 above = 0;

	if (ns >> 40)
		return 8 * 40; /* above 17 minutes */
	v = units;
	if (v >> 32) {
		n += 32;
		v >>= 32;
	}
	if (v >> 16) {
		n += 16;
		v >>= 16;
	}
	if (v >> 8) {
		n += 8;
		v >>= 8;
	}
	if (v >> 4) {
		n += 4;
		v >>= 4;
	}
	if (v >> 2) {
		n += 2;
		v >>= 2;
	}
	n += v >> 1 & 1;
	mantissa = n > 16 ? units >> (n - 16) : units << (16 - n);
#pragma unroll
	for (int k = 0; k < 8; k++)
		above += mantissa > bound[k];
	return 8 * n + above;
}

/* Whether one more of this kind may be told: one in an interval, after a burst. */
static __always_inline bool l7_afford(struct l7_cpu *cpu, u8 protocol, u8 why, u64 now)
{
	u32 at = (protocol & (L7_PROTOCOLS - 1)) * WHY_ROW + (why & (WHY_ROW - 1));
	u64 due = cpu->due[at];

	if (due > now + l7_burst)
		return false;
	cpu->due[at] = (due > now ? due : now) + l7_interval;
	return true;
}

/* The sum of a key, made where there is room; else NULL. */
static __always_inline struct exchange_value *l7_sum(u32 table, const struct exchange_key *k, bool *first)
{
	static const struct exchange_value none = {}; /* not on the stack, which is short */
	void *counts = bpf_map_lookup_elem(&exchanges, &table);
	struct exchange_value *sum;

	if (!counts)
		return NULL;
	sum = bpf_map_lookup_elem(counts, k);
	if (sum)
		return sum;
	*first = true;
	bpf_map_update_elem(counts, k, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(counts, k);
}

/* Adds to the counts; true if it is the first of its kind since the last reading. The key is the caller's as it was. */
static __always_inline bool l7_add(struct exchange_key *k, const struct exchange_value *v)
{
	bool first = false;
	struct exchange_value *sum = l7_sum(EXCHANGES_ALL, k, &first);

	if (!sum) {
		u64 operation = k->operation;

		/* What was asked for is lost. */
		count_loss(LOSS_EXCHANGE_TABLE_FULL);
		k->operation = 0;
		sum = l7_sum(EXCHANGES_REST, k, &first);
		k->operation = operation;
		first = false;
	}
	if (!sum)
		return false;
	/* Programs nest on one processor. */
	__sync_fetch_and_add(&sum->count, 1);
	__sync_fetch_and_add(&sum->latency, v->latency);
	__sync_fetch_and_add(&sum->request_bytes, v->request_bytes);
	__sync_fetch_and_add(&sum->response_bytes, v->response_bytes);
	return first;
}

static __always_inline bool l7_known(u64 operation)
{
	return bpf_map_lookup_elem(&operations, &operation) != NULL;
}

static __always_inline void l7_remember(u64 operation)
{
	u8 one = 1;

	bpf_map_update_elem(&operations, &operation, &one, BPF_ANY);
}

/* Why an exchange is told in full; WHY_NONE where it is only counted. */
static __always_inline u8 l7_why(u8 protocol, u64 operation, bool first, bool error, u64 latency, u64 now)
{
	struct l7_cpu *cpu = l7_cpu();

	if (!cpu)
		return WHY_NONE;
	if (first && operation && !l7_known(operation) && l7_afford(cpu, protocol, WHY_NEW, now))
		return WHY_NEW;
	if (error && l7_afford(cpu, protocol, WHY_ERROR, now))
		return WHY_ERROR;
	if (latency >= l7_slow && l7_afford(cpu, protocol, WHY_SLOW, now))
		return WHY_SLOW;
	if (l7_afford(cpu, protocol, WHY_SAMPLE, now))
		return WHY_SAMPLE;
	return WHY_NONE;
}
