/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* How an event gets into the ring, and how it is counted when it does not. */
#pragma once

#include "config.h"
#include "maps.h"

static __always_inline void count_loss(u32 loss)
{
	u32 zero = 0;
	struct cpu_stats *s = bpf_map_lookup_elem(&stats, &zero);

	if (s && loss < LOSS_MAX)
		__sync_fetch_and_add(&s->lost[loss], 1);
}

/*
 * Room for one event of this size with its header filled, or NULL, which is
 * counted. Programs nest on one processor (task, softirq): hence the atomic add.
 */
static __always_inline void *event_reserve(u16 kind, u64 size)
{
	u32 zero = 0;
	struct cpu_stats *s = bpf_map_lookup_elem(&stats, &zero);
	struct event_hdr *h;
	u64 seq;

	if (!s)
		return NULL;
	seq = __sync_fetch_and_add(&s->produced, 1);
	h = bpf_ringbuf_reserve(&events, size, 0);
	if (!h) {
		__sync_fetch_and_add(&s->lost[LOSS_RING_FULL], 1);
		return NULL;
	}
	h->time = bpf_ktime_get_boot_ns();
	h->seq = seq;
	h->cpu = bpf_get_smp_processor_id();
	h->kind = kind;
	h->reserved = 0;
	return h;
}

/* Waking a sleeping reader costs a hundred times the rest: it is done by bytes, not by event. */
static __always_inline void event_submit(void *event)
{
	u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(event, waiting >= wakeup_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}
