/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A path, and the key of the operation that it makes with the method.
 *
 * The key is a hash of the method and of the path without its query, in which
 * segments that name one thing among many are one and the same:
 *
 *  - numbers: digits alone;
 *  - hexadecimal: 8 or more of 0-9 a-f A-F, at least one of them a digit;
 *  - UUIDs: 36 characters, hexadecimal but for hyphens at 8, 13, 18 and 23.
 *
 * Segments stand between slashes and are taken as they are: nothing is decoded,
 * no dots or double slashes are resolved. It groups, it does not judge: who
 * wants to can make two paths that have one key. Package operation has the same
 * in Go.
 */
#pragma once

#include "http1_state.h"

#define HTTP1_KEY_SEED 0x8f1bbcdc2545f491ull
#define HTTP1_SEGMENT_SEED 0x27d4eb2f165667c5ull
#define HTTP1_PLACEHOLDER 0x6a09e667bb67ae85ull
#define HTTP1_MIX 0x9e3779b97f4a7c15ull
#define HTTP1_SEGMENT_MIX 0x5bd1e995 /* fits an instruction */

/* What a segment can be, as far as it was read; all but UUID in the low bits of http1_shapes. */
#define SHAPE_DIGITS 1
#define SHAPE_HEX 2
#define SHAPE_UUID 4
#define SHAPE_NO_DIGIT 8
#define SHAPE_HYPHEN 0x10 /* counts, in the high bits, those that are where a UUID has them */
#define SHAPE_ANY 0x0f
#define UUID_HYPHENS (1ull << 8 | 1ull << 13 | 1ull << 18 | 1ull << 23)

#define D (SEGMENT | SHAPE_DIGITS | SHAPE_HEX | SHAPE_UUID)
#define X (SEGMENT | SHAPE_HEX | SHAPE_UUID | SHAPE_NO_DIGIT)
#define O (SEGMENT | SHAPE_NO_DIGIT)
#define H (SEGMENT | SHAPE_UUID | SHAPE_NO_DIGIT)

/* Which shapes a byte leaves possible. Others: the slash, and bytes that are in no path (0). */
#define SEGMENT 0xf0
#define SLASH 1

static const u8 http1_shapes[256] = {
    ['!'] = O,	       ['"'] = O,	  ['$' ... ','] = O, ['-'] = H,		  ['.'] = O,
    ['/'] = SLASH,     ['0' ... '9'] = D, [':' ... '>'] = O, ['@'] = O,		  ['A' ... 'F'] = X,
    ['G' ... '`'] = O, ['a' ... 'f'] = X, ['g' ... '~'] = O, [0x80 ... 0xff] = O,
};

#undef D
#undef X
#undef O
#undef H

static __always_inline u64 http1_mix(u64 hash, u64 value)
{
	hash = (hash ^ value) * HTTP1_MIX;
	return hash ^ hash >> 32;
}

static __always_inline void http1_segment(struct http1_state *s)
{
	s->segment = HTTP1_SEGMENT_SEED;
	s->shape = SHAPE_ANY;
	s->have = 0;
}

/* The key with a segment that is complete. Without branches: the verifier would walk each of them. */
static __always_inline u64 http1_segment_end(u64 key, u64 segment, u8 shape, u32 length)
{
	u32 digits = shape & -length >> 31;
	u32 hex = shape >> 1 & ~(shape >> 3) & (7 - length) >> 31;
	u32 uuid = (((shape ^ (4 * SHAPE_HYPHEN + SHAPE_UUID)) & (0xf0 | SHAPE_UUID)) | (length ^ 36)) - 1;
	u64 one_of_many = -(u64)((digits | hex | uuid >> 31) & 1);

	return http1_mix(key, segment ^ ((segment ^ HTTP1_PLACEHOLDER) & one_of_many));
}

/* Captures the first n of a word's bytes as more of the path. */
static __always_inline void http1_keep(struct http1_capture *cap, u64 word, u32 n)
{
	u32 at = cap->path_len;

	if (at >= HTTP1_PATH)
		return;
	/* What is stored beyond the path is overwritten, as trace comes later. */
	parse_store(cap->path + at, n < 8 ? word & ~(~0ull << (8 * n)) : word);
	at += n;
	cap->path_len = at < HTTP1_PATH ? at : HTTP1_PATH;
}

/* The path's end: c says how. Returns whether it is one. */
static __always_inline bool http1_path_end(struct http1_state *s, struct http1_out *out, u8 c)
{
	s->have = 0;
	if (c == '?') {
		s->seen |= HTTP1_QUERY;
		s->at = HTTP1_AT_QUERY;
	} else if (c == ' ') {
		s->at = HTTP1_AT_VERSION;
	} else {
		http1_fail(s, out,
			   c == '#'		    ? HTTP1_FRAGMENT
			   : c == '\r' || c == '\n' ? HTTP1_NO_VERSION
						    : HTTP1_BAD_TARGET);
		return false;
	}
	return true;
}

/* Up to 16 bytes of a path. */
static __always_inline u32 http1_path(struct http1_state *s, const u8 *window, u32 i, u32 len, struct http1_out *out,
				      struct http1_capture *cap)
{
	u32 left = len - i, zero = http1_zero(s), have = s->have, n;
	const u8 *bytes = window + i;
	u64 key = s->key, segment = s->segment;
	u8 shape = s->shape;
	u32 end = 0; /* one above the byte that ends it */

	for (n = 0; n < 16; n++) {
		u8 c, shapes;

		if (n >= left)
			break;
		c = bytes[n];
		shapes = http1_shapes[c];
		if (shapes >= SEGMENT) {
			segment = (segment ^ c) * HTTP1_SEGMENT_MIX;
			shape &= shapes;
			if (c == '-') {
				if (UUID_HYPHENS >> have & 1)
					shape += SHAPE_HYPHEN;
				else
					shape &= ~SHAPE_UUID;
			}
			have += (have - 63) >> 31; /* one more, but 63 at most */
		} else if (shapes) {
			key = http1_segment_end(key, segment, shape, have);
			segment = HTTP1_SEGMENT_SEED;
			shape = SHAPE_ANY + zero;
			have = zero;
		} else {
			end = c + 1;
			break;
		}
	}
	/* As if it did not matter where the loop ended. */
	n = (n + zero) & 31;
	i += n;
	http1_keep(cap, parse_load(bytes), n < 8 ? n : 8);
	http1_keep(cap, parse_load(bytes + 8), n > 8 ? n - 8 : 0);
	s->have = have;
	s->segment = segment;
	s->shape = shape;
	if (end && http1_path_end(s, out, end - 1)) {
		key = http1_segment_end(key, segment, shape, have);
		i++;
	}
	s->key = key;
	return i;
}
