/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The values of the header fields that matter. */
#pragma once

#include "http1_name.h"
#include "http1_target.h"

/* Goes from the spaces before a value to the value. */
static __always_inline u32 http1_value(struct http1_state *s, const u8 *window, u32 i, u32 len)
{
	u8 header = s->header;

	if (window[i] == ' ' && i + 1 < len)
		i++;
	if (window[i] == ' ' || window[i] == '\t')
		return i + 1;
	s->have = 0;
	if (header == HTTP1_FIELD_LENGTH)
		s->at = HTTP1_AT_LENGTH;
	else if (header == HTTP1_FIELD_HOST)
		s->at = s->seen & HTTP1_ABSOLUTE ? HTTP1_AT_HOST_HASH : HTTP1_AT_HOST;
	else if (header == HTTP1_FIELD_TRACE)
		s->at = HTTP1_AT_TRACE;
	else
		s->at = HTTP1_AT_LIST;
	return i;
}

/* Digits of Content-Length, and what ends them. */
static __always_inline u32 http1_length(struct http1_state *s, const u8 *window, u32 i, u32 len, struct http1_out *out)
{
	u32 zero = http1_zero(s), have = s->have;
	u64 number = s->number;
	u8 c = 0;

	for (int k = 0; k < 20; k++) {
		i = (i + zero) & HTTP1_MASK;
		if (have > 18 || !http1_shown(i, len))
			break;
		c = window[i];
		if ((u8)(c - '0') > 9)
			break;
		number = number * 10 + c - '0';
		have++;
		i++;
	}
	s->number = number;
	s->have = have;
	if (have > 18) {
		http1_fail(s, out, HTTP1_LENGTH_LONG);
		return i;
	}
	if (!http1_shown(i, len))
		return i;
	s->have = 0;
	if (have && c == '\r') {
		s->at = HTTP1_AT_CR;
		return i;
	}
	if (have && (c == ' ' || c == '\t')) {
		s->at = HTTP1_AT_VALUE_END;
		return i + 1;
	}
	http1_fail(s, out, HTTP1_LENGTH_FORM);
	return i;
}

/* What comes after "keep-ali", without a turn for it where it is the rest of the line. */
static __always_inline u32 http1_keep_alive_end(struct http1_state *s, const u8 *window, u32 i, u32 len)
{
	s->at = HTTP1_AT_LIST_LAST;
	if (!http1_shown(i, len) || i + 3 > len)
		return i;
	parse_forget(i, HTTP1_MASK);
	if ((parse_lower(parse_load(window + i)) & 0xffffff) != (parse_text("ve") | '-' << 16) || window[i + 2] != '\r')
		return i;
	s->seen |= HTTP1_SAID_KEEP;
	s->at = HTTP1_AT_CR;
	return i + 2;
}

/* A member of Connection, Transfer-Encoding, Upgrade or Expect, or its first 8 bytes; c comes then. */
static __always_inline u32 http1_member(struct http1_state *s, u64 word, u32 have, u8 c, const u8 *window, u32 i,
					u32 len, struct http1_out *out)
{
	u8 header = s->header;

	word = parse_lower(word);
	if (have < 8)
		word &= ~(~0ull << (8 * have));
	if (header == HTTP1_FIELD_CODING) {
		if (word == parse_text("chunked")) {
			s->at = c == '\r' ? HTTP1_AT_CR : HTTP1_AT_VALUE_END;
			return i;
		}
		http1_fail(s, out, HTTP1_CODING_FORM);
		return i;
	}
	if (!have) {
		if (c == ',' || c == ' ' || c == '\t')
			return i + 1;
		if (c == '\r') {
			s->at = HTTP1_AT_CR;
			return i;
		}
		http1_fail(s, out, http1_control(c));
		return i;
	}
	s->at = have == 8 ? HTTP1_AT_LIST_REST : c == '\r' ? HTTP1_AT_CR : HTTP1_AT_LIST_NEXT;
	if (header == HTTP1_FIELD_CONNECTION) {
		if (word == parse_text("close"))
			s->seen |= HTTP1_SAID_CLOSE;
		else if (word == parse_text("upgrade"))
			s->seen |= HTTP1_SAID_UPGRADE;
		else if (word == parse_text("keep-ali"))
			return http1_keep_alive_end(s, window, i, len);
	} else if (header == HTTP1_FIELD_UPGRADE) {
		s->seen |= HTTP1_SEEN_UPGRADE;
		if (word == parse_text("websocke"))
			s->at = HTTP1_AT_LIST_LAST;
		else if (word == parse_text("h2c"))
			s->seen |= HTTP1_H2C;
	} else if (word == parse_text("100-cont")) {
		s->at = HTTP1_AT_LIST_LAST;
	}
	return i;
}

/* The second word of a member whose first is one of three. */
static __always_inline u32 http1_member_rest(struct http1_state *s, u64 word, u32 have, u32 i)
{
	u8 header = s->header;

	s->at = HTTP1_AT_LIST_NEXT;
	if (have == 8) {
		s->at = HTTP1_AT_LIST_REST;
		return i;
	}
	word = parse_lower(word) & ~(~0ull << (8 * have));
	if (header == HTTP1_FIELD_CONNECTION && word == parse_text("ve"))
		s->seen |= HTTP1_SAID_KEEP;
	else if (header == HTTP1_FIELD_UPGRADE && word == parse_text("t"))
		s->seen |= HTTP1_WEBSOCKET;
	else if (header == HTTP1_FIELD_EXPECT && word == parse_text("inue"))
		s->seen |= HTTP1_EXPECT;
	return i;
}

/* What may stand after a value or a member of a list. */
static __always_inline u32 http1_value_end(struct http1_state *s, u8 c, u32 i, struct http1_out *out)
{
	u8 header = s->header;
	u16 reason = HTTP1_LIST_FORM;

	if (c == ' ' || c == '\t')
		return i + 1;
	if (c == '\r') {
		s->at = HTTP1_AT_CR;
		return i;
	}
	if (c == ',' && s->at == HTTP1_AT_LIST_NEXT) {
		s->at = HTTP1_AT_LIST;
		return i + 1;
	}
	if (header == HTTP1_FIELD_LENGTH)
		reason = HTTP1_LENGTH_FORM;
	else if (header == HTTP1_FIELD_CODING)
		reason = HTTP1_CODING_FORM;
	else if (header == HTTP1_FIELD_HOST)
		reason = HTTP1_HOST_FORM;
	http1_fail(s, out, reason);
	return i;
}

/* Host, where it has to be compared with the target's. */
static __always_inline u32 http1_host(struct http1_state *s, u8 c, u32 i, struct http1_out *out)
{
	if (c > ' ' && c != ',' && c != '@') {
		s->host = http1_hash_host(s->host, c);
		return i + 1;
	}
	s->at = HTTP1_AT_VALUE_END;
	return http1_value_end(s, c, i, out);
}

/* The value of traceparent, as far as it is one: to a space, a control character or 55 bytes. */
static __always_inline u32 http1_trace(struct http1_state *s, const u8 *window, u32 i, u32 len,
				       struct http1_capture *cap)
{
	u32 zero = http1_zero(s), n = 8, at = cap->trace_len;

	for (int k = 0; k < HTTP1_WINDOW / 8 && n == 8; k++) {
		u64 word, before;

		i = (i + zero) & HTTP1_MASK;
		if (!http1_shown(i, len))
			break;
		word = parse_load(window + i);
		before = parse_before(parse_below(word, 0x21) | parse_mark(len - i));
		n = parse_count(before);
		if (at < 56) {
			parse_store(cap->trace + at, word & before);
			at += n;
		}
		i += n;
	}
	cap->trace_len = at;
	if (n == 8 || !http1_shown(i, len))
		return i;
	if (at == HTTP1_TRACEPARENT)
		s->seen |= HTTP1_TRACED;
	else
		cap->trace_len = 0;
	s->at = HTTP1_AT_LINE;
	return i;
}
