/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The first line of a request or response. */
#pragma once

#include "http1_path.h"

static __always_inline bool http1_method_byte(u8 c)
{
	return (u8)((c | 0x20) - 'a') < 26 || c == '-' || c == '_';
}

/* A whole method, or the first 8 bytes of one. */
static __always_inline u32 http1_method(struct http1_state *s, u64 word, u32 have, u8 c, u32 i, struct http1_out *out,
					struct http1_capture *cap)
{
	u8 method = HTTP1_OTHER;

	if (!have) {
		/* RFC 9112 §2.2: one empty line before a request is no harm. */
		if (c != '\r' || s->seen & HTTP1_EMPTY_LINE) {
			http1_fail(s, out, HTTP1_BAD_START);
			return i;
		}
		s->seen |= HTTP1_EMPTY_LINE;
		s->at = HTTP1_AT_EMPTY_LF;
		return i + 1;
	}
	if (word == parse_text("GET"))
		method = HTTP1_GET;
	else if (word == parse_text("POST"))
		method = HTTP1_POST;
	else if (word == parse_text("HEAD"))
		method = HTTP1_HEAD;
	else if (word == parse_text("PUT"))
		method = HTTP1_PUT;
	else if (word == parse_text("DELETE"))
		method = HTTP1_DELETE;
	else if (word == parse_text("PATCH"))
		method = HTTP1_PATCH;
	else if (word == parse_text("OPTIONS"))
		method = HTTP1_OPTIONS;
	else if (word == parse_text("CONNECT"))
		method = HTTP1_CONNECT;
	else if (word == parse_text("TRACE"))
		method = HTTP1_TRACE;
	if (method == HTTP1_OTHER) {
		for (u32 k = 0; k < 8; k++)
			if (k < have && !http1_method_byte(word >> (8 * k))) {
				http1_fail(s, out, HTTP1_BAD_START);
				return i;
			}
		if (word == parse_text("PRI")) {
			http1_fail(s, out, HTTP1_HTTP2_PREFACE);
			return i;
		}
	}
	s->method = method;
	s->key = http1_mix(HTTP1_KEY_SEED, word);
	parse_store(cap->method, word);
	cap->path_len = 0;
	cap->trace_len = 0;
	if (have == 8) {
		s->at = HTTP1_AT_METHOD;
		return i;
	}
	if (c != ' ') {
		http1_fail(s, out, HTTP1_BAD_METHOD);
		return i;
	}
	s->at = HTTP1_AT_TARGET;
	return i + 1;
}

/* "HTTP/1.0" or "HTTP/1.1", if it has 8 bytes. */
static __always_inline bool http1_version(struct http1_state *s, u64 word, u32 have, u8 next)
{
	if (have < 8)
		return false;
	if (word == parse_text("HTTP/1.1"))
		s->seen |= HTTP1_VERSION_1;
	else if (word != parse_text("HTTP/1.0"))
		return false;
	s->at = next;
	return true;
}

/* Three digits, then a space and a reason, or nothing. */
static __always_inline u32 http1_status(struct http1_state *s, u64 word, u32 have, u8 c, u32 i, struct http1_out *out)
{
	u32 hundreds = (u8)(word - '0'), tens = (u8)((word >> 8) - '0'), ones = (u8)((word >> 16) - '0');

	if (have != 3 || hundreds - 1 > 8 || tens > 9 || ones > 9 || (c != ' ' && c != '\r')) {
		http1_fail(s, out, HTTP1_BAD_STATUS);
		return i;
	}
	s->status = hundreds * 100 + tens * 10 + ones;
	s->at = HTTP1_AT_LINE;
	return i;
}

/* The first byte of a target says which form it has; CONNECT has one of its own. */
static __always_inline u32 http1_target(struct http1_state *s, u8 c, u32 i, struct http1_out *out,
					struct http1_capture *cap)
{
	http1_segment(s);
	if (s->method == HTTP1_CONNECT) {
		s->at = HTTP1_AT_AUTHORITY;
		return i;
	}
	if (c == '/') {
		s->at = HTTP1_AT_PATH;
	} else if (c == '*' && s->method == HTTP1_OPTIONS) {
		s->segment = (s->segment ^ c) * HTTP1_SEGMENT_MIX;
		s->shape = 0;
		s->have = 1;
		s->at = HTTP1_AT_STAR;
	} else if (c == 'h' || c == 'H') {
		s->have = 1;
		s->at = HTTP1_AT_SCHEME;
		return i + 1;
	} else {
		http1_fail(s, out, HTTP1_BAD_TARGET);
		return i;
	}
	http1_keep(cap, c, 1);
	return i + 1;
}

/* "http://" or "https://", of which s->have bytes were read: 8 and more after "https". */
static __always_inline u32 http1_scheme(struct http1_state *s, u8 c, u32 i, struct http1_out *out)
{
	u32 have = s->have & 7;

	if (have == 4 && (c | 0x20) == 's' && !(s->seen & HTTP1_ABSOLUTE)) {
		s->seen |= HTTP1_ABSOLUTE;
		return i + 1;
	}
	if ((have < 4 ? c | 0x20 : c) != (u8)(parse_text("http://") >> (8 * have))) {
		http1_fail(s, out, HTTP1_BAD_TARGET);
		return i;
	}
	s->have = have + 1;
	if (have == 6) {
		s->seen |= HTTP1_ABSOLUTE;
		s->have = 0;
		s->at = HTTP1_AT_AUTHORITY;
	}
	return i + 1;
}

static __always_inline u32 http1_hash_host(u32 hash, u8 c)
{
	if ((u8)(c - 'A') < 26)
		c |= 0x20;
	return (hash ^ c) * 0x01000193;
}

/* Of an absolute target, or all of CONNECT's. */
static __always_inline u32 http1_authority(struct http1_state *s, u8 c, u32 i, struct http1_out *out,
					   struct http1_capture *cap)
{
	bool connect = s->method == HTTP1_CONNECT;

	if (http1_shapes[c] >= SEGMENT && c != '@') {
		s->authority = http1_hash_host(s->authority, c);
		s->have = 1;
		if (connect)
			http1_keep(cap, c, 1);
		return i + 1;
	}
	if (c == '@' || !s->have || (connect && c != ' ')) {
		http1_fail(s, out, c == '@' ? HTTP1_USERINFO : HTTP1_BAD_TARGET);
		return i;
	}
	s->have = 0;
	if (connect) {
		s->at = HTTP1_AT_VERSION;
		return i + 1;
	}
	/* Without a path it is "/". */
	http1_keep(cap, '/', 1);
	if (c == '/') {
		s->at = HTTP1_AT_PATH;
		return i + 1;
	}
	if (!http1_path_end(s, out, c))
		return i;
	s->key = http1_segment_end(s->key, s->segment, s->shape, 0);
	return i + 1;
}
