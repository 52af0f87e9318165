/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * DNS messages (RFC 1035): a datagram, or a stream of messages behind their
 * lengths (§4.2.2).
 *
 * A message is told when its last byte has come, by OUT_HEAD | OUT_END. Its
 * question's name is hashed in wire form, length octets and final zero included,
 * in lower case: no two names look alike, whatever bytes their labels hold. (No
 * length is a capital letter, so that all bytes may go through the same fold.)
 *
 * Names of answers are skipped and pointers never followed: an answer is not
 * checked to belong to the question. Authority and additional records are not
 * read: the response code is the header's, without the bits that EDNS adds.
 */
#pragma once

#include "field.h"
#include "name.h"

#define DNS_NAME 128	/* bytes kept of a name, of at most 255 */
#define DNS_ADDRESSES 8 /* kept of an answer */
#define DNS_WINDOW 128	/* bytes at a time; 8 more must be readable */
#define DNS_TURNS 64	/* in a step, each over up to 8 bytes, or over all that is skipped */

enum dns_reason {
	DNS_SHORT = 200,       /* ends inside what it announced */
	DNS_QUESTIONS = 201,   /* more than one, or a query without: two servers may differ (RFC 9619) */
	DNS_LABEL = 202,       /* neither length nor pointer; in a question, a pointer too */
	DNS_NAME_LENGTH = 203, /* above 255 bytes */
	DNS_POINTER = 204,     /* not to what came before the name */
	DNS_RDLENGTH = 205,    /* an A without 4 bytes, an AAAA without 16 */
	DNS_TRUNCATED = 206,   /* the stream, or what was seen of a datagram, ended inside a message */
};

enum dns_kind {
	DNS_QUERY = 1,
	DNS_RESPONSE = 2,
};

enum dns_flag {
	DNS_QR = 0x8000,
	DNS_OPCODE = 0x7800,
	DNS_TC = 0x0200,
	DNS_Z = 0x0040,
	DNS_RCODE = 0x000f,
};

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_AAAA = 28,
};

#define DNS_IN 1 /* class */

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

struct dns_state {
	u64 skip;
	u64 acc;  /* the last bytes read, the newest lowest */
	u64 hash; /* of the question's name */
	u32 ttl;
	u16 size; /* of the message */
	u16 left; /* of it, after what is being read or skipped */
	u16 id;
	u16 flags;
	u16 type;
	u16 class;
	u16 answers;
	u16 authorities;
	u16 additionals;
	u16 unread; /* answers to come */
	u16 addresses;
	u16 aliases;
	u16 record; /* the answer's type, 0 where the class is another */
	u8 phase;
	u8 need;  /* bytes of it to come */
	u8 name;  /* bytes of the question's name so far */
	u8 owner; /* the same of an answer's */
	u8 stream;
	u8 reserved[5];
};

struct dns_out {
	u8 flags; /* enum parse_flag */
	u8 kind;
	u16 reason;
	/* What follows is set with OUT_END and stays. */
	u16 id;
	u16 head;	 /* QR, opcode, AA, TC, RD, RA, Z, AD, CD, rcode: enum dns_flag */
	u16 type;	 /* of the question */
	u16 class;	 /* of the question */
	u16 answers;	 /* ANCOUNT */
	u16 addresses;	 /* answers of type A and AAAA, class IN; the first DNS_ADDRESSES were kept */
	u16 aliases;	 /* answers of type CNAME */
	u16 name;	 /* bytes of the question's name; the first DNS_NAME were kept; 0 without a question */
	u32 ttl;	 /* the least of A, AAAA and CNAME answers; all ones without any */
	u16 size;	 /* of the message */
	u16 authorities; /* NSCOUNT */
	u16 additionals; /* ARCOUNT */
	u16 reserved;
	u64 hash; /* of the question's name */
};

/* What only an event needs. It must be kept between the steps of one message, or is worth nothing. */
struct dns_capture {
	u8 name[DNS_NAME + 8];	       /* in wire form, lower case */
	u64 address[DNS_ADDRESSES][2]; /* in network order, IPv4 as ::ffff:a.b.c.d */
};

_Static_assert(sizeof(struct dns_state) == 64, "dns_state");
_Static_assert(sizeof(struct dns_out) == 40, "dns_out");
_Static_assert(sizeof(struct dns_capture) == 264, "dns_capture");

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

/* Begins a stream at the first byte of a message's length. */
static __always_inline void dns_init(struct dns_state *s)
{
	dns_clear(s, 1);
	s->phase = DNS_PREFIX;
	s->need = 2;
}

/* Begins a datagram of so many bytes; false if it is none. The state ends with it. */
static __always_inline bool dns_init_datagram(struct dns_state *s, u32 size)
{
	dns_clear(s, 0);
	s->size = s->left = size;
	return size <= 0xffff && dns_read(s, DNS_ID, 8);
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
	if (at < DNS_NAME)
		parse_store(cap->name + at, name_first(word, n));
	s->hash = name_hash(s->hash, s->acc, word, n, at);
	s->name = at + n;
	return word;
}

static __always_inline void dns_report(const struct dns_state *s, struct dns_out *out, u32 result)
{
	out->flags = result;
	out->kind = s->flags & DNS_QR ? DNS_RESPONSE : DNS_QUERY;
	out->reason = result >> 16;
	out->id = s->id;
	out->head = s->flags;
	out->type = s->type;
	out->class = s->class;
	out->answers = s->answers;
	out->addresses = s->addresses;
	out->aliases = s->aliases;
	out->name = s->name;
	out->size = s->size;
	out->ttl = s->ttl;
	out->authorities = s->authorities;
	out->additionals = s->additionals;
	out->reserved = 0;
	out->hash = s->hash;
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

/* See parse.h. Stops behind a message. */
static __always_inline u32 dns_step(struct dns_state *s, const u8 *window, u32 len, struct dns_out *out,
				    struct dns_capture *cap)
{
	u32 at = 0;

	out->flags = 0;
	out->reason = 0;
	if (s->skip == PARSE_REST)
		return len;
	if (len > DNS_WINDOW)
		len = DNS_WINDOW;
#pragma clang loop unroll(disable)
	for (u32 turn = 0; turn < DNS_TURNS; turn++) {
		u64 took;

		parse_forget(at, 255);
		if (at >= len)
			break;
		took = dns_turn(s, cap, parse_load(window + at), len - at);
		at += (u8)took;
		if (took >> 32) {
			dns_report(s, out, took >> 32);
			break;
		}
	}
	return at;
}

/* Tells that n bytes, at most s->skip, have passed unseen. Nothing ends by that: a message's last byte is always shown.
 */
static __always_inline void dns_skipped(struct dns_state *s, u64 n, struct dns_out *out)
{
	out->flags = 0;
	out->reason = 0;
	if (s->skip != PARSE_REST)
		s->skip -= n;
}

/* Tells that the stream, or what was seen of the datagram, ended. */
static __always_inline void dns_eof(struct dns_state *s, struct dns_out *out)
{
	bool idle = s->phase == DNS_DONE || (s->phase == DNS_PREFIX && s->need == 2);

	out->flags = 0;
	out->reason = 0;
	if (!idle)
		dns_report(s, out, dns_error(s, DNS_TRUNCATED));
	s->skip = PARSE_REST;
}

enum dns_verdict {
	DNS_NO = 0,
	DNS_MAYBE = 1, /* so far: ask again with more of the same bytes */
	DNS_IS_QUERY = 2,
	DNS_IS_RESPONSE = 3,
};

/*
 * Whether a datagram, or what comes behind a stream's length, can be DNS. A yes is
 * the header of a standard query, or of its response, and the beginning of a
 * name: enough to start the parser, which says nothing before the message was whole.
 */
static __always_inline u8 dns_detect(const u8 *window, u32 len)
{
	u64 head, counts;
	u16 flags;
	u8 label;

	if (len < 13)
		return DNS_MAYBE;
	head = __builtin_bswap64(parse_load(window));
	counts = __builtin_bswap64(parse_load(window + 8));
	flags = head >> 32;
	label = counts >> 24;
	if (flags & (DNS_OPCODE | DNS_Z) || (u16)(head >> 16) != 1 || label > 63)
		return DNS_NO;
	if (flags & DNS_QR)
		return DNS_IS_RESPONSE;
	/* A query has no answers and no code. It may have up to an OPT, a TSIG and a SIG behind it. */
	if (flags & DNS_RCODE || (u16)head || (u16)(counts >> 48) || (u16)(counts >> 32) > 3)
		return DNS_NO;
	return DNS_IS_QUERY;
}
