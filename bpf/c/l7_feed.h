/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How what passes on a TCP connection gets to a protocol's parser: in order, a window
 * at a time, from its first byte on. Included once, by the program of one protocol,
 * which says before
 *
 *  - FEED(name): gives names their prefix;
 *  - FEED_PROTOCOL, FEED_CONN, FEED_MAP: its number, and what it keeps of a connection: a struct
 *    with `conn` (struct l7_conn) and with `dirs`, in each of which `s` is a parser's state;
 *  - FEED_UNKEPT: enum l7_flag of a connection for which there is no memory;
 *  - FEED_BYTES(c), FEED_WINDOW: where the window is, and how many bytes are shown in it;
 *  - FEED_LOAD: a power of two of bytes that may be written there, FEED_WINDOW at least;
 *  - FEED(init)(c, l): readies a new connection's states;
 *  - FEED(step)(c, len, position, now): shows the window to a direction, or skips; how many bytes
 *    it took;
 *  - FEED_KNOWS and FEED(known)(skb, c, offset, len, position, now), where something comes again: takes
 *    what need not be shown; how many bytes;
 *  - FEED(ended)(c, position): whether nothing more of a direction is to be read;
 *  - FEED(again)(c): makes the ingress state the tentative one;
 *  - FEED(fed)(c, position, now): after a stretch was shown;
 *  - FEED(waits)(c, egress): whether a segment without payload says something, as TCP may have taken
 *    what was tried;
 *  - FEED(lose)(c, reason, bytes): gives the connection up.
 */
#include "l7_conn.h"

/* Above the bytes of a stretch: a step at which something ends may take none. */
#define FEED_TURNS 8

/* A stretch of a stream: in a packet, or handed over. */
struct FEED(stretch) {
	struct __sk_buff *skb;
	const struct l7_handed *handed;
	FEED_CONN *c;
	u64 now;
	u32 offset;
	u32 len;
	u32 position;
	u32 reserved;
};

/* One window; 1 ends the loop. */
static long FEED(window)(u32 turn, void *ctx)
{
	struct FEED(stretch) *f = ctx;
	u32 n = f->len, position = f->position, offset = f->offset;
	FEED_CONN *c = f->c;

	if (!n || position >= STREAM_POSITIONS || FEED(ended)(c, position))
		return 1;
	if (n > FEED_WINDOW && !c->dirs[position].s.skip)
		n = FEED_WINDOW;
	if (f->handed) {
		if (offset >= L7_HANDED_LEN)
			return 1;
		__builtin_memcpy(FEED_BYTES(c), f->handed->bytes + (offset & (L7_HANDED_LEN - 1)), FEED_WINDOW);
	} else if (!c->dirs[position].s.skip) {
		if (bpf_skb_load_bytes(f->skb, offset, FEED_BYTES(c), load_size(n, FEED_LOAD)))
			return 1;
	}
	n = FEED(step)(c, n, position, f->now);
	f->offset += n;
	f->len -= n;
	return 0;
}

/* What met the listener, before this socket was. */
static __always_inline void FEED(pick_up)(FEED_CONN *c)
{
	struct FEED(stretch) f = {.c = c,
				  .position = stream_tentative(&c->conn.stream),
				  .handed = bpf_map_lookup_elem(&l7_handed, &c->conn.stream.conn)};

	if (!f.handed)
		return;
	f.now = f.handed->began;
	f.len = f.handed->len;
	bpf_loop(L7_HANDED_LEN + FEED_TURNS, FEED(window), &f, 0);
	bpf_map_delete_elem(&l7_handed, &c->conn.stream.conn);
	FEED(fed)(c, f.position, f.now);
}

/* Bytes that passed unseen: harmless inside of what is skipped. */
static __always_inline bool FEED(gap)(FEED_CONN *c, u32 position, u32 gap, u64 now)
{
	if (c->dirs[position].s.skip < gap) {
		FEED(lose)(c, UNSEEN_GAP, gap);
		return false;
	}
	FEED(step)(c, gap, position, now);
	return true;
}

#ifndef FEED_KNOWS
static __always_inline u32 FEED(known)(struct __sk_buff *skb, FEED_CONN *c, u32 offset, u32 len, u32 position, u64 now)
{
	return 0;
}
#endif

static __always_inline void FEED(segment)(struct __sk_buff *skb, FEED_CONN *c, struct segment *g, bool egress, u64 now)
{
	u32 position = egress ? STREAM_EGRESS : stream_tentative(&c->conn.stream), ahead, known;
	struct FEED(stretch) f = {.skb = skb, .c = c, .now = now, .position = position};

	if (!egress && stream_again(&c->conn.stream, g))
		FEED(again)(c);
	ahead = stream_trim(&c->conn.stream, g, position);
	if (!g->len || FEED(ended)(c, position))
		return;
	/* What arrives out of order waits: TCP may never take it. */
	if (ahead && (!egress || !FEED(gap)(c, position, ahead, now)))
		return;
	known = FEED(known)(skb, c, g->offset, g->len, position, now);
	f.offset = g->offset + known;
	f.len = g->len - known;
	/* A body that is all there is not worth a loop. */
	if (known && f.len && c->dirs[position].s.skip >= f.len)
		f.len -= FEED(step)(c, f.len, position, now);
	if (f.len)
		bpf_loop(f.len + FEED_TURNS, FEED(window), &f, 0);
	FEED(fed)(c, position, now);
}

/* Where a connection is kept, made when it is first asked for; NULL when it is not read any more. */
static __always_inline FEED_CONN *FEED(of)(struct bpf_sock *sk)
{
	FEED_CONN *c = bpf_sk_storage_get(&FEED_MAP, sk, 0, 0);
	struct l7_sock *l;

	if (c)
		return c;
	/* Another processor may have been through with it just now, or have made it. */
	l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	if (!l || l->flags & (L7_OPAQUE | L7_LOST))
		return NULL;
	c = bpf_sk_storage_get(&FEED_MAP, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c)
		c = bpf_sk_storage_get(&FEED_MAP, sk, 0, 0);
	if (!c && !(l->flags & FEED_UNKEPT)) {
		l->flags |= FEED_UNKEPT;
		l7_unseen(FEED_PROTOCOL, UNSEEN_STORAGE, 1, 0);
	}
	return c;
}

/* With the first segment after the protocol became known; the lock is held. */
static __always_inline void FEED(begin)(struct __sk_buff *skb, struct bpf_sock *sk, FEED_CONN *c)
{
	struct l7_sock *l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	struct sock_info *i = bpf_sk_storage_get(&sockets, sk, 0, 0);
	u32 position;

	if (!l || !i)
		return;
	conn_begin(&c->conn, skb, sk, l, i);
	FEED(init)(c, l);
	position = c->conn.client ? STREAM_EGRESS : stream_tentative(&c->conn.stream);
	if (l->have) {
		/* What the client sent before is shown as if it came now. */
		__builtin_memcpy(FEED_BYTES(c), l->head, L7_HEAD);
		FEED(step)(c, l->have, position, l->began);
		FEED(fed)(c, position, l->began);
	} else if (l->flags & L7_HANDED) {
		l->flags &= ~L7_HANDED;
		FEED(pick_up)(c);
	}
}

/* What is kept of a segment's connection, locked; NULL where there is nothing to read. */
static __always_inline FEED_CONN *FEED(enter)(struct __sk_buff *skb, struct bpf_sock *sk, const struct segment *g,
					      bool egress)
{
	FEED_CONN *c = FEED(of)(sk);

	if (!c || (!g->len && !FEED(waits)(c, egress)))
		return NULL;
	if (!stream_lock(&c->conn.stream)) {
		if (g->len)
			l7_unseen(FEED_PROTOCOL, UNSEEN_BUSY, 1, g->len);
		return NULL;
	}
	if (!c->conn.begun)
		FEED(begin)(skb, sk, c);
	if (c->conn.begun)
		return c;
	stream_unlock(&c->conn.stream);
	return NULL;
}
