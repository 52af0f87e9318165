/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What all parsers share. A parser is pure: it sees the bytes of one direction
 * of one connection in order, a window at a time, and keeps what it needs in its
 * state. No helpers, no maps, no globals: the same source is built for BPF and
 * natively, and both give the same outputs, byte for byte.
 *
 *	u32 X_step(struct X_state *s, const u8 *window, u32 len, struct X_out *out);
 *
 * takes 1 to PARSE_WINDOW bytes (X_WINDOW where a protocol has its own) and returns how many it consumed: fewer than
 *len where something ended, or where a call would get too long for the verifier. Show it the rest again. What it says
 *never depends on how the stream was cut.
 *
 *  - window: PARSE_WINDOW + PARSE_SLACK bytes that may be read, of which len count.
 *    Whatever is in the others changes nothing.
 *  - s: starts with `u64 skip`: bytes of the stream that follow and need not be shown.
 *    While it is not zero, pass over them and tell X_skipped(); PARSE_REST means all
 *    that ever comes. A state is plain data: it may be copied, kept and put back.
 *  - out: starts with struct parse_out. flags are set anew by every call; the other
 *    fields are valid as the flags say. One call ends at most one message.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define PARSE_WINDOW 64
#define PARSE_SLACK 16 /* so that the last byte can be loaded with a whole word, and one past that be read */

#define PARSE_REST (~0ull)

enum parse_flag {
	OUT_HEAD = 1,	/* a head is complete: its fields are valid */
	OUT_END = 2,	/* the message is complete, all of its bytes have been seen or skipped */
	OUT_ERROR = 4,	/* not this protocol, or readable in two ways: see reason; nothing more comes */
	OUT_SWITCH = 8, /* another protocol from the next byte on */
};

/*
 * Why a parser gave up. Numbered once and never reused: they are the same in C,
 * Go, metrics and docs. Each protocol has a range of its own, in its header:
 * HTTP/1 from 100, DNS from 200, TLS from 300, HTTP/2 from 400, Kafka from 500.
 */
enum parse_reason {
	PARSE_OK = 0,
};

/* Starts the out of every parser. */
struct parse_out {
	u8 flags; /* enum parse_flag */
	u8 kind;  /* what kind of message, as the protocol says */
	u16 reason;
};

/*
 * A function that is verified once, and not again for every call. It takes
 * pointers to structures, which it has to compare with NULL.
 */
#ifdef __bpf__
#define parse_function __attribute__((noinline))
#else
#define parse_function static inline
#endif

/* <linux/stddef.h> makes a mere "inline" of it. */
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))

/*
 * Tells the verifier to forget what it knows of a position: one value with all
 * values to come in a loop, so that turns look alike and are walked once. mask
 * is one below a power of two, and v never above it.
 */
#ifdef __bpf__
#define parse_forget(v, mask) asm volatile("%0 &= %1" : "+r"(v) : "i"(mask))
#else
#define parse_forget(v, mask) ((void)(v))
#endif

/* Makes what is in memory be read again: what was read from there is unknown to the verifier. */
#define parse_reload() asm volatile("" ::: "memory")

/*
 * Eight bytes at a time, the first of them lowest. A mark is 0x80 in the byte
 * that it is for. Only the lowest mark of a word is exact: borrows may set more
 * above it.
 */
#define PARSE_ONES 0x0101010101010101ull
#define PARSE_MARKS 0x8080808080808080ull

/* A plain load: the compiler would put a packed one together from single bytes for BPF. */
#ifdef __bpf__
typedef u64 parse_word;
#else
typedef u64 parse_word __attribute__((aligned(1), may_alias));
#endif

static __always_inline u64 parse_load(const u8 *p)
{
	return *(const parse_word *)p;
}

static __always_inline void parse_store(u8 *p, u64 word)
{
	*(parse_word *)p = word;
}

/* Marks bytes below limit (1 to 0x80), which is in all bytes of limits. */
static __always_inline u64 parse_under(u64 word, u64 limits)
{
	return (word - limits) & ~word & PARSE_MARKS;
}

static __always_inline u64 parse_below(u64 word, u8 limit)
{
	return parse_under(word, PARSE_ONES * limit);
}

/* Marks bytes that are c, which is in all bytes of cs. */
static __always_inline u64 parse_like(u64 word, u64 cs)
{
	return parse_under(word ^ cs, PARSE_ONES);
}

static __always_inline u64 parse_equal(u64 word, u8 c)
{
	return parse_like(word, PARSE_ONES * c);
}

/* Marks byte n, or nothing for n of 8 and more: a limit as if it were a byte found. */
static __always_inline u64 parse_mark(u64 n)
{
	return n < 8 ? 0x80ull << (8 * n) : 0;
}

/* The bytes before the lowest mark as 0xff, all eight where there is none. */
static __always_inline u64 parse_before(u64 marks)
{
	marks >>= 7;
	return (marks & -marks) - 1;
}

/* How many bytes parse_before() has. */
static __always_inline u32 parse_count(u64 before)
{
	/* 8 at most; the verifier can be told 15. */
	return (((before & PARSE_ONES) * PARSE_ONES) >> 56) & 15;
}

/* Makes ASCII letters small. No other byte above 0x20 becomes a letter, a digit or a hyphen by it. */
static __always_inline u64 parse_lower(u64 word)
{
	return word | PARSE_ONES * 0x20;
}

/* Up to eight characters as parse_load() reads them; a constant in the end. */
#define parse_char(text, n) (sizeof(text) - 1 > (n) ? (u64)(u8)(text)[(n) % sizeof(text)] << (8 * (n)) : 0)
#define parse_text(text)                                                                                               \
	(parse_char(text, 0) | parse_char(text, 1) | parse_char(text, 2) | parse_char(text, 3) | parse_char(text, 4) | \
	 parse_char(text, 5) | parse_char(text, 6) | parse_char(text, 7))
