/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where the HTTP/1 parser is, and how it gets from one message to the next. */
#pragma once

#include "parse.h"

/* What the next byte belongs to. The order matters: http1_turn() tells kinds apart by it. */
enum http1_at {
	/* A word: up to 8 bytes before a byte below 0x21 or a delimiter. */
	HTTP1_AT_REQUEST,  /* method */
	HTTP1_AT_RESPONSE, /* version */
	HTTP1_AT_VERSION,
	HTTP1_AT_STATUS,
	HTTP1_AT_NAME,
	HTTP1_AT_NAME_REST, /* of a name that may matter */
	HTTP1_AT_NAME_LAST,
	HTTP1_AT_LIST,
	HTTP1_AT_LIST_LAST,
	/* Bytes that do not matter, up to one that does. */
	HTTP1_AT_LINE, /* of a field, or a status' reason */
	HTTP1_AT_EXTENSION,
	HTTP1_AT_LIST_REST,
	HTTP1_AT_QUERY, /* here a space ends it, too */
	HTTP1_AT_HOST,
	/* Of their own. */
	HTTP1_AT_TARGET,
	HTTP1_AT_PATH,
	HTTP1_AT_NAME_OTHER,
	HTTP1_AT_VALUE,
	HTTP1_AT_LENGTH,
	HTTP1_AT_TRACE,
	HTTP1_AT_CR, /* of a line; it is there */
	HTTP1_AT_HEAD_LF,
	/* One byte. */
	HTTP1_AT_EMPTY_LF, /* of the empty line that may stand before a request */
	HTTP1_AT_METHOD,
	HTTP1_AT_SCHEME,
	HTTP1_AT_AUTHORITY,
	HTTP1_AT_STAR,
	HTTP1_AT_VERSION_END,
	HTTP1_AT_STATUS_SPACE,
	HTTP1_AT_LF,
	HTTP1_AT_VALUE_END,
	HTTP1_AT_LIST_NEXT,
	HTTP1_AT_HOST_HASH,
	HTTP1_AT_CHUNK_SIZE,
	HTTP1_AT_CHUNK_LF,
	HTTP1_AT_CHUNK_CR,
	HTTP1_AT_CHUNK_END,
	/* No byte is expected: skipped, or an error. */
	HTTP1_AT_BODY,
	HTTP1_AT_REST,	 /* a body to the end of the stream */
	HTTP1_AT_OPAQUE, /* another protocol */
	HTTP1_AT_HELD,	 /* until it is known whether the protocol changes */
	HTTP1_AT_CLOSED, /* after the last message */
	HTTP1_AT_FAILED, /* status has the reason */
};

/* Fields that matter. */
enum http1_header {
	HTTP1_FIELD_LENGTH,
	HTTP1_FIELD_CODING,
	HTTP1_FIELD_CONNECTION,
	HTTP1_FIELD_UPGRADE,
	HTTP1_FIELD_HOST,
	HTTP1_FIELD_EXPECT,
	HTTP1_FIELD_TRACE,
};

/* What was seen of a message; the low half is enum http1_mark. */
enum http1_seen {
	HTTP1_RESPONSES = 1 << 16, /* the direction's kind: stays from message to message */
	HTTP1_EMPTY_LINE = 1 << 17,
	HTTP1_SEEN_LENGTH = 1 << 18,
	HTTP1_SEEN_CODING = 1 << 19,
	HTTP1_SEEN_HOST = 1 << 20,
	HTTP1_SEEN_TRACE = 1 << 21,
	HTTP1_SAID_CLOSE = 1 << 22,
	HTTP1_SAID_KEEP = 1 << 23,
	HTTP1_SAID_UPGRADE = 1 << 24, /* in Connection */
	HTTP1_SEEN_UPGRADE = 1 << 25, /* the field of that name */
	HTTP1_IN_TRAILER = 1 << 26,
};

/*
 * Zero, but the verifier does not know: what was added to is not known either, and
 * one value is like all others. Else it would walk the rest for each of them.
 */
static __always_inline u32 http1_zero(const struct http1_state *s)
{
	return *(const volatile u32 *)&s->zero;
}

/* Whether there is a byte at i. */
static __always_inline bool http1_shown(u32 i, u32 len)
{
	return i < len;
}

static __always_inline void http1_fail(struct http1_state *s, struct http1_out *out, u16 reason)
{
	s->at = HTTP1_AT_FAILED;
	s->status = reason;
	s->skip = PARSE_REST;
	out->flags = OUT_ERROR;
	out->reason = reason;
}

/* Makes ready for a message. */
static __always_inline void http1_begin(struct http1_state *s, u32 seen)
{
	s->seen = seen;
	s->key = 0;
	s->word = 0;
	s->number = 0;
	s->authority = 0;
	s->host = 0;
	s->status = 0;
	s->have = 0;
	s->shape = 0;
	s->header = 0;
	s->method = 0;
	s->at = seen & HTTP1_RESPONSES ? HTTP1_AT_RESPONSE : HTTP1_AT_REQUEST;
}

/* Goes on after a message, or not. */
static __always_inline void http1_next(struct http1_state *s)
{
	u32 seen = s->seen;

	http1_begin(s, seen & HTTP1_RESPONSES);
	if (!(seen & HTTP1_KEEP_ALIVE))
		s->at = HTTP1_AT_CLOSED;
}

static __always_inline u8 http1_kind(const struct http1_state *s)
{
	if (!(s->seen & HTTP1_RESPONSES))
		return HTTP1_REQUEST;
	return s->status < 200 && s->status != 101 ? HTTP1_INTERIM : HTTP1_RESPONSE;
}

/* What the response to this request depends on. */
static __always_inline u8 http1_asked(const struct http1_state *s)
{
	if (s->method == HTTP1_CONNECT)
		return HTTP1_ASKED_CONNECT;
	/* RFC 9110 §7.8: Upgrade counts only where Connection names it, and not in HTTP/1.0. */
	if (s->seen & HTTP1_SAID_UPGRADE && s->seen & HTTP1_SEEN_UPGRADE && s->seen & HTTP1_VERSION_1)
		return HTTP1_ASKED_UPGRADE;
	return s->method == HTTP1_HEAD ? HTTP1_ASKED_HEAD : HTTP1_ASKED_PLAIN;
}

static __always_inline void http1_end(struct http1_state *s, struct http1_out *out)
{
	out->flags |= OUT_END;
	out->kind = http1_kind(s);
	if (out->kind == HTTP1_REQUEST && http1_asked(s) >= HTTP1_ASKED_CONNECT)
		s->at = HTTP1_AT_HELD;
	else if (out->kind == HTTP1_INTERIM)
		http1_begin(s, HTTP1_RESPONSES);
	else
		http1_next(s);
}

/* Whether the stream may end here. */
static __always_inline bool http1_idle(const struct http1_state *s)
{
	switch (s->at) {
	case HTTP1_AT_REQUEST:
	case HTTP1_AT_RESPONSE:
		return !s->have;
	case HTTP1_AT_OPAQUE:
	case HTTP1_AT_HELD:
	case HTTP1_AT_CLOSED:
	case HTTP1_AT_FAILED:
		return true;
	}
	return false;
}

/* Puts the counts into out that are known at the end of a call. */
static __always_inline void http1_report(struct http1_state *s, struct http1_out *out)
{
	if (out->flags & OUT_HEAD)
		out->head = s->total;
	if (out->flags & OUT_END) {
		out->total = s->total;
		s->total = 0;
	}
}
