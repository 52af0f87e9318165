/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Names that are compared without case, in words as parse_load() gives them. */
#pragma once

#include "field.h"

#define NAME_HASH 0xcbf29ce484222325ull
#define NAME_PRIME 0x9e3779b97f4a7c15ull

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

static __always_inline u64 name_mix(u64 hash, u64 value)
{
	hash = (hash ^ value) * NAME_PRIME;
	return hash ^ hash >> 32;
}

/*
 * The hash of a name goes over its bytes in groups of eight from its beginning,
 * each a number in network order, then over what is left, then over its length. So it does not depend on how the name
 * was cut. before is what field_add() made of the bytes before these n, the first of which is the name's byte at.
 */
static __always_inline u64 name_hash(u64 hash, u64 before, u64 word, u32 n, u32 at)
{
	u32 missing = 8 - (at & 7);

	return n < missing ? hash : name_mix(hash, field_add(before, word, missing));
}

/* After all size bytes, field being what field_add() made of the last ones. */
static __always_inline u64 name_hash_end(u64 hash, u64 field, u32 size)
{
	/* by halves, as a shift by all 64 bits is none */
	u32 rest = 4 * (size & 7);

	return name_mix(name_mix(hash, field & ~(~0ull << rest << rest)), size);
}
