/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Questions and answers over TCP: messages behind their lengths (RFC 1035 §4.2.2),
 * put together again however they were cut. What is not next in the stream is
 * dropped, and comes again: the application must not read an answer before it was
 * read here.
 */
#pragma once

#include "enforce_tcp.h"
#include "names_forged.h"

#define STREAM_LOAD 256	  /* bytes at a time; a power of two */
#define STREAM_TURNS 1024 /* of a segment: of small messages, each takes three */

struct name_direction {
	u32 busy;
	u32 next;  /* sequence number of the first byte that was not read */
	u16 size;  /* of the message */
	u16 have;  /* bytes of it */
	u8 prefix; /* bytes of its length */
	u8 reserved[3];
	struct answer_bytes bytes;
	u8 slack[STREAM_LOAD];
};

struct name_stream {
	u32 lost; /* nothing more is read */
	u32 reserved;
	struct name_direction question;
	struct name_direction answer;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct name_stream);
} name_streams SEC(".maps");

struct name_feed {
	struct __sk_buff *skb;
	struct name_direction *d;
	u32 at;
	u32 rest;
	u32 egress;
	u32 forged;
	u32 room;
	u32 reserved;
};

/* A message is whole. */
static __always_inline void name_whole(struct name_feed *f, struct name_direction *d)
{
	if (d->size > ANSWER_MOST) {
		lose_name(NAME_TOO_LONG);
		return;
	}
	if (f->egress)
		name_asked(&d->bytes, f->room, d->size);
	else
		name_answered(&d->bytes, f->room, d->size, f->forged);
}

/* Takes some bytes; 1 ends the loop. */
static long name_feed(u32 turn, void *ctx)
{
	struct name_feed *f = ctx;
	struct name_direction *d = f->d;
	u32 n, have = d->have;
	u8 b = 0;

	if (!f->rest)
		return 1;
	if (d->prefix < 2) {
		if (bpf_skb_load_bytes(f->skb, f->at, &b, 1))
			return 1;
		d->size = d->size << 8 | b;
		d->prefix++;
		f->at++;
		f->rest--;
	} else {
		n = d->size - have;
		if (n > f->rest)
			n = f->rest;
		if (d->size <= ANSWER_MOST) {
			n = load_size(n > STREAM_LOAD ? STREAM_LOAD : n, STREAM_LOAD);
			if (bpf_skb_load_bytes(f->skb, f->at, (u8 *)&d->bytes + (have & (ANSWER_MOST - 1)), n))
				return 1;
		}
		d->have += n;
		f->at += n;
		f->rest -= n;
	}
	if (d->prefix == 2 && d->have == d->size) {
		name_whole(f, d);
		d->prefix = d->size = d->have = 0;
	}
	return 0;
}

static __always_inline struct name_stream *stream_of(struct bpf_sock *sk, struct bpf_tcp_sock *tp,
						     const struct segment *g, bool egress)
{
	struct name_stream *s = bpf_sk_storage_get(&name_streams, sk, 0, 0);

	/* From the first byte of the first question on, or not at all: where else a message begins nobody knows. */
	if (s || !egress || tp->bytes_received || tp->bytes_acked > 1 || g->seq != tp->snd_una)
		return s;
	s = bpf_sk_storage_get(&name_streams, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s) {
		lose_name(NAME_STREAM);
		return NULL;
	}
	s->question.next = g->seq;
	s->answer.next = tp->rcv_nxt;
	return s;
}

static __always_inline void stream_lost(struct name_stream *s)
{
	s->lost = 1;
	lose_name(NAME_STREAM);
}

/* The bytes of a segment that are next in the stream. */
static __always_inline int read_stream(struct __sk_buff *skb, struct bpf_sock *sk, struct name_stream *s,
				       struct name_direction *d, const struct segment *g, u32 known,
				       struct name_feed *f)
{
	u32 number = name_enter();
	struct name_room *r = name_room(number);

	if (!r)
		return DROP;
	__builtin_memset(&r->asked, 0, sizeof(r->asked));
	r->asked.cookie = bpf_get_socket_cookie(skb);
	read_remote(sk, r->asked.resolver.addr);
	r->asked.resolver.port = RESOLVER_PORT;
	r->asked.looped = skb->ifindex == LOOPBACK_DEVICE;
	r->key.owner = owner_of(bpf_sk_cgroup_id(sk));
	f->room = number;
	f->d = d;
	f->at = g->offset + known;
	f->rest = g->len - known;
	bpf_loop(STREAM_TURNS, name_feed, f, 0);
	if (f->rest)
		stream_lost(s);
	d->next = g->seq + g->len;
	name_leave(r);
	return PASS;
}

/* Notes that the workload sends as a resolver over the loopback device; tells whether it sent this, which arrives. */
static __noinline bool answers_itself(struct __sk_buff *skb, struct bpf_sock *sk, bool egress)
{
	struct endpoint source = {}, destination = {};
	u64 owner = owner_of(bpf_sk_cgroup_id(sk));
	bool syn;
	u32 seq;

	if (!read_ends(skb, &source, &destination, &seq, &syn))
		return false;
	if (!egress)
		return is_forged(owner, &source, &destination);
	if (source.port == RESOLVER_PORT)
		note_forged(owner, &source, &destination, false);
	return false;
}

/* What passed, of a connection. */
static __noinline int watch_stream(struct __sk_buff *skb, struct bpf_sock *sk, bool egress)
{
	struct name_feed f = {.skb = skb, .egress = egress};
	struct name_direction *d;
	struct bpf_tcp_sock *tp;
	struct name_stream *s;
	struct segment g;
	int pass = PASS;
	s32 ahead;

	if (skb->ifindex == LOOPBACK_DEVICE && (egress || sk->dst_port == bpf_htons(RESOLVER_PORT)))
		f.forged = answers_itself(skb, sk, egress);
	if (sk->dst_port != bpf_htons(RESOLVER_PORT))
		return PASS;
	tp = bpf_tcp_sock(sk);
	if (!tp || !read_segment(skb, &g) || !g.len)
		return PASS;
	s = stream_of(sk, tp, &g, egress);
	if (!s || s->lost)
		return PASS;
	d = egress ? &s->question : &s->answer;
	if (__sync_val_compare_and_swap(&d->busy, 0, 1))
		return DROP;
	ahead = g.seq - d->next;
	if (ahead <= 0 && (u32)-ahead < g.len) {
		pass = read_stream(skb, sk, s, d, &g, -ahead, &f);
	} else if (ahead > 0) {
		/* TCP has what was never seen here, or will have it. */
		if (egress || (s32)(tp->rcv_nxt - d->next) > 0)
			stream_lost(s);
		else
			pass = DROP;
	}
	__sync_lock_test_and_set(&d->busy, 0);
	return pass;
}
