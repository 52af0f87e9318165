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

#define DNS_NAME 256	/* bytes kept of a name: all, of at most 255 */
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
	u8 phase;   /* enum dns_phase */
	u8 need;    /* bytes of it to come */
	u8 name;    /* bytes of the question's name so far */
	u8 owner;   /* the same of an answer's */
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
	u16 name;	 /* bytes of the question's name; 0 without a question */
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
_Static_assert(sizeof(struct dns_capture) == 392, "dns_capture");

#include "dns_message.h"
#include "dns_detect.h"

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

/* Tells that n bytes, at most s->skip, have passed unseen. A message's last byte is never among them. */
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
