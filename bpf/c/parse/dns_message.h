/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A DNS message, field by field. */
#pragma once

#include "dns.h"
#include "name.h"

/* What is being read. */
enum dns_phase {
	DNS_PREFIX,  /* a stream's length */
	DNS_ID,	     /* id, flags, QDCOUNT, ANCOUNT */
	DNS_COUNTS,  /* NSCOUNT, ARCOUNT */
	DNS_Q_LABEL, /* a label, and the next one's length */
	DNS_Q_TYPE,  /* type, class */
	DNS_R_LABEL,
	DNS_R_POINTER, /* its second byte, type, class */
	DNS_R_TYPE,    /* type, class */
	DNS_R_TTL,     /* and length */
	DNS_R_A,
	DNS_R_AAAA, /* its first half */
	DNS_R_AAAA2,
	DNS_LAST, /* the message's last byte, after others were skipped */
	DNS_DONE,
};

static __always_inline u32 dns_error(struct dns_state *s, u16 reason)
{
	s->phase = DNS_DONE;
	s->skip = PARSE_REST;
	return OUT_ERROR | (u32)reason << 16;
}

/* Reads n bytes next; false if the message has fewer. */
static __always_inline bool dns_read(struct dns_state *s, u8 phase, u8 n)
{
	if (s->left < n)
		return false;
	s->left -= n;
	s->need = n;
	s->phase = phase;
	return true;
}

/* Skips n bytes. Something must be read after that: nothing ends by being skipped. */
static __always_inline bool dns_pass(struct dns_state *s, u16 n)
{
	if (s->left < n)
		return false;
	s->left -= n;
	s->skip += n;
	return true;
}

static __always_inline void dns_clear(struct dns_state *s, u8 stream)
{
	__builtin_memset(s, 0, sizeof(*s));
	s->stream = stream;
	s->ttl = ~0u;
	s->hash = NAME_HASH;
}

/* After the message's last byte. */
static __always_inline u32 dns_end(struct dns_state *s)
{
	s->phase = DNS_DONE;
	if (s->stream) {
		s->phase = DNS_PREFIX;
		s->need = 2;
	} else {
		s->skip = PARSE_REST;
	}
	return OUT_HEAD | OUT_END;
}

/* After the question, and after each answer. */
static __always_inline u32 dns_next(struct dns_state *s)
{
	s->owner = 0;
	if (s->flags & DNS_QR && s->unread) {
		s->unread--;
		return dns_read(s, DNS_R_LABEL, 1) ? 0 : dns_error(s, DNS_SHORT);
	}
	if (!s->left)
		return dns_end(s);
	dns_pass(s, s->left - 1);
	dns_read(s, DNS_LAST, 1);
	return 0;
}

static __always_inline u32 dns_header(struct dns_state *s)
{
	u16 questions = s->acc >> 16;

	s->id = s->acc >> 48;
	s->flags = s->acc >> 32;
	s->answers = s->unread = s->acc;
	s->class = questions; /* until the question's is read */
	if (questions > 1 || (!questions && !(s->flags & DNS_QR)))
		return dns_error(s, DNS_QUESTIONS);
	return dns_read(s, DNS_COUNTS, 4) ? 0 : dns_error(s, DNS_SHORT);
}

static __always_inline u32 dns_q_label(struct dns_state *s)
{
	u8 n = s->acc;

	if (n > 63)
		return dns_error(s, DNS_LABEL);
	if (!n) {
		s->hash = name_hash_end(s->hash, s->acc, s->name);
		return dns_read(s, DNS_Q_TYPE, 4) ? 0 : dns_error(s, DNS_SHORT);
	}
	if (s->name + n >= 255) /* the final zero is still to come */
		return dns_error(s, DNS_NAME_LENGTH);
	return dns_read(s, DNS_Q_LABEL, n + 1) ? 0 : dns_error(s, DNS_SHORT);
}

static __always_inline u32 dns_r_label(struct dns_state *s)
{
	u8 n = s->acc;

	if (n >= 0xc0)
		return dns_read(s, DNS_R_POINTER, 5) ? 0 : dns_error(s, DNS_SHORT);
	if (n > 63)
		return dns_error(s, DNS_LABEL);
	if (!n)
		return dns_read(s, DNS_R_TYPE, 4) ? 0 : dns_error(s, DNS_SHORT);
	if (s->owner + 1 + n >= 255)
		return dns_error(s, DNS_NAME_LENGTH);
	s->owner += 1 + n;
	return dns_pass(s, n) && dns_read(s, DNS_R_LABEL, 1) ? 0 : dns_error(s, DNS_SHORT);
}

/* Type and class; with a pointer before them. */
static __always_inline u32 dns_r_type(struct dns_state *s)
{
	u16 type = s->acc >> 16;

	if (s->phase == DNS_R_POINTER) {
		u16 to = s->acc >> 32 & 0x3fff;
		u16 here = s->size - s->left - 6; /* the pointer's own place */

		/* A name that points into itself or ahead would never end somewhere. */
		if (to < 12 || to >= here - s->owner)
			return dns_error(s, DNS_POINTER);
	}
	s->record = 0;
	if ((u16)s->acc == DNS_IN && (type == DNS_A || type == DNS_AAAA || type == DNS_CNAME))
		s->record = type;
	return dns_read(s, DNS_R_TTL, 6) ? 0 : dns_error(s, DNS_SHORT);
}

/* TTL and length: after that an answer counts. */
static __always_inline u32 dns_r_ttl(struct dns_state *s)
{
	u32 ttl = s->acc >> 16;
	u16 n = s->acc;

	if (s->record) {
		if (ttl >> 31)
			ttl = 0; /* RFC 2181 §8 */
		if (ttl < s->ttl)
			s->ttl = ttl;
	}
	switch (s->record) {
	case DNS_A:
		if (n != 4)
			return dns_error(s, DNS_RDLENGTH);
		return dns_read(s, DNS_R_A, 4) ? 0 : dns_error(s, DNS_SHORT);
	case DNS_AAAA:
		if (n != 16)
			return dns_error(s, DNS_RDLENGTH);
		return dns_read(s, DNS_R_AAAA, 8) ? 0 : dns_error(s, DNS_SHORT);
	case DNS_CNAME:
		s->aliases++;
	}
	if (s->left < n)
		return dns_error(s, DNS_SHORT);
	if (n && s->left == n && !s->unread) {
		dns_pass(s, n - 1);
		return dns_read(s, DNS_LAST, 1), 0;
	}
	dns_pass(s, n);
	return dns_next(s);
}

/* Takes what was read whole. Returns enum parse_flag, the reason 16 bits higher. */
static __always_inline u32 dns_field(struct dns_state *s, struct dns_capture *cap)
{
	u16 place = s->addresses;

	switch (s->phase) {
	case DNS_PREFIX: {
		u16 size = s->acc;

		dns_clear(s, 1);
		s->size = s->left = size;
		return size >= 12 && dns_read(s, DNS_ID, 8) ? 0 : dns_error(s, DNS_SHORT);
	}
	case DNS_ID:
		return dns_header(s);
	case DNS_COUNTS:
		s->authorities = s->acc >> 16;
		s->additionals = s->acc;
		if (!s->class)
			return dns_next(s);
		return dns_read(s, DNS_Q_LABEL, 1) ? 0 : dns_error(s, DNS_SHORT);
	case DNS_Q_LABEL:
		return dns_q_label(s);
	case DNS_Q_TYPE:
		s->type = s->acc >> 16;
		s->class = s->acc;
		return dns_next(s);
	case DNS_R_LABEL:
		return dns_r_label(s);
	case DNS_R_POINTER:
	case DNS_R_TYPE:
		return dns_r_type(s);
	case DNS_R_TTL:
		return dns_r_ttl(s);
	case DNS_R_A:
		if (place < DNS_ADDRESSES) {
			cap->address[place][0] = 0;
			cap->address[place][1] = __builtin_bswap64(0xffffull << 32 | (u32)s->acc);
		}
		s->addresses++;
		return dns_next(s);
	case DNS_R_AAAA:
		if (place < DNS_ADDRESSES)
			cap->address[place][0] = __builtin_bswap64(s->acc);
		return dns_read(s, DNS_R_AAAA2, 8) ? 0 : dns_error(s, DNS_SHORT);
	case DNS_R_AAAA2:
		if (place < DNS_ADDRESSES)
			cap->address[place][1] = __builtin_bswap64(s->acc);
		s->addresses++;
		return dns_next(s);
	case DNS_LAST:
		return dns_end(s);
	}
	return 0;
}

/* Takes n more bytes of the question's name, and gives them in lower case. */
static __always_inline u64 dns_name(struct dns_state *s, struct dns_capture *cap, u64 word, u32 n)
{
	u8 at = s->name;

	word = name_fold(word);
	parse_store(cap->name + at, name_first(word, n));
	s->hash = name_hash(s->hash, s->acc, word, n, at);
	s->name = at + n;
	return word;
}

/*
 * Takes up to 8 bytes of what is being read, or skips, of rest bytes that are
 * there; word has the first 8 of them. Returns how many, and 32 bits higher what
 * dns_field() says.
 */
PARSE_GLOBAL u64 dns_turn(struct dns_state *s, struct dns_capture *cap, u64 word, u32 rest)
{
	u32 n;

	if (!s || !cap)
		return 1;
	if (s->skip) {
		n = s->skip < rest ? s->skip : rest;
		s->skip -= n;
		return n;
	}
	n = field_least(field_least(s->need, 8), rest);
	if (s->phase == DNS_Q_LABEL)
		word = dns_name(s, cap, word, n);
	s->acc = field_add(s->acc, word, n);
	s->need -= n;
	return s->need ? n : n | (u64)dns_field(s, cap) << 32;
}
