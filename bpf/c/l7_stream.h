/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where the two directions of a TCP connection stand, and which bytes of a segment
 * are news. The protocol keeps a state for each of three positions:
 *
 *  - STREAM_EGRESS: what leaves does so in order, it is certain at once;
 *  - stream_ingress(): what arrived and TCP took;
 *  - stream_tentative(): what arrived after that. TCP has not checked it yet (checksum,
 *    window, PAWS), so it is tried on a copy, which becomes the state when rcv_nxt says
 *    that TCP took it, and is thrown away when the same bytes come again.
 *
 * The last two change places when TCP took what was tried: the processor on which that
 * shows is most often not the one that tried it, and a copy would take the state's
 * memory from one to the other and back.
 */
#pragma once

#include "l7.h"
#include "sock.h"

enum stream_position {
	STREAM_EGRESS = 0,
	STREAM_POSITIONS = 3, /* the other two: stream_ingress() and stream_tentative() */
};

struct l7_stream {
	u32 next[STREAM_POSITIONS]; /* sequence number of the next byte */
	u32 lock;
	u64 conn;     /* as flow.Socket's ConnID */
	bool pending; /* tentative is ahead of ingress */
	bool doubt;   /* what was tried came again, and TCP takes one or the other */
	u8 turned;    /* 1 while ingress and tentative have changed places */
	u8 reserved[5];
};

#define STREAM_PATIENCE 8192 /* looks at a lock: some 100 us */

struct stream_wait {
	struct l7_stream *s;
	u32 self; /* this processor, from 1 */
	u32 got;
};

static __always_inline u32 stream_ingress(const struct l7_stream *s)
{
	return 1 + (s->turned & 1);
}

static __always_inline u32 stream_tentative(const struct l7_stream *s)
{
	return 2 - (s->turned & 1);
}

/* Begins both directions where the client's and the server's bytes are read from. */
static __always_inline void stream_begin(struct l7_stream *s, const struct l7_sock *l)
{
	bool client = l->role == ROLE_CLIENT;

	s->conn = l->conn;
	s->next[STREAM_EGRESS] = client ? l->asks : l->answers;
	s->next[stream_ingress(s)] = s->next[stream_tentative(s)] = client ? l->answers : l->asks;
}

/* One look at the lock; 1 ends the wait: it is held, or never will be. */
static long stream_try(u32 turn, void *ctx)
{
	struct stream_wait *w = ctx;
	u32 holder = __sync_val_compare_and_swap(&w->s->lock, 0, w->self);

	w->got = !holder;
	return !holder || holder == w->self;
}

/*
 * One program at a time reads a connection. The other direction's, on another
 * processor, may tell of several exchanges before it is through, which takes some
 * ten microseconds; one that this one has interrupted never gets through.
 */
static __always_inline bool stream_lock(struct l7_stream *s)
{
	struct stream_wait w = {.s = s, .self = bpf_get_smp_processor_id() + 1};

	if (!__sync_val_compare_and_swap(&s->lock, 0, w.self))
		return true;
	bpf_loop(STREAM_PATIENCE, stream_try, &w, 0);
	return w.got;
}

static __always_inline void stream_unlock(struct l7_stream *s)
{
	__sync_lock_test_and_set(&s->lock, 0);
}

/*
 * rcv_nxt without the peer's FIN. tcp_fin() sets the flag first, and acknowledges the FIN before it changes the state.
 */
static __always_inline u32 stream_rcv_nxt(const struct tcp_sock *tp)
{
	return tp->rcv_nxt - fin_taken(&tp->inet_conn.icsk_inet.sk);
}

/* Whether TCP took what was tried: the tentative state is the ingress state then. */
static __always_inline bool stream_taken(struct l7_stream *s, u32 rcv_nxt)
{
	if (!s->pending || s->doubt || (s32)(rcv_nxt - s->next[stream_tentative(s)]) < 0)
		return false;
	s->pending = false;
	s->turned ^= 1;
	return true;
}

/* How many bytes TCP took that were not shown: out of order, or missed. Ask after stream_taken(). */
static __always_inline u32 stream_unseen(const struct l7_stream *s, u32 rcv_nxt)
{
	s32 gap = rcv_nxt - s->next[stream_ingress(s)];

	return gap > 0 && (!s->pending || s->doubt) ? gap : 0;
}

/*
 * Whether TCP stands where it stood, as far as that is known: it has yet to look at what
 * arrived while its program used the socket. Where that backlog is empty, TCP has looked
 * at everything that was seen here. It is asked for first: TCP takes what is in it before
 * it is empty.
 */
static __always_inline bool stream_stands(const struct l7_stream *s, const struct tcp_sock *tp)
{
	bool decided = !*(volatile int *)&tp->inet_conn.icsk_inet.sk.sk_backlog.len;

	barrier(); /* what was read of TCP before is old */
	return decided && stream_rcv_nxt(tp) == s->next[stream_ingress(s)];
}

/*
 * Whether an arriving segment is tried. What TCP has is not, and what comes again is
 * only when TCP did not take it before: else it would be anyone's guess whose bytes
 * TCP takes, and they are unseen.
 */
static __always_inline bool stream_tries(struct l7_stream *s, const struct segment *g, const struct tcp_sock *tp)
{
	bool before = s->doubt;

	if ((s32)(g->seq + g->len - s->next[stream_ingress(s)]) <= 0)
		return false;
	if (!before && (!s->pending || (s32)(g->seq - s->next[stream_tentative(s)]) >= 0))
		return true;
	s->doubt = !stream_stands(s, tp);
	if (before && !s->doubt)
		s->pending = false;
	return !s->doubt;
}

/*
 * Whether an arriving segment is tried from the beginning, where TCP is: the caller
 * makes the ingress state its tentative state then. Else it goes on behind what was
 * tried before.
 */
static __always_inline bool stream_again(struct l7_stream *s, const struct segment *g)
{
	if (s->pending && (s32)(g->seq - s->next[stream_ingress(s)]) > 0)
		return false;
	s->next[stream_tentative(s)] = s->next[stream_ingress(s)];
	return true;
}

/* Leaves the news of a segment in g. Returns how far it begins ahead of what is known; g->len is 0 without news. */
static __always_inline u32 stream_trim(const struct l7_stream *s, struct segment *g, u32 position)
{
	s32 ahead = g->seq - s->next[position];

	if (ahead >= 0)
		return ahead;
	if ((u32)-ahead >= g->len) {
		g->len = 0;
		return 0;
	}
	g->seq -= ahead;
	g->offset -= ahead;
	g->len += ahead;
	return 0;
}
