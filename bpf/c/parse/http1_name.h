/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The names of header fields, compared a word at a time. Of a field that does not
 * matter nothing is looked at but that it is a line: a name, a colon, no control
 * characters.
 */
#pragma once

#include "http1_state.h"

/* A line was read to its CR, at i. What follows most often is its LF, and a CR after the last line. */
static __always_inline u32 http1_line_end(struct http1_state *s, const u8 *window, u32 i, u32 len)
{
	i++;
	s->at = HTTP1_AT_LF;
	if (!http1_shown(i, len) || window[i] != '\n')
		return i;
	i++;
	s->at = HTTP1_AT_NAME;
	if (!http1_shown(i, len) || window[i] != '\r')
		return i;
	s->at = HTTP1_AT_HEAD_LF;
	return i + 1;
}

static __always_inline u16 http1_control(u8 c)
{
	return c == '\n' ? HTTP1_BARE_LF : HTTP1_CONTROL;
}

/* Whether no name that matters begins like this, but another may. */
static __always_inline bool http1_dull(u8 c)
{
	const u32 matter =
	    1u << ('c' - 'a') | 1u << ('e' - 'a') | 1u << ('h' - 'a') | 1u << ('t' - 'a') | 1u << ('u' - 'a');
	u8 letter = (c | 0x20) - 'a';

	return letter < 26 && !(matter >> letter & 1);
}

/* Only framing and routing matter in requests and responses, the others in requests. */
static __always_inline bool http1_matters(const struct http1_state *s)
{
	return s->header <= HTTP1_FIELD_UPGRADE || !(s->seen & HTTP1_RESPONSES);
}

/* A known name's colon at i, c. */
static __always_inline u32 http1_named(struct http1_state *s, u8 c, u32 i, struct http1_out *out)
{
	u8 header = s->header;
	u32 seen = 0;
	u16 repeated = 0;

	if (c != ':') {
		http1_fail(s, out, c == ' ' || c == '\t' ? HTTP1_NAME_SPACE : HTTP1_NO_COLON);
		return i;
	}
	s->at = HTTP1_AT_LINE;
	if (!http1_matters(s))
		return i + 1;
	if (s->seen & HTTP1_IN_TRAILER) {
		if (header > HTTP1_FIELD_HOST)
			return i + 1;
		http1_fail(s, out, HTTP1_TRAILER);
		return i;
	}
	if (header == HTTP1_FIELD_LENGTH) {
		seen = HTTP1_SEEN_LENGTH;
		repeated = HTTP1_LENGTH_REPEATED;
		s->number = 0;
	} else if (header == HTTP1_FIELD_CODING) {
		seen = HTTP1_SEEN_CODING;
		repeated = HTTP1_CODING_REPEATED;
	} else if (header == HTTP1_FIELD_HOST) {
		seen = HTTP1_SEEN_HOST;
		repeated = HTTP1_HOST_REPEATED;
	} else if (header == HTTP1_FIELD_TRACE) {
		seen = HTTP1_SEEN_TRACE;
	}
	if (s->seen & seen) {
		if (repeated) {
			http1_fail(s, out, repeated);
			return i;
		}
		s->seen &= ~HTTP1_TRACED; /* of two traces neither is believed */
		return i + 1;
	}
	s->seen |= seen;
	s->at = HTTP1_AT_VALUE;
	return i + 1;
}

/*
 * The two names that nearly every message has, or begins like, without a turn for
 * their second word, which follows.
 */
static __always_inline u32 http1_name_next(struct http1_state *s, u64 word, u32 i, struct http1_out *out)
{
	bool length = s->header == HTTP1_FIELD_LENGTH, colon;
	u64 want = length ? parse_text("length:") : parse_text("on:");

	if (s->at != HTTP1_AT_NAME_REST || s->header > HTTP1_FIELD_CONNECTION || s->header == HTTP1_FIELD_CODING)
		return i;
	/* In small letters a control character would look like the colon. */
	colon = (word >> (length ? 48 : 16) & 0xff) == ':';
	word = (parse_lower(word) ^ want) & (length ? ~0ull >> 8 : ~0ull >> 40);
	if (!word && colon)
		return http1_named(s, ':', length ? i + 6 : i + 2, out);
	if (word & (length ? ~0ull >> 16 : ~0ull >> 48))
		s->at = HTTP1_AT_NAME_OTHER;
	return i;
}

/* The first word of a line, after which c comes. */
static __always_inline u32 http1_name(struct http1_state *s, u64 word, u32 have, u8 c, const u8 *window, u32 i, u32 len,
				      struct http1_out *out)
{
	u8 header;

	if (!have) {
		if (c == '\r') {
			s->at = HTTP1_AT_HEAD_LF;
			return i + 1;
		}
		http1_fail(s, out,
			   c == ' ' || c == '\t' ? HTTP1_OBS_FOLD
			   : c == ':'		 ? HTTP1_EMPTY_NAME
						 : http1_control(c));
		return i;
	}
	word = parse_lower(word);
	if (have == 8) {
		s->at = HTTP1_AT_NAME_REST;
		if (word == parse_text("content-"))
			s->header = HTTP1_FIELD_LENGTH;
		else if (word == parse_text("connecti"))
			s->header = HTTP1_FIELD_CONNECTION;
		else if (word == parse_text("transfer"))
			s->header = HTTP1_FIELD_CODING;
		else if (word == parse_text("tracepar"))
			s->header = HTTP1_FIELD_TRACE;
		else
			s->at = HTTP1_AT_NAME_OTHER;
		if (!http1_shown(i, len) || i + 8 > len)
			return i;
		parse_forget(i, HTTP1_MASK);
		return http1_name_next(s, parse_load(window + i), i, out);
	}
	/* parse_lower() has made spaces of the bytes that are not there. */
	word &= ~(~0ull << (8 * have));
	if (word == parse_text("host"))
		header = HTTP1_FIELD_HOST;
	else if (word == parse_text("upgrade"))
		header = HTTP1_FIELD_UPGRADE;
	else if (word == parse_text("expect"))
		header = HTTP1_FIELD_EXPECT;
	else {
		s->at = c == ':' ? HTTP1_AT_LINE : HTTP1_AT_NAME_OTHER;
		return c == ':' ? i + 1 : i;
	}
	s->header = header;
	return http1_named(s, c, i, out);
}

/* The second word of a name whose first is one of four, or the third. */
static __always_inline u32 http1_name_rest(struct http1_state *s, u64 word, u32 have, u8 c, u32 i,
					   struct http1_out *out)
{
	u64 want = parse_text("length");

	if (have < 8)
		word = parse_lower(word) & ~(~0ull << (8 * have));
	else
		word = parse_lower(word);
	if (s->at == HTTP1_AT_NAME_LAST)
		want = parse_text("g");
	else if (s->header == HTTP1_FIELD_CONNECTION)
		want = parse_text("on");
	else if (s->header == HTTP1_FIELD_CODING)
		want = parse_text("-encodin");
	else if (s->header == HTTP1_FIELD_TRACE)
		want = parse_text("ent");
	if (word != want) {
		s->at = HTTP1_AT_NAME_OTHER;
		return i;
	}
	if (have == 8) {
		s->at = HTTP1_AT_NAME_LAST;
		return i;
	}
	return http1_named(s, c, i, out);
}

/* The rest of a name that does not matter, to its colon. */
static __always_inline u32 http1_name_other(struct http1_state *s, const u8 *window, u32 i, u32 len,
					    struct http1_out *out)
{
	u32 zero = http1_zero(s), n = 8;
	u8 c;

	for (int k = 0; k < 3 && n == 8; k++) {
		u64 word;

		i = (i + zero) & HTTP1_MASK;
		if (!http1_shown(i, len))
			return i;
		word = parse_load(window + i);
		n = parse_count(parse_before(parse_below(word, 0x21) | parse_equal(word, ':') | parse_mark(len - i)));
		i += n;
	}
	if (n == 8 || !http1_shown(i, len))
		return i;
	c = window[i];
	if (c != ':') {
		http1_fail(s, out, c == ' ' || c == '\t' ? HTTP1_NAME_SPACE : HTTP1_NO_COLON);
		return i;
	}
	s->at = HTTP1_AT_LINE;
	return i + 1;
}
