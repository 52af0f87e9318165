/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A DNS message that lies whole in memory: what is asked, and which addresses the
 * answer has for it. dns.h reads a stream and skips the names of answers; here
 * only what belongs to the question counts: records of the asked name, or of the
 * name that the last alias (CNAME) led to, in the order in which they stand.
 * RFC 1034 §3.6.2, RFC 1035 §4.1.4.
 *
 * answer_begin(), then answer_turn() until it says ANSWER_NAME: the question is
 * read. Of a response then again, until ANSWER_END, or ANSWER_ERROR: what was
 * told of the message before an error is not to be used without that in mind.
 */
#pragma once

#include "name.h"

#define ANSWER_MOST 4096 /* bytes of a message; a power of two */
#define ANSWER_TEXT 253	 /* characters of a name (RFC 1035 §2.3.4) */
/* Turns for one message: each record of a full one, with a name that is compared label by label. */
#define ANSWER_TURNS 4096

/* The dot between two labels, and any byte that names of hosts do not have. */
#define ANSWER_DOT 38
#define ANSWER_ODD 39

enum answer_told {
	ANSWER_ON = 0,
	ANSWER_NAME = 1,
	ANSWER_ADDRESS = 2,
	ANSWER_END = 3,
	ANSWER_ERROR = 4,
};

enum answer_phase {
	ANSWER_QUESTION,
	ANSWER_OWNER,  /* at a record's beginning */
	ANSWER_LABELS, /* within its name */
	ANSWER_FIELDS, /* type, class, TTL, length */
	ANSWER_COMPARE,
	ANSWER_OVER,
};

enum answer_type {
	ANSWER_A = 1,
	ANSWER_CNAME = 5,
	ANSWER_AAAA = 28,
};

enum answer_flag {
	ANSWER_QR = 0x8000,
	ANSWER_OPCODE = 0x7800,
	ANSWER_TC = 0x0200,
	ANSWER_RCODE = 0x000f,
};

/* Where a comparison is within a name. */
struct answer_cursor {
	u16 at;
	u16 run; /* where the run of labels began: a pointer must lead before it */
};

struct answer_state {
	u64 hash; /* of text */
	u64 address[2];
	u32 ttl;       /* of the address */
	u32 alias_ttl; /* the least of the aliases so far */
	u16 size;
	u16 at;
	u16 id;
	u16 flags;
	u16 type;  /* of the question */
	u16 class; /* of the question */
	u16 unread;
	u16 wanted; /* where the name begins whose records count */
	u16 owner;  /* where the record's begins */
	u16 record; /* its type */
	u16 data;   /* where its data is */
	u16 data_size;
	u16 name; /* characters of text */
	struct answer_cursor ours;
	struct answer_cursor theirs;
	u16 compared;
	u8 phase;
	u8 label; /* bytes of the label to come */
	u8 odd;	  /* a byte that no host's name has: no pattern speaks of such names */
	u8 reserved[9];
	u8 text[256]; /* its characters: see answer_character() */
};

struct answer_bytes {
	u8 b[ANSWER_MOST + PARSE_SLACK];
};

_Static_assert(sizeof(struct answer_state) == 336, "answer_state");

static __always_inline u8 answer_byte(const struct answer_bytes *m, u32 at)
{
	return m->b[at & (ANSWER_MOST - 1)];
}

static __always_inline u64 answer_word(const struct answer_bytes *m, u32 at)
{
	return parse_load(m->b + (at & (ANSWER_MOST - 1)));
}

static __always_inline u16 answer_short(const struct answer_bytes *m, u32 at)
{
	return answer_byte(m, at) << 8 | answer_byte(m, at + 1);
}

/* Begins a message of so many bytes. False where it is neither a plain question nor the answer to one. */
static __always_inline bool answer_begin(struct answer_state *s, const struct answer_bytes *m, u32 size)
{
	u64 head = __builtin_bswap64(answer_word(m, 0));

	__builtin_memset(s, 0, __builtin_offsetof(struct answer_state, text));
	if (size < 12 || size > ANSWER_MOST)
		return false;
	s->hash = NAME_HASH;
	s->alias_ttl = ~0u;
	s->size = size;
	s->at = s->wanted = 12;
	s->id = head >> 48;
	s->flags = head >> 32;
	s->unread = head;
	return (u16)(head >> 16) == 1 && !(s->flags & ANSWER_OPCODE) && (s->flags & ANSWER_QR || !s->unread);
}

/* Goes back to the first record, which began there. */
static __always_inline void answer_again(struct answer_state *s, const struct answer_bytes *m, u16 first)
{
	s->at = first;
	s->unread = answer_short(m, 6);
	s->wanted = 12;
	s->alias_ttl = ~0u;
	s->phase = ANSWER_OWNER;
}

static __always_inline u32 answer_over(struct answer_state *s, u32 told)
{
	s->phase = ANSWER_OVER;
	return told;
}

/* What pattern rules can speak of, as numbers without gaps: letters of either case, digits, "-", "_". */
static __always_inline u8 answer_character(u8 c)
{
	u8 small = c | 0x20;

	if (small >= 'a' && small <= 'z')
		return small - 'a';
	if (c >= '0' && c <= '9')
		return c - '0' + 26;
	return c == '-' ? 36 : c == '_' ? 37 : ANSWER_ODD;
}

static __always_inline void answer_put(struct answer_state *s, u8 c)
{
	s->text[s->name & 255] = c;
	s->name++;
	s->hash = name_mix(s->hash, c);
}

/* One byte of the question's name, or what is behind it. */
static __always_inline u32 answer_question(struct answer_state *s, const struct answer_bytes *m)
{
	u8 c = answer_byte(m, s->at);

	if (s->at >= s->size)
		return answer_over(s, ANSWER_ERROR);
	s->at++;
	if (s->label) {
		s->label--;
		c = answer_character(c);
		s->odd |= c == ANSWER_ODD;
		answer_put(s, c);
		return ANSWER_ON;
	}
	if (c) {
		/* A pointer has nothing to point to yet. */
		if (c > 63 || s->name + !!s->name + c > ANSWER_TEXT)
			return answer_over(s, ANSWER_ERROR);
		if (s->name)
			answer_put(s, ANSWER_DOT);
		s->label = c;
		return ANSWER_ON;
	}
	if (s->at + 4 > s->size)
		return answer_over(s, ANSWER_ERROR);
	s->type = answer_short(m, s->at);
	s->class = answer_short(m, s->at + 2);
	s->at += 4;
	s->phase = ANSWER_OWNER;
	return ANSWER_NAME;
}

/* A label of a record's name, which is passed over: most records tell by their type that it does not matter. */
static __always_inline u32 answer_labels(struct answer_state *s, const struct answer_bytes *m)
{
	u8 c = answer_byte(m, s->at);

	if (s->at >= s->size || (c > 63 && c < 0xc0))
		return answer_over(s, ANSWER_ERROR);
	s->at += c >= 0xc0 ? 2 : 1 + c;
	if (s->at - s->owner > 255)
		return answer_over(s, ANSWER_ERROR);
	if (!c || c >= 0xc0)
		s->phase = ANSWER_FIELDS;
	return ANSWER_ON;
}

static __always_inline u32 answer_fields(struct answer_state *s, const struct answer_bytes *m)
{
	u32 at = s->at, ttl = answer_short(m, at + 4) << 16 | answer_short(m, at + 6);

	if (at + 10 > s->size || at + 10 + answer_short(m, at + 8) > s->size)
		return answer_over(s, ANSWER_ERROR);
	s->record = answer_short(m, at);
	s->data = at + 10;
	s->data_size = answer_short(m, at + 8);
	s->at = s->data + s->data_size;
	s->ttl = ttl >> 31 ? 0 : ttl; /* RFC 2181 §8 */
	s->phase = ANSWER_OWNER;
	if (answer_short(m, at + 2) != 1 || /* class IN */
	    (s->record != ANSWER_A && s->record != ANSWER_AAAA && s->record != ANSWER_CNAME))
		return ANSWER_ON;
	if ((s->record == ANSWER_A && s->data_size != 4) || (s->record == ANSWER_AAAA && s->data_size != 16))
		return answer_over(s, ANSWER_ERROR);
	s->ours.at = s->ours.run = s->owner;
	s->theirs.at = s->theirs.run = s->wanted;
	s->compared = 0;
	s->phase = ANSWER_COMPARE;
	return ANSWER_ON;
}

/* The record is one of the wanted name's. */
static __always_inline u32 answer_take(struct answer_state *s, const struct answer_bytes *m)
{
	s->phase = ANSWER_OWNER;
	if (s->alias_ttl < s->ttl)
		s->ttl = s->alias_ttl;
	switch (s->record) {
	case ANSWER_CNAME:
		s->alias_ttl = s->ttl;
		s->wanted = s->data;
		return ANSWER_ON;
	case ANSWER_A:
		s->address[0] = 0;
		s->address[1] = (u64)0xffff0000u | answer_word(m, s->data) << 32;
		return ANSWER_ADDRESS;
	}
	s->address[0] = answer_word(m, s->data);
	s->address[1] = answer_word(m, s->data + 8);
	return ANSWER_ADDRESS;
}

/* Follows a pointer; false where it does not lead back. */
static __always_inline bool answer_jump(struct answer_cursor *c, const struct answer_bytes *m)
{
	u16 to = answer_short(m, c->at) & 0x3fff;

	if (to < 12 || to >= c->run)
		return false;
	c->at = c->run = to;
	return true;
}

static __always_inline bool answer_same(const struct answer_bytes *m, u32 a, u32 b, u32 n)
{
	u64 differ = 0;

#pragma unroll
	for (u32 at = 0; at < 64; at += 8) {
		if (at < n) {
			u32 rest = n - at;
			u64 x = name_fold(answer_word(m, a + at)) ^ name_fold(answer_word(m, b + at));

			if (rest < 8)
				x &= ~(~0ull << (8 * (rest & 7)));
			differ |= x;
		}
	}
	return !differ;
}

/* One label of both names, or one pointer. */
static __always_inline u32 answer_compare(struct answer_state *s, const struct answer_bytes *m)
{
	u8 a = answer_byte(m, s->ours.at), b = answer_byte(m, s->theirs.at);

	if (s->ours.at >= s->size || s->theirs.at >= s->size)
		return answer_over(s, ANSWER_ERROR);
	if (s->ours.at == s->theirs.at)
		return answer_take(s, m);
	if (a >= 0xc0)
		return answer_jump(&s->ours, m) ? ANSWER_ON : answer_over(s, ANSWER_ERROR);
	if (b >= 0xc0)
		return answer_jump(&s->theirs, m) ? ANSWER_ON : answer_over(s, ANSWER_ERROR);
	s->compared += 1 + a;
	if (a > 63 || b > 63 || s->compared > 255 || s->ours.at + 1 + a > s->size || s->theirs.at + 1 + b > s->size)
		return answer_over(s, ANSWER_ERROR);
	if (a != b || !answer_same(m, s->ours.at + 1, s->theirs.at + 1, a)) {
		s->phase = ANSWER_OWNER;
		return ANSWER_ON;
	}
	if (!a)
		return answer_take(s, m);
	s->ours.at += 1 + a;
	s->theirs.at += 1 + b;
	return ANSWER_ON;
}

/* Reads on; returns enum answer_told. */
PARSE_GLOBAL u32 answer_turn(struct answer_state *s, const struct answer_bytes *m)
{
	if (!s || !m)
		return ANSWER_ERROR;
	switch (s->phase) {
	case ANSWER_QUESTION:
		return answer_question(s, m);
	case ANSWER_OWNER:
		if (!s->unread || s->flags & ANSWER_RCODE)
			return answer_over(s, ANSWER_END);
		s->unread--;
		s->owner = s->at;
		s->phase = ANSWER_LABELS;
		return ANSWER_ON;
	case ANSWER_LABELS:
		return answer_labels(s, m);
	case ANSWER_FIELDS:
		return answer_fields(s, m);
	case ANSWER_COMPARE:
		return answer_compare(s, m);
	}
	return ANSWER_ERROR;
}
