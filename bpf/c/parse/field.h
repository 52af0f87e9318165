/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What parsers of binary protocols share: they read fields, whole numbers in network order. */
#pragma once

#include "parse.h"
#include <stdbool.h>

/*
 * A function that the verifier walks once, whoever calls it how often. Its
 * pointers may be NULL to the verifier and must be asked.
 */
#ifdef __bpf__
#define PARSE_GLOBAL __attribute__((noinline))
#else
#define PARSE_GLOBAL static __attribute__((noinline, unused))
#endif

/* A field with n more bytes, 1 to 8, from what parse_load() gave. Its newest byte is the lowest. */
static __always_inline u64 field_add(u64 field, u64 word, u32 n)
{
	/* by halves, as a shift by all 64 bits is none */
	return field << (4 * n) << (4 * n) | __builtin_bswap64(word) >> (64 - 8 * n);
}

static __always_inline u32 field_least(u32 a, u32 b)
{
	return a < b ? a : b;
}
