/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who began a connection. A SYN that leaves a socket of this host leaves a note
 * under its sequence number, and the server's end finds it; there it is written
 * down, too, that the server's end was judged, so that the same is not judged for
 * what completes the handshake.
 *
 * A table of our own making: an LRU hash takes five times as long for each new
 * entry. Sequence numbers are as good as random, so that a place is found by their
 * last bits. Each place has room for two, and the older one goes.
 */
#pragma once

#include "party.h"

#define SYN_NOTE_LIFE (130 * 1000000000ll) /* TCP gives up a SYN after 127 s (tcp_syn_retries) */
#define SYN_NOTES_AT_ONCE 2

struct syn_note {
	u64 cgroup;
	u64 time;
	struct endpoint source __attribute__((aligned(8))); /* as it left, after what NAT its own namespace has */
	u32 reserved;
	struct endpoint destination __attribute__((aligned(8)));
	u32 port;	  /* the listener's */
	u64 listener;	  /* the cgroup of who is asked, and may be */
	u64 passed_under; /* under this generation; 0 for none */
};

/* Each takes memory that has not been touched for long: what is looked for comes first. */
struct syn_place {
	struct bpf_spin_lock lock;
	u32 next; /* which note goes when another comes */
	u32 seq[SYN_NOTES_AT_ONCE];
	struct syn_note notes[SYN_NOTES_AT_ONCE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32768); /* a power of two */
	__type(key, u32);
	__type(value, struct syn_place);
} syn_notes SEC(".maps");

struct bpf_map {
	u32 max_entries;
} __attribute__((preserve_access_index));

static __always_inline struct syn_place *syn_place(u32 seq)
{
	u32 at = seq & (((struct bpf_map *)&syn_notes)->max_entries - 1);

	return bpf_map_lookup_elem(&syn_notes, &at);
}

static __always_inline void note_syn(u32 seq, u64 cgroup, const struct endpoint *source,
				     const struct endpoint *destination)
{
	struct syn_place *p = syn_place(seq);
	u64 now = bpf_ktime_get_coarse_ns();
	struct syn_note *n;
	u32 at;

	if (!p)
		return;
	bpf_spin_lock(&p->lock);
	at = p->seq[0] == seq ? 0 : p->seq[1] == seq ? 1 : p->next;
	p->next = !at;
	p->seq[at & 1] = seq;
	n = &p->notes[at & 1];
	n->cgroup = cgroup;
	n->time = now;
	n->passed_under = 0;
	n->source = *source;
	n->destination = *destination;
	bpf_spin_unlock(&p->lock);
}

/*
 * Fills in the cgroup of the client whose SYN this was; leaves it 0 where it was of no
 * socket of this host. A number alone could be guessed: one of the ends must be as it
 * was noted, which one translation of addresses leaves. True where the question has
 * been answered for this SYN: it may pass, and nothing about it is worth a word.
 */
static __always_inline bool whose_syn(u32 seq, const struct endpoint *source, const struct endpoint *destination,
				      u64 generation, struct question *q)
{
	struct syn_place *p = syn_place(seq);
	u64 now = bpf_ktime_get_coarse_ns(), cgroup = 0;
	bool passed = false;

	if (!p)
		return false;
	bpf_spin_lock(&p->lock);
	for (int i = 0; i < SYN_NOTES_AT_ONCE; i++) {
		struct syn_note *n = &p->notes[i];

		if (p->seq[i] != seq || (s64)(now - n->time) > SYN_NOTE_LIFE)
			continue;
		if (!same_end(&n->source, source) && !same_end(&n->destination, destination))
			continue;
		cgroup = n->cgroup;
		/* All that a listener's question is about; see judge_asked(). */
		passed = n->passed_under == generation && n->listener == q->cgroup && n->port == q->port;
	}
	bpf_spin_unlock(&p->lock);
	q->peer_cgroup = cgroup;
	return cgroup && passed;
}

/* The question of a SYN was answered: see whose_syn(). */
static __always_inline void note_passed(u32 seq, u64 generation, const struct question *q)
{
	struct syn_place *p = syn_place(seq);

	if (!p)
		return;
	bpf_spin_lock(&p->lock);
	for (int i = 0; i < SYN_NOTES_AT_ONCE; i++) {
		struct syn_note *n = &p->notes[i];

		if (p->seq[i] == seq && n->cgroup == q->peer_cgroup) {
			n->passed_under = generation;
			n->listener = q->cgroup;
			n->port = q->port;
		}
	}
	bpf_spin_unlock(&p->lock);
}
