/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Heads that come again. On a connection that is kept, a head is most often byte for
 * byte the one before it in its direction, and then the parser would end where it
 * ended then: what it found is put back, for a fifth of the time. Where heads
 * differ again and again, a direction stops to compare for a while.
 */
#pragma once

#include "http.h"

#define HTTP_MEMO_COLD 4   /* heads that differed, one after the other, before it is left */
#define HTTP_MEMO_AGAIN 20 /* ... and before it is tried again */

static __always_inline struct http_memo *http_memo(struct http_conn *h, bool requests)
{
	return &h->memo[requests];
}

/*
 * Whether what is next of a direction is compared. It has to be at the first byte of a
 * message: then the parser's state is the same each time, but for what was asked.
 */
static __always_inline bool http_memo_tries(const struct http_dir *d, struct http_memo *m)
{
	m->probed = 0;
	if (d->s.total || d->s.skip || d->s.at > HTTP1_AT_RESPONSE)
		return false;
	if (m->misses < HTTP_MEMO_COLD)
		return true;
	m->misses = m->misses < HTTP_MEMO_AGAIN ? m->misses + 1 : HTTP_MEMO_COLD - 1;
	return false;
}

/* Whether a head is at the beginning of what was probed. */
static __always_inline bool http_memo_same(const struct http_memo *m)
{
	u32 len = m->len, last = len - 8;

	if (len < 8 || len > m->probed || last > HTTP_MEMO - 8)
		return false;
	/* In one step each, so that no index is worked out. */
#pragma unroll
	for (u32 k = 0; k < HTTP_MEMO / 8; k++) {
		if (8 * k + 8 > len)
			break;
		if (*(const u64 *)(m->probe + 8 * k) != *(const u64 *)(m->bytes + 8 * k))
			return false;
	}
	parse_forget(last, HTTP_MEMO - 1); /* 6.1 has lost the comparison */
	return *(const u64 *)(m->probe + last) == *(const u64 *)(m->bytes + last);
}

/* A head was read to its end: keeps what was found, if all of it is in what was probed. */
__attribute__((noinline)) int http_memo_keep(struct http_conn *h, u32 position)
{
	struct http_memo *m;
	bool requests;

	if (!h || position >= STREAM_POSITIONS)
		return 0;
	requests = http_requests(h, position == STREAM_EGRESS);
	m = http_memo(h, requests);
	m->len = 0;
	if (h->out.head <= m->probed && h->out.flags == (h->out.flags & (OUT_HEAD | OUT_END))) {
		m->len = h->out.head;
		m->s = h->dirs[position].s;
		m->out = h->out;
		m->path_len = h->capture.path_len;
		m->trace_len = h->capture.trace_len;
		__builtin_memcpy(m->bytes, m->probe, HTTP_MEMO);
	}
	m->probed = 0;
	return 0;
}
