/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * HTTP/1 over one TCP connection: both directions, the requests that wait for
 * their response, and what is told of an exchange when it is complete.
 */
#pragma once

#include "l7_conn.h"
#include "parse/http1.h"

#define HTTP_QUEUE 8  /* requests that may wait; a power of two */
#define HTTP_MEMO 256 /* bytes of a head that is compared with the next one; a power of two */
#define HTTP_NOT_CAPTURED 0xffff

/* A direction. It can be copied and put back: that is how what came is tried. */
struct http_dir {
	struct http1_state s;
	u64 began;    /* when the first byte of the message under way came */
	u8 mark;      /* messages complete or, of requests, begun with a whole head; modulo 256 */
	u8 path_len;  /* of the capture */
	u8 trace_len; /* of the capture */
	u8 spoilt;    /* the capture has bytes of another request */
	u8 stop;      /* enum http_flag: nothing more is read, and why. It counts once TCP took what said so */
	u8 reserved[3];
};

struct http_entry {
	u64 operation;
	u64 start;
	u64 end;
	u64 request_bytes;
	u64 response_bytes;
	u16 request_marks;
	u16 response_marks;
	u16 status;
	u8 asked; /* enum http1_request */
	u8 method;
};

/*
 * The last head of a direction, and what was found in it: see http_memo.h. Each direction
 * has all of its own: one is most often another processor's than the other.
 */
struct http_memo {
	struct http1_state s; /* behind it */
	struct http1_out out;
	u16 len;    /* 0: there is none */
	u16 probed; /* bytes in probe, from the first of a message on; 0: it is not to be kept */
	u8 path_len;
	u8 trace_len;
	u8 misses; /* heads that differed, one after the other */
	u8 reserved;
	u8 bytes[HTTP_MEMO + 8]; /* so that a word can be read wherever it begins */
	u8 probe[HTTP_MEMO + 8]; /* the next head */
};

enum http_flag {
	HTTP_FAILED = 8,
	HTTP_SWITCHED = 16,
	HTTP_SPOKE = 32,  /* a whole head was read: it is HTTP */
	HTTP_MISSED = 64, /* bytes were missed */
	HTTP_PROBATION = 128,
};

struct http_conn {
	struct l7_conn conn;
	u64 last;	 /* when the last payload of a response came or went */
	u16 captured;	 /* mark of the request that the capture is of */
	u8 flags;	 /* enum http_flag */
	u8 reserved[13]; /* so that what leaves and what arrives share no cache line, of which 56 is the first byte */
	struct http_dir dirs[STREAM_POSITIONS];
	struct http_entry queue[HTTP_QUEUE];
	struct http1_capture capture;
	struct http1_out out;
	struct http1_window window;
	struct http_memo memo[2]; /* of answers, of requests */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct http_conn);
} l7_http SEC(".maps");

static __always_inline bool http_requests(const struct http_conn *h, bool egress)
{
	return h->conn.client == egress;
}

static __always_inline struct http_dir *http_arrived(struct http_conn *h)
{
	return &h->dirs[stream_ingress(&h->conn.stream)];
}

static __always_inline struct http_dir *http_tried(struct http_conn *h)
{
	return &h->dirs[stream_tentative(&h->conn.stream)];
}

/* Both directions, as far as they are certain. */
static __always_inline struct http_dir *http_asking(struct http_conn *h)
{
	return &h->dirs[h->conn.client ? STREAM_EGRESS : stream_ingress(&h->conn.stream)];
}

static __always_inline struct http_dir *http_answering(struct http_conn *h)
{
	return &h->dirs[h->conn.client ? stream_ingress(&h->conn.stream) : STREAM_EGRESS];
}

static __always_inline struct http_entry *http_entry(struct http_conn *h, u32 mark)
{
	return &h->queue[mark & (HTTP_QUEUE - 1)];
}

static __always_inline bool http_failed(u16 status)
{
	return status >= 500; /* no answer, too */
}

/* Tells of an exchange in full. */
static __always_inline bool http_tell(struct http_conn *h, const struct http_entry *e, const struct exchange_value *v,
				      u16 mark, u8 why)
{
	bool captured = h->captured == mark;
	struct http_event *ev = event_reserve(EVENT_HTTP, sizeof(*ev));

	if (!ev)
		return false;
	conn_report(&h->conn, &ev->exchange, v, e->start);
	ev->exchange.key.operation = e->operation;
	ev->exchange.key.status = e->status;
	ev->exchange.why = why;
	ev->method = e->method;
	ev->reserved = 0;
	ev->request_marks = e->request_marks;
	ev->response_marks = e->response_marks;
	ev->path_len = captured ? h->capture.path_len : 0;
	ev->trace_len = captured && e->request_marks & HTTP1_TRACED ? HTTP1_TRACEPARENT : 0;
	__builtin_memcpy(ev->method_text, h->capture.method, sizeof(ev->method_text));
	__builtin_memcpy(ev->path, h->capture.path, HTTP_PATH_LEN);
	__builtin_memcpy(ev->trace, h->capture.trace, HTTP_TRACE_LEN);
	event_submit(ev);
	return captured;
}

/*
 * Where reading began in mid-stream, what looked like a request may have been a part
 * of a body. Once there was a whole answer and nothing else is under way, both
 * directions stand between messages, whatever went before. That first exchange is
 * not told.
 */
static __always_inline void http_prove(struct http_conn *h, const struct http_entry *e, u32 mark)
{
	const struct http_dir *asking = http_asking(h);

	l7_unseen(L7_HTTP, UNSEEN_MID_STREAM, 0, e->request_bytes + e->response_bytes);
	if (asking->mark == (u8)(mark + 1) && http1_idle(&asking->s))
		h->flags &= ~HTTP_PROBATION;
	else
		h->flags |= HTTP_MISSED;
}

/* The exchange of this mark is complete. */
__attribute__((noinline)) int http_done(struct http_conn *h, u32 mark)
{
	struct exchange_value v = {.count = 1};
	struct exchange_key k;
	struct http_entry *e;
	bool first;
	u8 why;

	if (!h)
		return 0;
	e = http_entry(h, mark);
	if (h->flags & HTTP_PROBATION) {
		http_prove(h, e, mark);
		return 0;
	}
	if (e->end < e->start)
		e->end = e->start;
	v.latency = e->end - e->start;
	/* A server may answer before it has the whole request. */
	v.request_bytes = e->request_bytes ? e->request_bytes : http_asking(h)->s.total;
	v.response_bytes = e->response_bytes;
	k = h->conn.key; /* on the stack: 6.1 takes no key from elsewhere here */
	k.operation = e->operation;
	k.status = e->status;
	k.bucket = l7_bucket(v.latency);
	first = l7_add(&k, &v);
	/* Of pipelined requests only the last one's path is known: the budget is not for those that teach nothing. */
	if (h->captured != (mark & 0xff) && !http_failed(e->status) && v.latency < l7_slow)
		return 0;
	why = l7_why(L7_HTTP, e->operation, first, http_failed(e->status), v.latency, e->end);
	if (why && http_tell(h, e, &v, mark & 0xff, why) && why == WHY_NEW)
		l7_remember(e->operation);
	return 0;
}
