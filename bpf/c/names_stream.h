/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Questions and answers over TCP: messages behind their lengths (RFC 1035 §4.2.2),
 * put together again however they were cut. What is not next in the stream is
 * dropped, and comes again: the application must not read an answer before it was
 * read here.
 */
#pragma once

#include "asking.h"
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
	u16 asks;
	u16 refused;
};

/* A message is whole. */
static __always_inline void name_whole(struct name_feed *f, struct name_direction *d)
{
	struct name_room *r = name_room(f->room);
	u32 read = 0;

	if (!r)
		return;
	if (d->size > ANSWER_MOST)
		lose_name(NAME_TOO_LONG);
	else if (f->egress)
		read = name_read(&d->bytes, f->room, d->size);
	else
		name_answered(&d->bytes, f->room, d->size, f->forged);
	if (f->egress && f->asks && judge_message(f->room, read) == DROP)
		f->refused = 1;
	else if (read)
		name_asked(r);
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
	return f->refused ? 1 : 0;
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

/* Who asks whom on a connection. */
static __always_inline void ask_on(struct question *q, struct bpf_sock *sk)
{
	__builtin_memset(q, 0, sizeof(*q));
	ask_for(q, sk, bpf_sk_storage_get(&parties, sk, 0, 0));
	read_remote(sk, q->addr);
	q->port = q->remote_port = bpf_ntohs(sk->dst_port);
	q->protocol = IPPROTO_TCP;
}

/* Nothing more passes on a connection with a refused question. One that is audited is not judged any more. */
static __always_inline void end_asking(struct bpf_sock *sk, int pass)
{
	struct party *p = bpf_sk_storage_get(&parties, sk, 0, 0);

	if (!p)
		return;
	if (pass == DROP) {
		p->verdict = VERDICT_DENIED;
		p->asks = ASKED_REFUSED;
	} else {
		p->asks = 0;
	}
}

/* Questions that nobody can follow. */
static __noinline int refuse_stream(struct bpf_sock *sk)
{
	u32 number = name_enter();
	struct name_room *r = name_room(number);
	int pass;

	if (!r)
		return DROP;
	ask_on(&r->q, sk);
	pass = judge_message(number, 0);
	name_leave(r);
	end_asking(sk, pass);
	return pass;
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
	if (f->asks)
		ask_on(&r->q, sk);
	f->room = number;
	f->d = d;
	f->at = g->offset + known;
	f->rest = g->len - known;
	bpf_loop(STREAM_TURNS, name_feed, f, 0);
	name_leave(r);
	if (f->refused) {
		s->lost = 1; /* whatever policies come: this segment must not */
		end_asking(sk, DROP);
		return DROP;
	}
	d->next = g->seq + g->len;
	if (f->rest) {
		stream_lost(s);
		return f->asks ? ASKS : PASS;
	}
	return PASS;
}

/*
 * Notes that the workload sends as a resolver over the loopback device; tells whether it sent this, which arrives.
 * Verified by itself.
 */
__attribute__((noinline)) int answers_itself(struct __sk_buff *skb, u32 egress)
{
	struct endpoint source = {}, destination = {};
	struct bpf_sock *sk = full_sock(skb);
	u64 owner;
	bool syn;
	u32 seq;

	if (!sk)
		return false;
	owner = owner_of(bpf_sk_cgroup_id(sk));
	if (!read_ends(skb, &source, &destination, &seq, &syn))
		return false;
	if (!egress)
		return is_forged(owner, &source, &destination);
	if (source.port == RESOLVER_PORT)
		note_forged(owner, &source, &destination, false);
	return false;
}

/* What may pass, of a connection. asks: its questions are judged; ASKS where they cannot be followed. */
static __always_inline int follow_stream(struct __sk_buff *skb, struct bpf_sock *sk, bool egress, bool asks)
{
	struct name_feed f = {.skb = skb, .egress = egress, .asks = asks};
	struct name_direction *d;
	struct bpf_tcp_sock *tp;
	struct name_stream *s;
	struct segment g;
	int pass = PASS;
	s32 ahead;

	if (skb->ifindex == LOOPBACK_DEVICE && (egress || sk->dst_port == bpf_htons(RESOLVER_PORT)))
		f.forged = answers_itself(skb, egress);
	if (sk->dst_port != bpf_htons(RESOLVER_PORT) && !asks)
		return PASS;
	tp = bpf_tcp_sock(sk);
	if (!tp || !read_segment(skb, &g))
		return asks ? DROP : PASS;
	if (!g.len)
		return PASS;
	/* TCP sends it again, without data. */
	if (asks && sk->state == BPF_TCP_SYN_SENT_STATE)
		return DROP;
	/* Of several connections that carry one stream none has whole questions. */
	if (asks && bpf_skc_to_mptcp_sock(sk))
		return ASKS;
	s = stream_of(sk, tp, &g, egress);
	if (!s || s->lost)
		return asks ? ASKS : PASS;
	d = egress ? &s->question : &s->answer;
	if (__sync_val_compare_and_swap(&d->busy, 0, 1))
		return DROP;
	ahead = g.seq - d->next;
	if (ahead <= 0 && (u32)-ahead < g.len) {
		pass = read_stream(skb, sk, s, d, &g, -ahead, &f);
	} else if (ahead > 0) {
		/* TCP has what was never seen here, or will have it. */
		if (asks)
			pass = DROP;
		else if (egress || (s32)(tp->rcv_nxt - d->next) > 0)
			stream_lost(s);
		else
			pass = DROP;
	}
	__sync_lock_test_and_set(&d->busy, 0);
	return pass;
}

/* The segment that ended its connection, or was dropped: see over(). */
static __always_inline int refuse_segment(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct party *p = bpf_sk_storage_get(&parties, sk, 0, 0);

	return p && p->verdict == VERDICT_DENIED ? over(skb, p, true) : DROP;
}

/* What may pass, of a connection. asks: its questions are judged. Verified by itself. */
__attribute__((noinline)) int watch_stream(struct __sk_buff *skb, u32 egress, u32 asks)
{
	struct bpf_sock *sk = full_sock(skb);
	int pass;

	if (!sk)
		return PASS;
	pass = follow_stream(skb, sk, egress, asks);
	if (pass == ASKS)
		pass = refuse_stream(sk);
	return pass == DROP && egress ? refuse_segment(skb, sk) : pass;
}
