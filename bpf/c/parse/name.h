/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Names that are compared without case, in words as parse_load() gives them. */
#pragma once

#include "parse.h"

#define NAME_HASH 0xcbf29ce484222325ull /* FNV-1a, 64 bits: of nothing */
#define NAME_PRIME 0x100000001b3ull

/* The first n bytes, n from 1 to 8. */
static __always_inline u64 name_first(u64 word, u32 n)
{
	return word & ~0ull >> (64 - 8 * n);
}

/* Makes A to Z small and changes nothing else: a label may hold any byte. */
static __always_inline u64 name_fold(u64 word)
{
	u64 low = word & ~PARSE_MARKS;
	u64 from_a = low + PARSE_ONES * (0x80 - 'A');
	u64 above_z = low + PARSE_ONES * (0x7f - 'Z');

	return word | (from_a & ~above_z & ~word & PARSE_MARKS) >> 2;
}

/* Adds the first n bytes. One by one: what is hashed does not depend on how it was cut into words. */
static __always_inline u64 name_hash(u64 hash, u64 word, u32 n)
{
#pragma clang loop unroll(full)
	for (u32 i = 0; i < 8; i++) {
		if (i < n)
			hash = (hash ^ (u8)(word >> (8 * i))) * NAME_PRIME;
	}
	return hash;
}
