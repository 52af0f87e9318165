// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * HTTP/1 at cgroup_skb. What leaves does so in order. What arrives has not been
 * checked by TCP yet: it is tried on a copy of the state, and that becomes the
 * state when rcv_nxt says that TCP took it. Outcomes are told then, not before.
 */
#include "http.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const enum http1_mark http1_mark_type __attribute__((unused));

#define PASS 1

static __always_inline void http_lose(struct http_conn *h, u8 reason, u64 bytes)
{
	if (h->flags & (HTTP_FAILED | HTTP_MISSED))
		return;
	h->flags |= HTTP_MISSED;
	l7_unseen(L7_HTTP, reason, 1, bytes);
}

static __always_inline struct http_dir *http_asking(struct http_conn *h)
{
	return &h->dirs[h->conn.client ? STREAM_EGRESS : STREAM_INGRESS];
}

static __always_inline struct http_dir *http_answering(struct http_conn *h)
{
	return &h->dirs[h->conn.client ? STREAM_INGRESS : STREAM_EGRESS];
}

static __always_inline void http_take_request(struct http_conn *h, struct http_dir *d)
{
	const struct http1_out *out = &h->out;
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
static __always_inline bool http_take_answer(struct http_conn *h, struct http_dir *d, u64 now)
{
	const struct http1_out *out = &h->out;
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
		http_lose(h, UNSEEN_PIPELINED, 0);
	if (stop & HTTP_FAILED && h->flags & (HTTP_SPOKE | HTTP_PROBATION))
		http_lose(h, UNSEEN_ERROR, 0);
	h->flags |= stop;
}

/* After every step and every skip of a direction. Answers that leave are certain at once. */
static __always_inline void http_took(struct http_conn *h, struct http_dir *d, bool requests, u64 now)
{
	const struct http1_out *out = &h->out;

	if (out->flags & OUT_ERROR) {
		d->stop = HTTP_FAILED;
		return;
	}
	if (!out->flags)
		return;
	if (requests) {
		http_take_request(h, d);
		return;
	}
	if (http_take_answer(h, d, now) && !h->conn.client) {
		http_done(h, d->mark - 1);
		http1_release(&http_asking(h)->s);
	}
}

struct http_feed {
	struct __sk_buff *skb;
	struct http_conn *h;
	u64 now;
	u32 offset;
	u32 len;
	u32 position;
	u32 reserved;
};

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

/* Shows the window to a direction, or skips; returns how many bytes it took. Verified by itself. */
__attribute__((noinline)) u32 http_step(struct http_conn *h, u32 len, u32 position, u64 now)
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
		if (!d->s.total)
			http_message(h, d, requests, now);
		len = http1_step(&d->s, h->window.bytes, len, &h->out, &h->capture);
	}
	http_took(h, d, requests, now);
	/* The byte at which an error shows is not among those that were read. */
	if (d->stop)
		len = shown;
	h->conn.stream.next[position] += len;
	if (position != STREAM_TENTATIVE)
		http_stop(h, d);
	return len;
}

/* One window; 1 ends the loop. */
static long http_window(u32 turn, void *ctx)
{
	struct http_feed *f = ctx;
	struct http_conn *h = f->h;
	u32 n = f->len, position = f->position;

	if (!n || position >= STREAM_POSITIONS || h->dirs[position].stop)
		return 1;
	if (!h->dirs[position].s.skip) {
		if (n > HTTP1_WINDOW)
			n = HTTP1_WINDOW;
		n = load_size(n, HTTP1_MASK + 1);
		if (bpf_skb_load_bytes(f->skb, f->offset, h->window.bytes, n))
			return 1;
	}
	n = http_step(h, n, position, f->now);
	f->offset += n;
	f->len -= n;
	return http_over(h);
}

struct http_handed {
	struct http_conn *h;
	const struct l7_handed *v;
	u64 at;
};

/* The same, of what was handed over. */
static long http_handed_window(u32 turn, void *ctx)
{
	struct http_handed *f = ctx;
	u32 at = f->at, n;

	if (at >= f->v->len || at >= L7_HANDED_LEN || f->h->dirs[STREAM_TENTATIVE].stop)
		return 1;
	n = f->v->len - at;
	if (n > HTTP1_WINDOW)
		n = HTTP1_WINDOW;
	__builtin_memcpy(f->h->window.bytes, f->v->bytes + (at & (L7_HANDED_LEN - 1)), HTTP1_WINDOW);
	f->at = at + http_step(f->h, n, STREAM_TENTATIVE, f->v->began);
	return http_over(f->h);
}

/* What arrived was tried. */
static __always_inline void http_tried(struct http_conn *h)
{
	h->dirs[STREAM_TENTATIVE].path_len = h->capture.path_len;
	h->dirs[STREAM_TENTATIVE].trace_len = h->capture.trace_len;
	h->conn.stream.pending = true;
}

/* What met the listener, before this socket was. */
static __always_inline void http_pick_up(struct http_conn *h)
{
	struct http_handed f = {.h = h, .v = bpf_map_lookup_elem(&l7_handed, &h->conn.stream.conn)};

	if (!f.v)
		return;
	bpf_loop(L7_HANDED_LEN + HTTP_QUEUE, http_handed_window, &f, 0);
	bpf_map_delete_elem(&l7_handed, &h->conn.stream.conn);
	http_tried(h);
}

/* Bytes that passed unseen: harmless inside of a body. */
static __always_inline bool http_gap(struct http_conn *h, u32 position, u32 gap, u64 now)
{
	if (h->dirs[position].s.skip < gap) {
		http_lose(h, UNSEEN_GAP, gap);
		return false;
	}
	http_step(h, gap, position, now);
	return true;
}

/* What was tried and TCP took becomes the state, and its outcomes are told. */
static __always_inline void http_commit(struct http_conn *h, u32 rcv_nxt, u64 now)
{
	u8 mark = h->dirs[STREAM_INGRESS].mark;
	u32 gap;

	if (stream_taken(&h->conn.stream, rcv_nxt)) {
		h->dirs[STREAM_INGRESS] = h->dirs[STREAM_TENTATIVE];
		http_stop(h, &h->dirs[STREAM_INGRESS]);
	}
	gap = stream_unseen(&h->conn.stream, rcv_nxt);
	if (gap)
		http_gap(h, STREAM_INGRESS, gap, now);
	if (!h->conn.client)
		return;
	for (int n = 0; n < HTTP_QUEUE; n++) {
		if (mark == h->dirs[STREAM_INGRESS].mark)
			break;
		http_done(h, mark);
		mark++;
		http1_release(&h->dirs[STREAM_EGRESS].s);
	}
}

/* Goes back to where TCP is, for a segment that is tried. */
static __always_inline void http_again(struct http_conn *h)
{
	struct http_dir *in = &h->dirs[STREAM_INGRESS];

	if (!h->conn.client) {
		/* What was tried may have written into the capture. */
		if (h->conn.stream.pending && in->s.total)
			in->spoilt = 1;
		h->capture.path_len = in->path_len;
		h->capture.trace_len = in->trace_len;
	}
	h->dirs[STREAM_TENTATIVE] = *in;
}

static __always_inline void http_segment(struct __sk_buff *skb, struct http_conn *h, struct segment *g, bool egress,
					 u64 now)
{
	u32 position = egress ? STREAM_EGRESS : STREAM_TENTATIVE, ahead;
	struct http_feed f = {.skb = skb, .h = h, .now = now, .position = position};

	if (!egress && stream_again(&h->conn.stream, g))
		http_again(h);
	ahead = stream_trim(&h->conn.stream, g, position);
	if (!g->len)
		return;
	/* What arrives out of order waits: TCP may never take it. */
	if (ahead && (!egress || !http_gap(h, position, ahead, now)))
		return;
	if (!http_requests(h, egress))
		h->last = now;
	f.offset = g->offset;
	f.len = g->len;
	bpf_loop(g->len + HTTP_QUEUE, http_window, &f, 0);
	if (!egress)
		http_tried(h);
}

/* Where a connection is kept, made when it is first asked for; NULL when it is not read any more. */
static __always_inline struct http_conn *http_of(struct bpf_sock *sk)
{
	struct l7_sock *l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	struct http_conn *h;

	/* Another processor may have been through with it just now, or have made it. */
	if (!l || l->flags & (L7_OPAQUE | L7_LOST))
		return NULL;
	h = bpf_sk_storage_get(&l7_http, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!h)
		h = bpf_sk_storage_get(&l7_http, sk, 0, 0);
	if (!h) {
		l->flags |= L7_LOST;
		l7_unseen(L7_HTTP, UNSEEN_STORAGE, 1, 0);
	}
	return h;
}

/* The first segment after the protocol became known; the lock is held. */
static __always_inline void http_begin(struct __sk_buff *skb, struct bpf_sock *sk, struct http_conn *h)
{
	struct l7_sock *l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	struct sock_info *i = bpf_sk_storage_get(&sockets, sk, 0, 0);
	bool client;

	h->begun = 1;
	if (!l || !i) {
		h->flags |= HTTP_SWITCHED;
		return;
	}
	conn_begin(&h->conn, skb, sk, l, i);
	client = h->conn.client;
	h->captured = HTTP_NOT_CAPTURED;
	if (l->flags & L7_MIDDLE)
		h->flags |= HTTP_PROBATION;
	http1_init(&h->dirs[STREAM_EGRESS].s, !client);
	http1_init(&h->dirs[STREAM_INGRESS].s, client);
	h->dirs[STREAM_TENTATIVE] = h->dirs[STREAM_INGRESS];
	/* What the client sent before is shown as if it came now. */
	if (l->have) {
		__builtin_memcpy(h->window.bytes, l->head, L7_HEAD);
		http_step(h, l->have, client ? STREAM_EGRESS : STREAM_TENTATIVE, l->began);
		if (!client)
			http_tried(h);
	} else if (l->flags & L7_HANDED) {
		l->flags &= ~L7_HANDED;
		http_pick_up(h);
	}
}

static __always_inline int http_packet(struct __sk_buff *skb, bool egress)
{
	struct bpf_sock *sk = skb->sk;
	struct bpf_tcp_sock *tp;
	struct http_conn *h;
	struct l7_sock *l;
	struct segment g;
	bool settled;
	u8 flags;
	u64 now;

	if (!sk || !read_segment(skb, &g))
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS;
	h = bpf_sk_storage_get(&l7_http, sk, 0, 0);
	if (!h)
		h = http_of(sk);
	tp = bpf_tcp_sock(sk);
	if (!h || !tp || (!g.len && !h->conn.stream.pending))
		return PASS;
	if (!stream_lock(&h->conn.stream)) {
		if (g.len)
			l7_unseen(L7_HTTP, UNSEEN_BUSY, 1, g.len);
		return PASS;
	}
	if (!h->begun)
		http_begin(skb, sk, h);
	/* TCP has just read the same clock for what leaves: include/net/tcp.h, tcp_wstamp_ns. */
	now = egress ? skb->tstamp : 0;
	if (!now)
		now = bpf_ktime_get_ns();
	if (h->conn.noted && !egress && !conn_peer(&h->conn, bpf_sk_storage_get(&l7_socks, sk, 0, 0)))
		h->flags |= HTTP_SWITCHED;
	http_commit(h, stream_rcv_nxt(tp, sk), now);
	if (g.len && !http_over(h)) {
		if (egress || stream_tries(&h->conn.stream, &g, sk, tp))
			http_segment(skb, h, &g, egress, now);
		else if (h->conn.stream.doubt)
			h->dirs[STREAM_INGRESS].spoilt = 1;
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
	http_took(h, d, false, h->last);
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
	if (!h || !tp || !stream_lock(&h->conn.stream)) {
		conn_unnote(l);
		return 0;
	}
	now = bpf_ktime_get_ns();
	if (h->conn.noted && !conn_peer(&h->conn, l))
		h->flags |= HTTP_SWITCHED;
	client = h->conn.client;
	fin = sk->__sk_common.skc_flags & (1UL << SOCK_DONE);
	http_commit(h, tp->rcv_nxt - fin, now);
	mark = h->dirs[STREAM_INGRESS].mark;
	if (client && fin)
		http_finish(h, &h->dirs[STREAM_INGRESS]);
	if (client && mark != h->dirs[STREAM_INGRESS].mark)
		http_done(h, mark);
	if (!client && oldstate != TCP_ESTABLISHED && oldstate != TCP_CLOSE_WAIT && !sk->sk_err)
		http_finish(h, &h->dirs[STREAM_EGRESS]);
	http_abandon(h, now);
	stream_unlock(&h->conn.stream);
	return 0;
}
