/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where a message ends (RFC 9112 §6). */
#pragma once

#include "http1_value.h"

static __always_inline bool http1_keep_alive(u32 seen)
{
	if (seen & HTTP1_SAID_CLOSE)
		return false;
	return seen & (HTTP1_VERSION_1 | HTTP1_SAID_KEEP);
}

/* What is wrong with the fields together; 0 if nothing is. */
static __always_inline u16 http1_head_fault(const struct http1_state *s, u32 consumed)
{
	u32 seen = s->seen;

	if (s->total + consumed > HTTP1_HEAD_MAX)
		return HTTP1_HEAD_LONG;
	if (seen & HTTP1_SEEN_CODING) {
		if (seen & HTTP1_SEEN_LENGTH)
			return HTTP1_LENGTH_AND_CODING;
		if (!(seen & HTTP1_VERSION_1))
			return HTTP1_CODING_IN_1_0;
	}
	if (seen & HTTP1_RESPONSES)
		return 0;
	if (seen & HTTP1_VERSION_1 && !(seen & HTTP1_SEEN_HOST))
		return HTTP1_HOST_MISSING;
	if (seen & HTTP1_ABSOLUTE && seen & HTTP1_SEEN_HOST && s->authority != s->host)
		return HTTP1_HOST_MISMATCH;
	if (s->method == HTTP1_CONNECT && (seen & HTTP1_SEEN_CODING || (seen & HTTP1_SEEN_LENGTH && s->number)))
		return HTTP1_CONNECT_BODY;
	return 0;
}

/*
 * Whether a response has a body whatever its fields say: 1 it may, 0 it has not,
 * 2 it ends HTTP; else a reason.
 */
static __always_inline u16 http1_response(const struct http1_state *s)
{
	u16 status = s->status;
	u8 request = s->request;

	if (status == 101)
		return request == HTTP1_ASKED_UPGRADE ? 2 : HTTP1_SWITCH_UNASKED;
	if (status < 200 || status == 204 || status == 304)
		return 0;
	if (request == HTTP1_ASKED_UNKNOWN)
		return HTTP1_REQUEST_UNKNOWN;
	if (request == HTTP1_ASKED_CONNECT && status < 300)
		return 2;
	return request != HTTP1_ASKED_HEAD;
}

/* The empty line is complete, with what this call has consumed. */
static __always_inline void http1_head(struct http1_state *s, u32 consumed, struct http1_out *out)
{
	u32 seen = s->seen;
	u16 fault = http1_head_fault(s, consumed), body = 1;
	bool responses = seen & HTTP1_RESPONSES;

	if (responses && !fault) {
		body = http1_response(s);
		if (body > 2)
			fault = body;
	}
	if (fault) {
		http1_fail(s, out, fault);
		return;
	}
	if (http1_keep_alive(seen))
		seen |= HTTP1_KEEP_ALIVE;
	out->flags = OUT_HEAD;
	out->body = 0;
	out->body_kind = HTTP1_BODY_NONE;
	if (body == 2) {
		out->flags = OUT_HEAD | OUT_END | OUT_SWITCH;
		s->at = HTTP1_AT_OPAQUE;
		s->skip = PARSE_REST;
	} else if (body && seen & HTTP1_SEEN_CODING) {
		out->body_kind = HTTP1_BODY_CHUNKED;
		s->at = HTTP1_AT_CHUNK_SIZE;
	} else if (body && seen & HTTP1_SEEN_LENGTH) {
		out->body_kind = HTTP1_BODY_LENGTH;
		out->body = s->number;
		s->skip = s->number;
		s->at = HTTP1_AT_BODY;
	} else if (body && responses) {
		out->body_kind = HTTP1_BODY_CLOSE;
		s->skip = PARSE_REST;
		s->at = HTTP1_AT_REST;
		seen &= ~HTTP1_KEEP_ALIVE;
	}
	s->seen = seen;
	s->number = 0;
	s->have = 0;
	out->kind = http1_kind(s);
	out->status = s->status;
	out->marks = seen;
	out->method = s->method;
	out->key = s->key;
	out->request = responses ? s->request : http1_asked(s);
	if (s->at == HTTP1_AT_HEAD_LF || (s->at == HTTP1_AT_BODY && !s->skip))
		http1_end(s, out);
}

/* A byte of a chunk's size, or what ends it. */
static __always_inline u32 http1_chunk_size(struct http1_state *s, u8 c, u32 i, struct http1_out *out)
{
	u32 digit = (u8)(c - '0'), letter = (u8)((c | 0x20) - 'a');

	if (letter < 6)
		digit = letter + 10;
	if (digit < 16 && (digit < 10 || letter < 6)) {
		s->number = s->number << 4 | digit;
		if (++s->have > 15)
			http1_fail(s, out, HTTP1_CHUNK_LONG);
		return i + 1;
	}
	if (s->have && (c == '\r' || c == ';')) {
		s->have = 0;
		s->at = c == ';' ? HTTP1_AT_EXTENSION : HTTP1_AT_CHUNK_LF;
		return i + 1;
	}
	http1_fail(s, out, HTTP1_CHUNK_SIZE);
	return i;
}

/* A chunk's line is complete. */
static __always_inline void http1_chunk(struct http1_state *s)
{
	if (s->number) {
		s->skip = s->number;
		s->number = 0;
		s->at = HTTP1_AT_CHUNK_CR;
	} else {
		s->seen |= HTTP1_IN_TRAILER;
		s->at = HTTP1_AT_NAME;
	}
}
