// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * HTTP/1 at cgroup_skb. What leaves does so in order. What arrives has not been
 * checked by TCP yet: it is tried on a copy of the state, and that becomes the
 * state when rcv_nxt says that TCP took it. Outcomes are told then, not before.
 */
#include "http_memo.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const enum http1_mark http1_mark_type __attribute__((unused));

#define PASS 1

static __always_inline void http_feed_lose(struct http_conn *h, u8 reason, u64 bytes)
{
	if (h->flags & (HTTP_FAILED | HTTP_MISSED))
		return;
	h->flags |= HTTP_MISSED;
	l7_unseen(L7_HTTP, reason, 1, bytes);
}

static __always_inline void http_take_request(struct http_conn *h, struct http_dir *d, const struct http1_out *out)
{
	struct http_entry *e;

	if (out->flags & OUT_HEAD) {
		if ((u8)(d->mark - http_answering(h)->mark) >= HTTP_QUEUE) {
			d->stop = HTTP_MISSED;
			return;
		}
		e = http_entry(h, d->mark);
		e->operation = out->key;
		e->start = d->began;
		e->end = 0;
		e->request_bytes = e->response_bytes = 0;
		e->request_marks = out->marks;
		e->response_marks = 0;
		e->status = L7_NO_ANSWER;
		e->asked = out->request;
		e->method = out->method;
		h->captured = d->spoilt ? HTTP_NOT_CAPTURED : d->mark;
		h->flags |= HTTP_SPOKE;
		d->mark++;
	}
	if (out->flags & OUT_END)
		http_entry(h, d->mark - 1)->request_bytes = out->total;
}

/* Notes what an answer says; true when it is complete. */
static __always_inline bool http_take_answer(struct http_conn *h, struct http_dir *d, const struct http1_out *out,
					     u64 now)
{
	struct http_entry *e = http_entry(h, d->mark);

	if (out->kind != HTTP1_RESPONSE)
		return false;
	if (out->flags & OUT_HEAD) {
		if (d->mark == http_asking(h)->mark) {
			d->stop = HTTP_FAILED; /* nothing was asked */
			return false;
		}
		e->status = out->status;
		e->response_marks = out->marks;
		h->flags |= HTTP_SPOKE;
	}
	if (!(out->flags & OUT_END))
		return false;
	e->response_bytes = out->total;
	e->end = now;
	d->mark++;
	if (out->flags & OUT_SWITCH)
		d->stop = HTTP_SWITCHED;
	return true;
}

/* That nothing more is read of a direction is certain. */
static __always_inline void http_stop(struct http_conn *h, const struct http_dir *d)
{
	u8 stop = d->stop;

	if (stop & HTTP_MISSED)
		http_feed_lose(h, UNSEEN_PIPELINED, 0);
	if (stop & HTTP_FAILED && h->flags & (HTTP_SPOKE | HTTP_PROBATION))
		http_feed_lose(h, UNSEEN_ERROR, 0);
	h->flags |= stop;
}

/* After every step and every skip of a direction. Answers that leave are certain at once. */
static __always_inline void http_took(struct http_conn *h, struct http_dir *d, const struct http1_out *out,
				      bool requests, u64 now)
{
	if (out->flags & OUT_ERROR) {
		d->stop = HTTP_FAILED;
		return;
	}
	if (!out->flags)
		return;
	if (requests) {
		http_take_request(h, d, out);
		return;
	}
	if (http_take_answer(h, d, out, now) && !h->conn.client) {
		http_done(h, d->mark - 1);
		http1_release(&http_asking(h)->s);
	}
}

/* Readies a direction for the first byte of a message. */
static __always_inline void http_message(struct http_conn *h, struct http_dir *d, bool requests, u64 now)
{
	if (requests) {
		d->began = now;
		d->spoilt = 0;
		h->captured = HTTP_NOT_CAPTURED;
	} else {
		const struct http_dir *asking = http_asking(h);

		d->s.request = d->mark != asking->mark ? http_entry(h, d->mark)->asked : HTTP1_ASKED_UNKNOWN;
	}
}

static __always_inline bool http_over(const struct http_conn *h)
{
	return h->flags & (HTTP_FAILED | HTTP_SWITCHED | HTTP_MISSED);
}

/* A direction has read len bytes of those shown, and found that in them; returns how many that makes. */
static __always_inline u32 http_advance(struct http_conn *h, u32 position, const struct http1_out *out, bool requests,
					u32 len, u32 shown, u64 now)
{
	struct http_dir *d = &h->dirs[position];

	http_took(h, d, out, requests, now);
	/* The byte at which an error shows is not among those that were read. */
	if (d->stop)
		len = shown;
	h->conn.stream.next[position] += len;
	if (d != http_tried(h))
		http_stop(h, d);
	return len;
}

/* Shows the window to a direction, or skips; returns how many bytes it took. Verified by itself. */
__attribute__((noinline)) u32 http_feed_step(struct http_conn *h, u32 len, u32 position, u64 now)
{
	u32 shown = len;
	struct http_dir *d;
	bool requests;

	if (!h || position >= STREAM_POSITIONS)
		return 0;
	d = &h->dirs[position];
	requests = http_requests(h, position == STREAM_EGRESS);
	if (d->s.skip) {
		if (d->s.skip < len)
			len = d->s.skip;
		http1_skipped(&d->s, len, &h->out);
	} else {
		if (!d->s.total) {
			http_message(h, d, requests, now);
			/* The capture is going to be another request's. */
			if (requests)
				http_memo(h, true)->len = 0;
		}
		len = http1_step(&d->s, h->window.bytes, len, &h->out, &h->capture);
		if (h->out.flags && http_memo(h, requests)->probed)
			http_memo_keep(h, position);
	}
	return http_advance(h, position, &h->out, requests, len, shown, now);
}

/* Reads the head that was probed if it is the one before again; returns how many bytes that were of those shown. */
__attribute__((noinline)) u32 http_memo_read(struct http_conn *h, u32 shown, u32 position, u64 now)
{
	struct http_memo *m;
	struct http_dir *d;
	bool requests;

	if (!h || position >= STREAM_POSITIONS)
		return 0;
	d = &h->dirs[position];
	requests = http_requests(h, position == STREAM_EGRESS);
	m = http_memo(h, requests);
	http_message(h, d, requests, now);
	if (d->s.request != m->s.request || !http_memo_same(m)) {
		m->misses++;
		return 0;
	}
	m->misses = 0;
	m->probed = 0;
	d->s = m->s;
	if (requests) {
		h->capture.path_len = m->path_len;
		h->capture.trace_len = m->trace_len;
	}
	return http_advance(h, position, &m->out, requests, m->len, shown, now);
}

#define FEED(name) http_feed_##name
#define FEED_PROTOCOL L7_HTTP
#define FEED_CONN struct http_conn
#define FEED_MAP l7_http
#define FEED_UNKEPT L7_LOST
#define FEED_BYTES(c) ((c)->window.bytes)
#define FEED_WINDOW HTTP1_WINDOW
#define FEED_LOAD (HTTP1_MASK + 1)
#define FEED_KNOWS

static __always_inline bool http_feed_ended(const struct http_conn *h, u32 position)
{
	return h->dirs[position].stop || http_over(h);
}

static __always_inline void http_feed_init(struct http_conn *h, const struct l7_sock *l)
{
	bool client = h->conn.client;

	h->captured = HTTP_NOT_CAPTURED;
	if (l->flags & L7_MIDDLE)
		h->flags |= HTTP_PROBATION;
	http1_init(&h->dirs[STREAM_EGRESS].s, !client);
	http1_init(&http_arrived(h)->s, client);
	*http_tried(h) = *http_arrived(h);
}

static __always_inline void http_feed_again(struct http_conn *h)
{
	struct http_dir *in = http_arrived(h);

	if (!h->conn.client) {
		/* What was tried may have written into the capture. */
		if (h->conn.stream.pending && in->s.total)
			in->spoilt = 1;
		h->capture.path_len = in->path_len;
		h->capture.trace_len = in->trace_len;
	}
	*http_tried(h) = *in;
}

static __always_inline void http_feed_fed(struct http_conn *h, u32 position, u64 now)
{
	if (!http_requests(h, position == STREAM_EGRESS))
		h->last = now;
	if (position == STREAM_EGRESS)
		return;
	h->dirs[position].path_len = h->capture.path_len;
	h->dirs[position].trace_len = h->capture.trace_len;
	h->conn.stream.pending = true;
}

static __always_inline bool http_feed_waits(const struct http_conn *h, bool egress)
{
	return h->conn.stream.pending;
}

/* How many bytes of a segment were seen before, just so, and are through with. */
static __always_inline u32 http_feed_known(struct __sk_buff *skb, struct http_conn *h, u32 offset, u32 len,
					   u32 position, u64 now)
{
	struct http_memo *m = http_memo(h, http_requests(h, position == STREAM_EGRESS));
	u32 n = len < HTTP_MEMO ? len : HTTP_MEMO;

	if (!http_memo_tries(&h->dirs[position], m) ||
	    bpf_skb_load_bytes(skb, offset, m->probe, load_size(n, HTTP_MEMO)))
		return 0;
	m->probed = n;
	return http_memo_read(h, len, position, now);
}

#include "l7_feed.h"

/* What was tried and TCP took becomes the state, and its outcomes are told. */
static __always_inline void http_commit(struct http_conn *h, u32 rcv_nxt, u64 now)
{
	u8 mark = http_arrived(h)->mark;
	u32 gap;

	if (stream_taken(&h->conn.stream, rcv_nxt))
		http_stop(h, http_arrived(h));
	gap = stream_unseen(&h->conn.stream, rcv_nxt);
	if (gap)
		http_feed_gap(h, stream_ingress(&h->conn.stream), gap, now);
	if (!h->conn.client)
		return;
	for (int n = 0; n < HTTP_QUEUE; n++) {
		if (mark == http_arrived(h)->mark)
			break;
		http_done(h, mark);
		mark++;
		http1_release(&h->dirs[STREAM_EGRESS].s);
	}
}

static __always_inline int http_packet(struct __sk_buff *skb, bool egress)
{
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tp;
	struct http_conn *h;
	struct l7_sock *l;
	struct segment g;
	bool settled;
	u8 flags;
	u64 now;

	if (!sk || !read_segment(skb, &g))
		return PASS;
	tp = bpf_skc_to_tcp_sock(sk);
	h = tp ? http_feed_enter(skb, sk, &g, egress) : NULL;
	if (!h)
		return PASS;
	now = segment_time(skb, egress);
	if (h->conn.noted && !egress && !conn_peer(&h->conn, bpf_sk_storage_get(&l7_socks, sk, 0, 0)))
		h->flags |= HTTP_SWITCHED;
	http_commit(h, stream_rcv_nxt(tp), now);
	if (g.len && !http_over(h)) {
		if (egress || stream_tries(&h->conn.stream, &g, tp))
			http_feed_segment(skb, h, &g, egress, now);
		else if (h->conn.stream.doubt)
			http_arrived(h)->spoilt = 1;
	}
	flags = h->flags;
	settled = !h->conn.stream.pending;
	stream_unlock(&h->conn.stream);
	if (flags & (HTTP_FAILED | HTTP_MISSED) || (flags & HTTP_SWITCHED && settled)) {
		l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
		if (l)
			l->flags |= flags & HTTP_MISSED ? L7_LOST : L7_OPAQUE;
		bpf_sk_storage_delete(&l7_http, sk);
	}
	return PASS;
}

SEC("cgroup_skb/egress")
int http_egress(struct __sk_buff *skb)
{
	return http_packet(skb, true);
}

SEC("cgroup_skb/ingress")
int http_ingress(struct __sk_buff *skb)
{
	return http_packet(skb, false);
}

/* The stream ended in order: that may be the end of a body. */
static __always_inline void http_finish(struct http_conn *h, struct http_dir *d)
{
	if (http_over(h))
		return;
	http1_eof(&d->s, &h->out);
	if (h->out.flags & OUT_ERROR)
		return; /* an answer that was cut off is none */
	http_took(h, d, &h->out, false, h->last);
}

/* Requests that will have no answer. */
static __always_inline void http_abandon(struct http_conn *h, u64 now)
{
	u8 mark = http_answering(h)->mark, end = http_asking(h)->mark;

	for (int n = 0; n < HTTP_QUEUE; n++) {
		struct http_entry *e = http_entry(h, mark);

		if (mark == end || http_over(h))
			break;
		e->status = L7_NO_ANSWER;
		e->end = now;
		http_done(h, mark);
		mark++;
	}
	h->flags |= HTTP_SWITCHED; /* nothing more is told */
}

/* Attaches to the tracepoint inet_sock_set_state, any context: what is told at the end of a connection. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(http_close, struct sock *sk, int oldstate, int newstate)
{
	struct tcp_sock *tp;
	struct http_conn *h;
	struct l7_sock *l;
	bool client, fin;
	u8 mark;
	u64 now;

	if (newstate != TCP_CLOSE || sk->sk_protocol != IPPROTO_TCP || !is_inet(sk))
		return 0;
	l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	if (!l)
		return 0;
	h = bpf_sk_storage_get(&l7_http, sk, 0, 0);
	tp = bpf_skc_to_tcp_sock(sk);
	if (!h || !h->conn.begun || !tp || !stream_lock(&h->conn.stream)) {
		conn_unnote(l);
		return 0;
	}
	now = bpf_ktime_get_ns();
	if (h->conn.noted && !conn_peer(&h->conn, l))
		h->flags |= HTTP_SWITCHED;
	client = h->conn.client;
	fin = fin_taken(sk);
	http_commit(h, stream_rcv_nxt(tp), now);
	mark = http_arrived(h)->mark;
	if (client && fin)
		http_finish(h, http_arrived(h));
	if (client && mark != http_arrived(h)->mark)
		http_done(h, mark);
	if (!client && oldstate != TCP_ESTABLISHED && oldstate != TCP_CLOSE_WAIT && !sk->sk_err)
		http_finish(h, &h->dirs[STREAM_EGRESS]);
	http_abandon(h, now);
	stream_unlock(&h->conn.stream);
	return 0;
}
