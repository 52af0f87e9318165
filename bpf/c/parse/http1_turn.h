/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The turns of http1_step(), by the kinds of enum http1_at. Each returns the new position. */
#pragma once

#include "http1_body.h"

/*
 * Reads a word. It is complete with 8 bytes, or where a byte ends it: a cut in
 * between changes nothing.
 */
static __always_inline u32 http1_collect(struct http1_state *s, const u8 *window, u32 i, u32 len, struct http1_out *out,
					 struct http1_capture *cap)
{
	u8 at = s->at, c;
	u32 have = s->have & 7, room = 8 - have, n;
	u64 word = parse_load(window + i), before;

	before = parse_below(word, 0x21) | parse_equal(word, at >= HTTP1_AT_LIST ? ',' : ':');
	before = parse_before(before | parse_mark(len - i < room ? len - i : room));
	n = parse_count(before);
	word = s->word | (word & before) << (8 * have);
	have += n;
	i += n;
	if (have < 8 && i >= len) {
		s->word = word;
		s->have = have;
		return i;
	}
	s->word = 0;
	s->have = 0;
	c = window[i];
	switch (at) {
	case HTTP1_AT_REQUEST:
		return http1_method(s, word, have, c, i, out, cap);
	case HTTP1_AT_RESPONSE:
		if (!http1_version(s, word, have, HTTP1_AT_STATUS_SPACE)) {
			http1_fail(s, out, HTTP1_BAD_START);
		} else if (i < len && c == ' ') {
			s->at = HTTP1_AT_STATUS;
			return i + 1;
		}
		return i;
	case HTTP1_AT_VERSION:
		if (!http1_version(s, word, have, HTTP1_AT_VERSION_END))
			http1_fail(s, out, have ? HTTP1_BAD_VERSION : HTTP1_NO_VERSION);
		else if (i < len && c == '\r')
			s->at = HTTP1_AT_CR;
		return i;
	case HTTP1_AT_STATUS:
		return http1_status(s, word, have, c, i, out);
	case HTTP1_AT_NAME:
		return http1_name(s, word, have, c, window, i, len, out);
	case HTTP1_AT_LIST:
		return http1_member(s, word, have, c, window, i, len, out);
	case HTTP1_AT_LIST_LAST:
		return http1_member_rest(s, word, have, i);
	}
	return http1_name_rest(s, word, have, c, i, out);
}

/* Passes over the rest of a line, as much as there is. */
static __always_inline u32 http1_line(struct http1_state *s, const u8 *window, u32 i, u32 len, struct http1_out *out)
{
	u32 zero = http1_zero(s);
	u64 marks = 0;
	u8 c;

	for (int k = 0; k < HTTP1_WINDOW / 8 + 1; k++) {
		i = (i + zero) & HTTP1_MASK;
		if (!http1_shown(i, len))
			return i;
		marks = parse_below(parse_load(window + i), 0x20);
		if (marks || len - i < 8)
			break;
		i += 8;
	}
	i += parse_count(parse_before(marks | parse_mark(len - i)));
	if (!http1_shown(i, len))
		return i;
	c = window[i];
	if (c == '\t')
		return i + 1;
	if (c == '\r')
		s->at = HTTP1_AT_CR;
	else
		http1_fail(s, out, http1_control(c));
	return i;
}

/* Passes over other bytes that do not matter, and takes the one that ends them. */
static __always_inline u32 http1_pass(struct http1_state *s, const u8 *window, u32 i, u32 len, struct http1_out *out)
{
	u32 zero = http1_zero(s);
	u8 at = s->at, c;
	/* As values, so that the verifier has one loop to walk and not one for each. */
	u64 one = PARSE_ONES * (at == HTTP1_AT_QUERY ? '#' : at == HTTP1_AT_EXTENSION ? '\r' : ',');
	u64 other = PARSE_ONES * (at == HTTP1_AT_HOST ? '@' : '\r');
	u64 limit = PARSE_ONES * (at < HTTP1_AT_QUERY ? 0x20 : 0x21), marks = 0;

	for (int k = 0; k < HTTP1_WINDOW / 8 + 1; k++) {
		u64 word;

		i = (i + zero) & HTTP1_MASK;
		if (!http1_shown(i, len))
			return i;
		word = parse_load(window + i);
		marks = parse_under(word, limit) | parse_like(word, one) | parse_like(word, other);
		if (marks || len - i < 8)
			break;
		i += 8;
	}
	i += parse_count(parse_before(marks | parse_mark(len - i)));
	if (!http1_shown(i, len))
		return i;
	c = window[i];
	if (c == '\r' && at != HTTP1_AT_EXTENSION && at != HTTP1_AT_QUERY) {
		s->at = HTTP1_AT_CR;
		return i;
	}
	if (at == HTTP1_AT_HOST) {
		s->at = HTTP1_AT_VALUE_END;
		return i;
	}
	if (at == HTTP1_AT_QUERY && c == ' ') {
		s->at = HTTP1_AT_VERSION;
		return i + 1;
	}
	if (at == HTTP1_AT_LIST_REST && c == ',') {
		s->at = HTTP1_AT_LIST;
		return i + 1;
	}
	if (at == HTTP1_AT_EXTENSION && c == '\r') {
		s->at = HTTP1_AT_CHUNK_LF;
		return i + 1;
	}
	if (at != HTTP1_AT_QUERY && c == '\t')
		return i + 1;
	http1_fail(s, out,
		   at == HTTP1_AT_EXTENSION ? HTTP1_CHUNK_EXTENSION
		   : at != HTTP1_AT_QUERY   ? http1_control(c)
		   : c == '#'		    ? HTTP1_FRAGMENT
		   : c == '\r' || c == '\n' ? HTTP1_NO_VERSION
					    : HTTP1_BAD_TARGET);
	return i;
}

/* A line feed that has to come: what went before depends on it. */
static __always_inline u32 http1_lf(struct http1_state *s, u8 at, u8 c, u32 i, struct http1_out *out)
{
	if (c != '\n') {
		http1_fail(s, out,
			   at == HTTP1_AT_CHUNK_END  ? HTTP1_CHUNK_END
			   : at == HTTP1_AT_EMPTY_LF ? HTTP1_BAD_START
						     : HTTP1_BARE_CR);
		return i;
	}
	if (at == HTTP1_AT_LF) {
		s->at = HTTP1_AT_NAME;
	} else if (at == HTTP1_AT_CHUNK_LF) {
		http1_chunk(s);
	} else if (at == HTTP1_AT_CHUNK_END) {
		s->at = HTTP1_AT_CHUNK_SIZE;
	} else {
		s->at = HTTP1_AT_REQUEST;
	}
	return i + 1;
}

/* The line feed of the empty line. */
static __always_inline u32 http1_head_lf(struct http1_state *s, u8 c, u32 i, struct http1_out *out)
{
	if (c != '\n') {
		http1_fail(s, out, HTTP1_BARE_CR);
		return i;
	}
	if (s->seen & HTTP1_IN_TRAILER)
		http1_end(s, out);
	else
		http1_head(s, i + 1, out);
	return i + 1;
}

/* One byte. */
static __always_inline u32 http1_byte(struct http1_state *s, u8 c, u32 i, struct http1_out *out,
				      struct http1_capture *cap)
{
	u8 at = s->at;

	switch (at) {
	case HTTP1_AT_EMPTY_LF:
	case HTTP1_AT_LF:
	case HTTP1_AT_CHUNK_LF:
	case HTTP1_AT_CHUNK_END:
		return http1_lf(s, at, c, i, out);
	case HTTP1_AT_METHOD:
		if (c == ' ') {
			s->have = 0;
			s->at = HTTP1_AT_TARGET;
		} else if (!http1_method_byte(c) || ++s->have > 16) {
			http1_fail(s, out, HTTP1_BAD_METHOD);
			return i;
		}
		return i + 1;
	case HTTP1_AT_SCHEME:
		return http1_scheme(s, c, i, out);
	case HTTP1_AT_AUTHORITY:
		return http1_authority(s, c, i, out, cap);
	case HTTP1_AT_STAR:
		if (c != ' ')
			break;
		s->key = http1_segment_end(s->key, s->segment, 0, 1);
		s->have = 0;
		s->at = HTTP1_AT_VERSION;
		return i + 1;
	case HTTP1_AT_VERSION_END:
		if (c != '\r')
			break;
		s->at = HTTP1_AT_CR;
		return i;
	case HTTP1_AT_STATUS_SPACE:
		if (c != ' ')
			break;
		s->at = HTTP1_AT_STATUS;
		return i + 1;
	case HTTP1_AT_VALUE_END:
	case HTTP1_AT_LIST_NEXT:
		return http1_value_end(s, c, i, out);
	case HTTP1_AT_HOST_HASH:
		return http1_host(s, c, i, out);
	case HTTP1_AT_CHUNK_SIZE:
		return http1_chunk_size(s, c, i, out);
	case HTTP1_AT_CHUNK_CR:
		if (c != '\r')
			break;
		s->at = HTTP1_AT_CHUNK_END;
		return i + 1;
	case HTTP1_AT_FAILED:
		http1_fail(s, out, s->status);
		return i;
	}
	http1_fail(s, out,
		   at == HTTP1_AT_STAR		 ? HTTP1_BAD_TARGET
		   : at == HTTP1_AT_VERSION_END	 ? (c == '\n' ? HTTP1_BARE_LF : HTTP1_BAD_VERSION)
		   : at == HTTP1_AT_STATUS_SPACE ? HTTP1_BAD_STATUS
		   : at == HTTP1_AT_CHUNK_CR	 ? HTTP1_CHUNK_END
		   : at == HTTP1_AT_HELD	 ? HTTP1_SWITCH_PENDING
						 : HTTP1_AFTER_CLOSE);
	return i;
}

/*
 * One turn: position and end of the window are in the low two bytes of where. What
 * follows most often is done in the same turn, in the order in which it comes.
 */
parse_function u32 http1_turn(struct http1_state *s, const struct http1_window *w, u32 where, struct http1_out *out,
			      struct http1_capture *cap)
{
	u32 i = where & HTTP1_MASK, len = where >> 8 & HTTP1_MASK;
	u32 zero;
	const u8 *window;

	if (!s || !w || !out || !cap)
		return i;
	window = w->bytes;
	zero = http1_zero(s);
	if (s->at == HTTP1_AT_NAME && !s->have && http1_dull(window[i]))
		s->at = HTTP1_AT_NAME_OTHER;
	if (s->at < HTTP1_AT_LINE)
		i = http1_collect(s, window, i, len, out, cap);
	else if (s->at >= HTTP1_AT_EMPTY_LF)
		i = http1_byte(s, window[i], i, out, cap);
	if (s->at > HTTP1_AT_LINE) {
		i = (i + zero) & HTTP1_MASK;
		len = (len + zero) & HTTP1_MASK;
		if (s->at == HTTP1_AT_TARGET && http1_shown(i, len))
			i = http1_target(s, window[i], i, out, cap);
		if (s->at == HTTP1_AT_PATH && http1_shown(i, len))
			i = http1_path(s, window, i, len, out, cap);
		if (s->at == HTTP1_AT_NAME_OTHER)
			i = http1_name_other(s, window, i, len, out);
		if (s->at == HTTP1_AT_VALUE && http1_shown(i, len))
			i = http1_value(s, window, i, len);
		if (s->at == HTTP1_AT_LENGTH)
			i = http1_length(s, window, i, len, out);
		if (s->at == HTTP1_AT_TRACE)
			i = http1_trace(s, window, i, len, cap);
	}
	i = (i + zero) & HTTP1_MASK;
	len = (len + zero) & HTTP1_MASK;
	if (s->at == HTTP1_AT_LINE)
		i = http1_line(s, window, i, len, out);
	if (s->at >= HTTP1_AT_EXTENSION && s->at <= HTTP1_AT_HOST)
		i = http1_pass(s, window, i, len, out);
	if (s->at == HTTP1_AT_CR)
		i = http1_line_end(s, window, i, len);
	if (s->at == HTTP1_AT_HEAD_LF && http1_shown(i, len))
		i = http1_head_lf(s, window[i], i, out);
	return i;
}
