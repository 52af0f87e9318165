/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Whether a stream that begins like this can be HTTP/1. */
#pragma once

#include "http1_target.h"

enum http1_verdict {
	HTTP1_NO = 0,
	HTTP1_MAYBE = 1, /* so far: ask again with more of the same bytes */
	HTTP1_IS_REQUEST = 2,
	HTTP1_IS_RESPONSE = 3,
};

/*
 * Looks at the first bytes of a message, as many as there are up to
 * HTTP1_WINDOW. A yes is a method and the beginning of a target, or "HTTP/1.": enough to
 * start the parser, which says nothing before it has seen a version and a whole head.
 */
static __always_inline u8 http1_detect(const u8 *window, u32 len)
{
	u64 word = parse_load(window), have, version = parse_text("HTTP/1.");
	u32 method = 0;
	u8 c;

	if (len > HTTP1_WINDOW)
		len = HTTP1_WINDOW;
	have = len < 7 ? ~(~0ull << (8 * len)) : ~0ull >> 8;
	if (!((word ^ version) & have))
		return len < 7 ? HTTP1_MAYBE : HTTP1_IS_RESPONSE;
	/* Registered methods are of capitals and hyphens; the shortest has three. */
	for (u32 k = 0; k < 24; k++) {
		if (k >= len)
			return HTTP1_MAYBE;
		c = window[k];
		if ((u8)(c - 'A') >= 26 && (c != '-' || !k))
			break;
		method = k + 1;
	}
	if (method < 3 || method >= 24 || c != ' ')
		return HTTP1_NO;
	if (method == 3 && (word & 0xffffff) == parse_text("PRI"))
		return HTTP1_NO;
	if (method + 1 >= len)
		return HTTP1_MAYBE;
	c = window[method + 1];
	if (method == 7 && (word & ~0ull >> 8) == parse_text("CONNECT"))
		return http1_shapes[c] >= SEGMENT ? HTTP1_IS_REQUEST : HTTP1_NO;
	if (method == 7 && (word & ~0ull >> 8) == parse_text("OPTIONS") && c == '*')
		return HTTP1_IS_REQUEST;
	return c == '/' || (c | 0x20) == 'h' ? HTTP1_IS_REQUEST : HTTP1_NO;
}
