// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * TLS handshakes at cgroup_skb: what leaves is certain, what arrives is tried, as in
 * http.bpf.c. The connection is left alone as soon as its handshake was counted.
 */
#include "tls.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PASS 1

/* Whether both hellos are certain: only an alert could still change how it went. */
static __always_inline bool tls_met(struct tls_conn *h)
{
	return tls_asked(h)->said & tls_answered(h)->said & SAID_HELLO;
}

static __always_inline void tls_feed_lose(struct tls_conn *h, u8 reason, u64 bytes)
{
	if (tls_met(h)) {
		tls_done(h, 0, tls_answered(h)->at);
		return;
	}
	h->over = true;
	l7_unseen(L7_TLS, reason, 1, bytes);
}

/* What a server warns of behind its hello is not how the handshake went, nor when. */
static __always_inline bool tls_warned(const struct tls_dir *d, const struct tls_out *out, bool asks)
{
	return out->kind == TLS_ALERT && d->said & SAID_HELLO && !asks && out->level != 2;
}

/* After every step of a direction, bytes of which were read. */
static __always_inline void tls_took(struct tls_conn *h, struct tls_dir *d, bool asks, u32 bytes, u64 now)
{
	const struct tls_out *out = &h->out;

	if (out->flags & OUT_ERROR) {
		d->said |= !asks && out->reason == TLS_RECORD && bytes == TLS_HEADER ? SAID_OTHER : SAID_LOST;
		d->at = now;
		return;
	}
	if (!(out->flags & OUT_END)) {
		/* What is encrypted before there are keys: a server cannot mean it. */
		if (out->flags & OUT_SWITCH)
			d->said |= asks || d->said & SAID_HELLO ? SAID_KEYS : SAID_LOST;
		return;
	}
	if (!tls_warned(d, out, asks)) {
		d->at = now;
		d->bytes = bytes;
	}
	if (out->kind == TLS_ALERT) {
		/* That one end has nothing more to say (0) is no outcome. */
		d->alert = out->description;
		if (out->description)
			d->said |= out->level == 2 ? SAID_FATAL : SAID_WARNING;
	} else if (out->kind != TLS_RETRY && !(d->said & SAID_HELLO)) {
		d->said |= SAID_HELLO;
		d->hello = *out;
	}
}

/* Shows the window to a direction, or skips; returns how many bytes it took. Verified by itself. */
__attribute__((noinline)) u32 tls_feed_step(struct tls_conn *h, u32 len, u32 position, u64 now)
{
	u32 shown = len, next;
	struct tls_dir *d;
	bool asks;

	if (!h || position >= STREAM_POSITIONS)
		return 0;
	d = &h->dirs[position];
	asks = tls_asks(h, position);
	if (d->s.skip) {
		if (d->s.skip < len)
			len = d->s.skip;
		tls_skipped(&d->s, len, &h->out);
	} else if (asks && !(d->said & SAID_HELLO)) {
		len = tls_step(&d->s, h->window, len, &h->out, &h->first);
	} else {
		len = tls_step(&d->s, h->window, len, &h->out, &h->later);
	}
	next = h->conn.stream.next[position] + len;
	h->conn.stream.next[position] = next;
	tls_took(h, d, asks, next - d->base, now);
	/* The byte at which an error shows is not among those that were read. */
	if (h->out.flags & OUT_ERROR) {
		h->conn.stream.next[position] = next + shown - len;
		len = shown;
	}
	return len;
}

#define FEED(name) tls_feed_##name
#define FEED_PROTOCOL L7_TLS
#define FEED_CONN struct tls_conn
#define FEED_MAP l7_tls
#define FEED_UNKEPT L7_OPAQUE
#define FEED_BYTES(c) ((c)->window)
#define FEED_WINDOW TLS_WINDOW
#define FEED_LOAD TLS_WINDOW

static __always_inline bool tls_feed_ended(const struct tls_conn *h, u32 position)
{
	return tls_through(&h->dirs[position], tls_asks(h, position));
}

static __always_inline void tls_feed_again(struct tls_conn *h)
{
	h->dirs[stream_tentative(&h->conn.stream)] = *tls_arrived(h);
}

static __always_inline void tls_feed_init(struct tls_conn *h, const struct l7_sock *l)
{
	h->start = l->began;
	tls_init(&h->dirs[STREAM_EGRESS].s, h->conn.client ? TLS_CLIENT : TLS_SERVER);
	tls_init(&tls_arrived(h)->s, h->conn.client ? TLS_SERVER : TLS_CLIENT);
	h->dirs[STREAM_EGRESS].base = h->conn.stream.next[STREAM_EGRESS];
	tls_arrived(h)->base = h->conn.stream.next[stream_ingress(&h->conn.stream)];
	tls_feed_again(h);
}

static __always_inline void tls_feed_fed(struct tls_conn *h, u32 position, u64 now)
{
	if (position != STREAM_EGRESS)
		h->conn.stream.pending = true;
}

static __always_inline bool tls_feed_waits(const struct tls_conn *h, bool egress)
{
	return h->conn.stream.pending;
}

#include "l7_feed.h"

/* What was tried and TCP took becomes the state. */
static __always_inline void tls_commit(struct tls_conn *h, u32 rcv_nxt, u64 now)
{
	u32 gap;

	stream_taken(&h->conn.stream, rcv_nxt);
	gap = stream_unseen(&h->conn.stream, rcv_nxt);
	if (gap && !tls_through(tls_arrived(h), !h->conn.client))
		tls_feed_gap(h, stream_ingress(&h->conn.stream), gap, now);
}

/* Counts the handshake if what is certain says how it went. */
static __always_inline void tls_judge(struct tls_conn *h)
{
	const struct tls_dir *asked = tls_asked(h), *answered = tls_answered(h);
	u8 ask = asked->said, answer = answered->said;

	if (h->over)
		return;
	if (ask & SAID_HELLO) {
		if (tls_closed(answered))
			tls_done(h, 0, answered->at);
		else if (answer & SAID_FATAL)
			tls_done(h, answered->alert, answered->at);
		else if (answer & SAID_OTHER)
			tls_done(h, L7_NO_ANSWER, answered->at);
		else if (ask & SAID_FATAL)
			tls_done(h, asked->alert, asked->at);
		else if (answer & SAID_HELLO && ask & answer & SAID_KEYS)
			tls_done(h, 0, answered->at);
		else if ((ask | answer) & SAID_LOST)
			tls_feed_lose(h, UNSEEN_ERROR, 0);
	} else if (ask & (SAID_FATAL | SAID_LOST) || answer & (SAID_HELLO | SAID_FATAL | SAID_OTHER | SAID_LOST)) {
		tls_feed_lose(h, UNSEEN_ERROR, 0);
	}
}

/* A segment, and what TCP did before; the connection's lock is held. */
static __always_inline void tls_locked(struct __sk_buff *skb, const struct tcp_sock *tp, struct tls_conn *h,
				       struct l7_sock *l, struct segment *g, bool egress)
{
	u64 now = segment_time(skb, egress);

	if (h->conn.noted && !egress && !conn_peer(&h->conn, l))
		h->over = true; /* weir's own */
	if (!h->over)
		tls_commit(h, stream_rcv_nxt(tp), now);
	if (g->len && !h->over && (egress || stream_tries(&h->conn.stream, g, tp)))
		tls_feed_segment(skb, h, g, egress, now);
	tls_judge(h);
	if (h->over)
		l->flags |= L7_OPAQUE;
}

static __always_inline int tls_packet(struct __sk_buff *skb, bool egress)
{
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tp;
	struct tls_conn *h;
	struct l7_sock *l;
	struct segment g;
	bool over;

	if (!sk || !read_segment(skb, &g))
		return PASS;
	tp = bpf_skc_to_tcp_sock(sk);
	l = tp ? bpf_sk_storage_get(&l7_socks, sk, 0, 0) : NULL;
	h = l ? tls_feed_enter(skb, sk, &g, egress) : NULL;
	if (!h)
		return PASS;
	over = h->over;
	if (!over)
		tls_locked(skb, tp, h, l, &g, egress);
	over = !over && h->over;
	stream_unlock(&h->conn.stream);
	if (over)
		bpf_sk_storage_delete(&l7_tls, sk);
	return PASS;
}

SEC("cgroup_skb/egress")
int tls_egress(struct __sk_buff *skb)
{
	return tls_packet(skb, true);
}

SEC("cgroup_skb/ingress")
int tls_ingress(struct __sk_buff *skb)
{
	return tls_packet(skb, false);
}

/* A client that spoke and was not answered: the last thing that it heard is why, or nobody knows. */
static __always_inline void tls_abandon(struct tls_conn *h, u64 now)
{
	const struct tls_dir *asked = tls_asked(h), *answered = tls_answered(h);

	if (h->over || !(asked->said & SAID_HELLO))
		return;
	if (tls_met(h))
		tls_done(h, 0, answered->at);
	else
		tls_done(h, answered->said & SAID_WARNING ? answered->alert : L7_NO_ANSWER, now);
}

/* Attaches to the tracepoint inet_sock_set_state, any context: what is told at the end of a connection. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tls_close, struct sock *sk, int oldstate, int newstate)
{
	struct tcp_sock *tp;
	struct tls_conn *h;
	struct l7_sock *l;
	u64 now;

	if (newstate != TCP_CLOSE || sk->sk_protocol != IPPROTO_TCP || !is_inet(sk))
		return 0;
	l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	if (!l || l->protocol != L7_TLS)
		return 0;
	h = bpf_sk_storage_get(&l7_tls, sk, 0, 0);
	tp = bpf_skc_to_tcp_sock(sk);
	if (!h || !h->conn.begun || !tp || !stream_lock(&h->conn.stream)) {
		conn_unnote(l);
		return 0;
	}
	now = bpf_ktime_get_ns();
	if (h->conn.noted && !conn_peer(&h->conn, l))
		h->over = true;
	if (!h->over)
		tls_commit(h, stream_rcv_nxt(tp), now);
	tls_judge(h);
	tls_abandon(h, now);
	h->over = true; /* nothing more is told */
	stream_unlock(&h->conn.stream);
	return 0;
}
