/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TLS handshakes up to where they get encrypted: RFC 8446, RFC 5246 and what came
 * before. SSL 2 is none of it.
 *
 * Two layers: records (at most 16 KiB of one type) and messages, which may be cut
 * into records at any byte. So there are two counters: what is left of the record,
 * and what is left of the field, which waits while the next record's header is read.
 *
 * Told are hellos, alerts in the clear, and with OUT_SWITCH that all the rest is
 * encrypted. A client's second hello, after a HelloRetryRequest, repeats the
 * random of the first: nothing else that comes after ChangeCipherSpec is taken
 * for one, so that one direction can be read without the other.
 */
#pragma once

#include "field.h"
#include "name.h"

#define TLS_NAME 128 /* bytes kept of a server's name, of at most 255 */
#define TLS_ALPN 32  /* of the list of protocols */
#define TLS_RAW 1024 /* of what a fingerprint needs */

enum tls_reason {
	TLS_RECORD = 300,      /* no type, version or length that a record can have here */
	TLS_ORDER = 301,       /* a message that cannot come now */
	TLS_INTERLEAVED = 302, /* another record inside a message (RFC 8446 §5.1) */
	TLS_SIZE = 303,	       /* a hello above 64 KiB */
	TLS_SHORT = 304,       /* something announced more than holds it */
	TLS_VERSION = 305,     /* none that TLS had, or chosen in a way that it cannot be */
	TLS_SESSION = 306,     /* a session id above 32 bytes */
	TLS_CIPHERS = 307,     /* an odd or empty list */
	TLS_COMPRESSION = 308, /* an empty list */
	TLS_EXTENSIONS = 309,  /* not as long as they say, or pre_shared_key not last */
	TLS_DUPLICATE = 310,   /* an extension twice */
	TLS_SNI = 311,	       /* not one host name; a dot at its end; bytes that no name has */
	TLS_ALPN_LIST = 312,   /* empty, or more than one protocol chosen */
	TLS_VERSIONS = 313,    /* an odd or empty list */
	TLS_TRAILING = 314,    /* more in the record where keys change */
	TLS_SECOND = 315,      /* a second hello from another client, or for another server */
	TLS_ALERT_SIZE = 316,  /* not two bytes, or no level */
	TLS_CCS = 317,	       /* ChangeCipherSpec with another content */
	TLS_TRUNCATED = 318,   /* the stream ended inside a hello */
};

enum tls_side {
	TLS_CLIENT = 1,
	TLS_SERVER = 2,
};

enum tls_kind {
	TLS_CLIENT_HELLO = 1,
	TLS_SERVER_HELLO = 2,
	TLS_RETRY = 3, /* HelloRetryRequest */
	TLS_ALERT = 4,
	TLS_ENCRYPTED = 5, /* with OUT_SWITCH, where no hello ended */
};

enum tls_flag {
	TLS_PSK = 1,	  /* a client offers, or a server takes, a key of an earlier session (1.3) */
	TLS_TICKET = 2,	  /* a client offers a session ticket (1.2) */
	TLS_EARLY = 4,	  /* a client announces early data */
	TLS_ECH = 8,	  /* encrypted_client_hello: the name may be another's. Browsers send it without meaning, too */
	TLS_AGAIN = 16,	  /* the hello after a HelloRetryRequest */
	TLS_RESUMED = 32, /* with TLS_ENCRYPTED from a server: no full handshake (1.2) */
	TLS_SHOWN = 63,	  /* all of these */
	TLS_HELLO = 64,	  /* one has come */
	TLS_OTHER = 128,  /* another message came after it */
	TLS_FULL = 256,	  /* ServerHelloDone among them */
	TLS_RETRIED = 512,   /* a HelloRetryRequest was the last hello, or is being read */
	TLS_UNPROVEN = 1024, /* after ChangeCipherSpec; where nothing makes sense, it is encrypted */
	TLS_BAD_NAME = 2048,
};

/* Protocols that are known by bits. */
enum tls_alpn {
	TLS_ALPN_H2 = 1,
	TLS_ALPN_HTTP1 = 2, /* http/1.0, http/1.1 */
	TLS_ALPN_DOT = 4,
	TLS_ALPN_OTHER = 128,
};

/* What is done with a field's bytes beside reading them. */
enum tls_act {
	TLS_KEEP = 1,
	TLS_KEEP_NAME = 2,
	TLS_KEEP_ALPN = 4,
};

/* What is being read. */
enum tls_phase {
	TLS_MESSAGE, /* type and length */
	TLS_BODY,    /* the last byte of a message that was skipped */
	TLS_LEGACY,  /* a hello's version */
	TLS_RANDOM,
	TLS_ID_LENGTH,
	TLS_ID,
	TLS_SUITES_LENGTH,
	TLS_SUITES,
	TLS_METHODS_LENGTH,
	TLS_METHODS, /* the last byte */
	TLS_SUITE,   /* and compression method: a server's choice */
	TLS_EXTENSIONS_LENGTH,
	TLS_EXTENSION, /* type and length */
	TLS_EXTENSION_END,
	TLS_NAME_HEAD, /* list's length, type, name's length */
	TLS_NAME_TEXT,
	TLS_ALPN_HEAD,
	TLS_ALPN_LENGTH,
	TLS_ALPN_TEXT,
	TLS_VERSIONS_LENGTH,
	TLS_VERSIONS_ITEM,
	TLS_CHOSEN, /* version */
	TLS_ALERT_BODY,
	TLS_CCS_BODY,
	TLS_DONE,
};

#define TLS_WINDOW 128 /* bytes at a time; 8 more must be readable */
#define TLS_TURNS 64   /* in a step, each over up to 8 bytes, or over all that is skipped */

struct tls_state {
	u64 skip;
	u64 acc;    /* the field so far, if it is short: the newest byte lowest */
	u64 hash;   /* of this hello's name */
	u64 sni;    /* of the last hello's name; 0 without one */
	u64 seen;   /* extensions of this hello: types below 64 */
	u64 random; /* the first hello's, mixed */
	u64 header; /* of the record, so far */
	u32 left;   /* bytes of the message after the field, or the extension, being read */
	u32 pass;   /* bytes of the message to skip before the field */
	u32 session;
	u16 record; /* bytes of the record to come */
	u16 need;   /* bytes of the field to come */
	u16 list;   /* what is left of a list inside */
	u16 legacy;
	u16 version;
	u16 cipher;
	u16 raw;
	u16 flags;
	u8 phase;
	u8 act;
	u8 had; /* bytes of the record's header */
	u8 name;
	u8 item; /* length of a protocol's name */
	u8 alpn;
	u8 listed;
	u8 side;
	u8 reserved[4];
};

struct tls_out {
	u8 flags; /* enum parse_flag */
	u8 kind;  /* enum tls_kind */
	u16 reason;
	/* What follows is set by a hello and stays, but for an alert's two, and hints: TLS_ENCRYPTED sets them too. */
	u16 hints;   /* enum tls_flag, up to TLS_SHOWN */
	u16 legacy;  /* the hello's version field */
	u16 version; /* chosen, or the highest offered (0: none that is known) */
	u16 cipher;  /* chosen, or how many were offered */
	u16 raw;     /* bytes in the capture's raw; above TLS_RAW: cut off */
	u8 name;     /* bytes of the server's name; the first TLS_NAME were kept */
	u8 alpn;     /* enum tls_alpn */
	u8 listed;   /* bytes in the capture's alpn; above TLS_ALPN: cut off */
	u8 level;    /* an alert's */
	u8 description;
	u8 reserved;
	u32 session; /* hash of the session id; 0 where it is empty. Up to 1.2 a server that gives the client's back
			resumes */
	u64 sni;     /* hash of the server's name, in lower case; 0 without one */
};

/*
 * What only an event needs. It must be kept between the steps of one hello, or is
 * worth nothing.
 *
 * raw is the client's hello without what identifies the session, the user or the
 * server: version; length and list of ciphers; then of each extension type and
 * length, and the content of signature_algorithms, ALPN and supported_versions alone.
 */
struct tls_capture {
	u8 name[TLS_NAME + 8]; /* lower case */
	u8 alpn[TLS_ALPN + 8]; /* each protocol after its length */
	u8 raw[TLS_RAW + 8];
};

_Static_assert(sizeof(struct tls_state) == 96, "tls_state");
_Static_assert(sizeof(struct tls_out) == 32, "tls_out");
_Static_assert(sizeof(struct tls_capture) == 1208, "tls_capture");

/* Extensions that are read, or whose presence says something. */
enum tls_extension {
	TLS_SERVER_NAME = 0,
	TLS_SIGNATURES = 13,
	TLS_PROTOCOLS = 16,
	TLS_SESSION_TICKET = 35,
	TLS_PRE_SHARED_KEY = 41,
	TLS_EARLY_DATA = 42,
	TLS_SUPPORTED_VERSIONS = 43,
	TLS_ENCRYPTED_HELLO = 0xfe0d,
};

static __always_inline bool tls_from_client(const struct tls_state *s)
{
	return s->side == TLS_CLIENT;
}

/* Reads n bytes next, 1 at least. */
static __always_inline u32 tls_want(struct tls_state *s, u8 phase, u16 n, u8 act)
{
	s->phase = phase;
	s->need = n;
	s->act = tls_from_client(s) ? act : act & ~TLS_KEEP;
	s->acc = 0;
	return 0;
}

static __always_inline u32 tls_switch(struct tls_state *s)
{
	s->phase = TLS_DONE;
	s->skip = PARSE_REST;
	return OUT_SWITCH | TLS_ENCRYPTED << 8;
}

static __always_inline u32 tls_error(struct tls_state *s, u16 reason)
{
	if (s->flags & TLS_UNPROVEN)
		return tls_switch(s);
	s->phase = TLS_DONE;
	s->skip = PARSE_REST;
	return OUT_ERROR | (u32)reason << 16;
}

/* The same, of the message. */
static __always_inline u32 tls_read(struct tls_state *s, u8 phase, u16 n, u8 act)
{
	if (s->left < n)
		return tls_error(s, TLS_SHORT);
	s->left -= n;
	return tls_want(s, phase, n, act);
}

/* The same, of a list. */
static __always_inline u32 tls_item(struct tls_state *s, u8 phase, u16 n, u8 act, u16 reason)
{
	if (s->list < n)
		return tls_error(s, reason);
	s->list -= n;
	return tls_want(s, phase, n, act);
}

/* Skips n bytes, 1 at least, but for the last: no hello ends by being skipped. */
static __always_inline u32 tls_pass(struct tls_state *s, u8 phase, u32 n)
{
	s->pass = n - 1;
	return tls_want(s, phase, 1, 0);
}

/* Waits for a message, or for any record. */
static __always_inline u32 tls_idle(struct tls_state *s)
{
	return tls_want(s, TLS_MESSAGE, 4, 0);
}

static __always_inline bool tls_is_idle(const struct tls_state *s)
{
	return s->phase == TLS_MESSAGE && s->need == 4;
}

/* After the last byte of a client's hello. */
static __always_inline u32 tls_client_end(struct tls_state *s)
{
	if (s->record)
		return tls_error(s, TLS_TRAILING);
	if (s->flags & TLS_AGAIN && s->hash != s->sni)
		return tls_error(s, TLS_SECOND);
	s->sni = s->hash;
	/* RFC 8446 §4.2.1: whoever sends the extension means nothing by the version field */
	if (!(s->seen >> TLS_SUPPORTED_VERSIONS & 1))
		s->version = s->legacy < 0x0303 ? s->legacy : 0x0303;
	s->flags |= TLS_HELLO;
	tls_idle(s);
	return OUT_HEAD | OUT_END | TLS_CLIENT_HELLO << 8;
}

static __always_inline u32 tls_server_end(struct tls_state *s)
{
	u32 told = OUT_HEAD | OUT_END | TLS_SERVER_HELLO << 8;

	if (!(s->seen >> TLS_SUPPORTED_VERSIONS & 1)) {
		s->version = s->legacy;
		if (s->version > 0x0303 || s->flags & (TLS_AGAIN | TLS_RETRIED))
			return tls_error(s, TLS_VERSION);
		s->flags |= TLS_HELLO;
		tls_idle(s);
		return told;
	}
	if (s->version != 0x0304 || s->legacy != 0x0303)
		return tls_error(s, TLS_VERSION);
	if (s->record)
		return tls_error(s, TLS_TRAILING);
	if (!(s->flags & TLS_RETRIED)) {
		s->phase = TLS_DONE;
		s->skip = PARSE_REST;
		return told | OUT_SWITCH;
	}
	if (s->flags & TLS_AGAIN)
		return tls_error(s, TLS_ORDER);
	s->flags |= TLS_HELLO;
	tls_idle(s);
	return OUT_HEAD | OUT_END | TLS_RETRY << 8;
}

static __always_inline u32 tls_next_extension(struct tls_state *s)
{
	if (s->left)
		return tls_read(s, TLS_EXTENSION, 4, TLS_KEEP);
	return tls_from_client(s) ? tls_client_end(s) : tls_server_end(s);
}

/* After what all hellos have. */
static __always_inline u32 tls_extensions(struct tls_state *s)
{
	return s->left ? tls_read(s, TLS_EXTENSIONS_LENGTH, 2, 0) : tls_next_extension(s);
}

static __always_inline u32 tls_message(struct tls_state *s)
{
	bool client = tls_from_client(s);
	u8 type = s->acc >> 24;
	u32 size = s->acc & 0xffffff;
	u16 had = s->flags;

	if (type != (client ? 1 : 2)) {
		if (!(had & TLS_HELLO) || had & (TLS_UNPROVEN | TLS_RETRIED))
			return tls_error(s, TLS_ORDER);
		s->flags |= type == 14 ? TLS_OTHER | TLS_FULL : TLS_OTHER;
		return size ? tls_pass(s, TLS_BODY, size) : tls_idle(s);
	}
	if (had & TLS_HELLO && (had & (TLS_OTHER | TLS_AGAIN) || !(client || had & TLS_RETRIED)))
		return tls_error(s, TLS_ORDER);
	if (size > 1 << 16)
		return tls_error(s, TLS_SIZE);
	s->flags &= TLS_HELLO | TLS_UNPROVEN;
	if (had & TLS_HELLO)
		s->flags |= TLS_AGAIN;
	if (!client)
		s->flags |= TLS_RETRIED;
	s->left = size;
	s->hash = 0;
	s->seen = 0;
	s->version = 0;
	s->raw = 0;
	s->name = 0;
	s->alpn = 0;
	s->listed = 0;
	return tls_read(s, TLS_LEGACY, 2, TLS_KEEP);
}

static __always_inline u32 tls_legacy(struct tls_state *s)
{
	u16 version = s->acc;

	if (version >> 8 != 3)
		return tls_error(s, TLS_VERSION);
	if (tls_from_client(s) && s->flags & TLS_AGAIN && version != s->legacy)
		return tls_error(s, TLS_SECOND);
	s->legacy = version;
	s->list = 32;
	return tls_read(s, TLS_RANDOM, 8, 0);
}

/* Eight bytes of the random. A HelloRetryRequest is known by it: RFC 8446 §4.1.3. */
static __always_inline u32 tls_random(struct tls_state *s)
{
	u64 retry;

	s->hash = (s->hash ^ s->acc) * NAME_PRIME;
	s->hash ^= s->hash >> 32;
	s->list -= 8;
	retry = s->list == 24	? 0xcf21ad74e59a6111ull
		: s->list == 16 ? 0xbe1d8c021e65b891ull
		: s->list == 8	? 0xc2a211167abb8c5eull
				: 0x079e09e2c8a8339cull;
	if (s->acc != retry)
		s->flags &= ~TLS_RETRIED;
	if (s->list)
		return tls_read(s, TLS_RANDOM, 8, 0);
	if (tls_from_client(s) && s->flags & TLS_AGAIN) {
		if (s->hash != s->random)
			return tls_error(s, TLS_SECOND);
		s->flags &= ~TLS_UNPROVEN;
	}
	s->random = s->hash;
	s->hash = 0;
	return tls_read(s, TLS_ID_LENGTH, 1, 0);
}

/* The session id, eight bytes at a time. */
static __always_inline u32 tls_session(struct tls_state *s)
{
	u16 n;

	if (s->phase == TLS_ID) {
		u64 mixed = (s->session ^ s->acc) * NAME_PRIME;

		s->session = mixed ^ mixed >> 32;
	} else {
		if (s->acc > 32)
			return tls_error(s, TLS_SESSION);
		s->list = s->acc;
		s->session = s->list; /* 0 stands for none */
	}
	if (s->list) {
		n = s->list < 8 ? s->list : 8;
		s->list -= n;
		return tls_read(s, TLS_ID, n, 0);
	}
	if (tls_from_client(s))
		return tls_read(s, TLS_SUITES_LENGTH, 2, TLS_KEEP);
	return tls_read(s, TLS_SUITE, 3, 0);
}

/* Its content is the list from here on. */
static __always_inline u32 tls_extension(struct tls_state *s)
{
	bool client = tls_from_client(s);
	u16 type = s->acc >> 16, size = s->acc;

	if (s->left < size)
		return tls_error(s, TLS_SHORT);
	s->left -= size;
	s->list = size;
	if (client && s->seen >> TLS_PRE_SHARED_KEY & 1)
		return tls_error(s, TLS_EXTENSIONS); /* RFC 8446 §4.2.11 */
	if (type < 64) {
		if (s->seen >> type & 1)
			return tls_error(s, TLS_DUPLICATE);
		s->seen |= 1ull << type;
	}
	switch (type) {
	case TLS_SERVER_NAME:
		if (client)
			return tls_item(s, TLS_NAME_HEAD, 5, 0, TLS_SNI);
		break;
	case TLS_SIGNATURES:
		if (client && size)
			return tls_item(s, TLS_EXTENSION_END, size, TLS_KEEP, 0);
		break;
	case TLS_PROTOCOLS:
		return tls_item(s, TLS_ALPN_HEAD, 2, TLS_KEEP, TLS_ALPN_LIST);
	case TLS_SUPPORTED_VERSIONS:
		if (client)
			return tls_item(s, TLS_VERSIONS_LENGTH, 1, TLS_KEEP, TLS_VERSIONS);
		if (size != 2)
			return tls_error(s, TLS_VERSIONS);
		return tls_item(s, TLS_CHOSEN, 2, 0, TLS_VERSIONS);
	case TLS_SESSION_TICKET:
		if (client && size)
			s->flags |= TLS_TICKET;
		break;
	case TLS_PRE_SHARED_KEY:
		s->flags |= TLS_PSK;
		break;
	case TLS_EARLY_DATA:
		if (client)
			s->flags |= TLS_EARLY;
		break;
	case TLS_ENCRYPTED_HELLO:
		if (client)
			s->flags |= TLS_ECH;
		break;
	}
	if (size && !s->left)
		return tls_pass(s, TLS_EXTENSION_END, size);
	s->pass = size;
	return tls_next_extension(s);
}

/* One name, of the one type that there is: what else the list could hold was never said (RFC 6066 §3). */
static __always_inline u32 tls_name_head(struct tls_state *s)
{
	u16 size = s->acc;

	if (s->acc >> 24 != size + 3u || (u8)(s->acc >> 16) || s->list != size || !size || size > 255)
		return tls_error(s, TLS_SNI);
	s->name = size;
	s->hash = NAME_HASH;
	return tls_item(s, TLS_NAME_TEXT, size, TLS_KEEP_NAME, TLS_SNI);
}

static __always_inline u32 tls_protocol(struct tls_state *s)
{
	switch (s->phase) {
	case TLS_ALPN_HEAD:
		if (s->acc != s->list || !s->list)
			return tls_error(s, TLS_ALPN_LIST);
		break;
	case TLS_ALPN_LENGTH:
		s->item = s->acc;
		if (!s->item)
			return tls_error(s, TLS_ALPN_LIST);
		return tls_item(s, TLS_ALPN_TEXT, s->item, TLS_KEEP | TLS_KEEP_ALPN, TLS_ALPN_LIST);
	default:
		if (s->item == 2 && s->acc == 0x6832)
			s->alpn |= TLS_ALPN_H2;
		else if (s->item == 8 && s->acc >> 8 == 0x687474702f312e && (s->acc & 0xfe) == '0')
			s->alpn |= TLS_ALPN_HTTP1;
		else if (s->item == 3 && s->acc == 0x646f74)
			s->alpn |= TLS_ALPN_DOT;
		else
			s->alpn |= TLS_ALPN_OTHER;
		if (!s->list)
			return tls_next_extension(s);
		if (!tls_from_client(s))
			return tls_error(s, TLS_ALPN_LIST);
	}
	return tls_item(s, TLS_ALPN_LENGTH, 1, TLS_KEEP | TLS_KEEP_ALPN, TLS_ALPN_LIST);
}

static __always_inline u32 tls_versions(struct tls_state *s)
{
	u16 version = s->acc;

	if (s->phase == TLS_VERSIONS_LENGTH) {
		if (version != s->list || !version || version & 1)
			return tls_error(s, TLS_VERSIONS);
	} else {
		/* neither drafts nor GREASE */
		if (version >> 8 == 3 && version > s->version)
			s->version = version;
		if (!s->list)
			return tls_next_extension(s);
	}
	return tls_item(s, TLS_VERSIONS_ITEM, 2, TLS_KEEP, TLS_VERSIONS);
}

static __always_inline u32 tls_ccs(struct tls_state *s)
{
	if (s->acc != 1)
		return tls_error(s, TLS_CCS);
	if (!tls_from_client(s)) {
		if (s->flags & TLS_RETRIED)
			return tls_idle(s);
		if (!(s->flags & TLS_FULL))
			s->flags |= TLS_RESUMED;
		return tls_switch(s);
	}
	/* After a hello alone: the rest is encrypted (1.2, resumed), or a second hello follows (1.3). */
	if (s->flags & (TLS_OTHER | TLS_UNPROVEN))
		return tls_switch(s);
	s->flags |= TLS_UNPROVEN;
	return tls_idle(s);
}

/* Takes a record's header. Returns enum parse_flag, the kind 8 bits higher, the reason 16. */
static __always_inline u32 tls_record(struct tls_state *s)
{
	u16 size = s->header;

	if ((u8)(s->header >> 24) != 3)
		return tls_error(s, TLS_RECORD);
	switch ((u8)(s->header >> 32)) {
	case 22: /* handshake */
		if (!size || size > 1 << 14)
			return tls_error(s, TLS_RECORD);
		s->record = size;
		return 0;
	case 21: /* alert */
		if (!tls_is_idle(s))
			return tls_error(s, TLS_INTERLEAVED);
		if (size != 2)
			return tls_error(s, TLS_ALERT_SIZE);
		s->record = size;
		return tls_want(s, TLS_ALERT_BODY, 2, 0);
	case 20: /* ChangeCipherSpec */
		if (!tls_is_idle(s))
			return tls_error(s, TLS_INTERLEAVED);
		if (!(s->flags & TLS_HELLO))
			return tls_error(s, TLS_ORDER);
		if (size != 1)
			return tls_error(s, TLS_CCS);
		s->record = size;
		return tls_want(s, TLS_CCS_BODY, 1, 0);
	case 23: /* application data */
		if (!tls_is_idle(s))
			return tls_error(s, TLS_INTERLEAVED);
		if (!(s->flags & TLS_HELLO))
			return tls_error(s, TLS_ORDER);
		return tls_switch(s);
	}
	return tls_error(s, TLS_RECORD);
}

/* Takes a field that was read whole. Returns as tls_record(). */
static __always_inline u32 tls_field(struct tls_state *s)
{
	u16 n = s->acc;

	switch (s->phase) {
	case TLS_MESSAGE:
		return tls_message(s);
	case TLS_BODY:
		return tls_idle(s);
	case TLS_LEGACY:
		return tls_legacy(s);
	case TLS_RANDOM:
		return tls_random(s);
	case TLS_ID_LENGTH:
	case TLS_ID:
		return tls_session(s);
	case TLS_SUITES_LENGTH:
		if (!n || n & 1)
			return tls_error(s, TLS_CIPHERS);
		s->cipher = n / 2;
		return tls_read(s, TLS_SUITES, n, TLS_KEEP);
	case TLS_SUITES:
		return tls_read(s, TLS_METHODS_LENGTH, 1, 0);
	case TLS_METHODS_LENGTH:
		if (!n)
			return tls_error(s, TLS_COMPRESSION);
		if (s->left < n)
			return tls_error(s, TLS_SHORT);
		s->left -= n;
		return tls_pass(s, TLS_METHODS, n);
	case TLS_SUITE:
		s->cipher = s->acc >> 8;
		return tls_extensions(s);
	case TLS_METHODS:
		return tls_extensions(s);
	case TLS_EXTENSIONS_LENGTH:
		if (n != s->left)
			return tls_error(s, TLS_EXTENSIONS);
		return tls_next_extension(s);
	case TLS_EXTENSION:
		return tls_extension(s);
	case TLS_EXTENSION_END:
		return tls_next_extension(s);
	case TLS_NAME_HEAD:
		return tls_name_head(s);
	case TLS_NAME_TEXT:
		if (s->flags & TLS_BAD_NAME || (u8)s->acc == '.')
			return tls_error(s, TLS_SNI);
		s->hash = name_hash_end(s->hash, s->acc, s->name);
		return tls_next_extension(s);
	case TLS_ALPN_HEAD:
	case TLS_ALPN_LENGTH:
	case TLS_ALPN_TEXT:
		return tls_protocol(s);
	case TLS_VERSIONS_LENGTH:
	case TLS_VERSIONS_ITEM:
		return tls_versions(s);
	case TLS_CHOSEN:
		s->version = n;
		return tls_next_extension(s);
	case TLS_ALERT_BODY:
		if (n >> 8 != 1 && n >> 8 != 2)
			return tls_error(s, TLS_ALERT_SIZE);
		s->list = n; /* for the report */
		tls_idle(s);
		return OUT_HEAD | OUT_END | TLS_ALERT << 8;
	case TLS_CCS_BODY:
		return tls_ccs(s);
	}
	return 0;
}

/* Begins a direction at the first byte of its first record. */
static __always_inline void tls_init(struct tls_state *s, u8 side)
{
	__builtin_memset(s, 0, sizeof(*s));
	s->side = side;
	tls_idle(s);
}

/* What a capture keeps of n bytes of a field, which has so many to come. Gives them as they are to be read. */
static __always_inline u64 tls_keep(struct tls_state *s, struct tls_capture *cap, u64 word, u32 n)
{
	u64 kept = name_first(word, n);

	if (s->act & TLS_KEEP) {
		u16 at = s->raw;

		if (at < TLS_RAW)
			parse_store(cap->raw + at, kept);
		s->raw = field_least(at + n, TLS_RAW + 1);
	}
	if (s->act & TLS_KEEP_ALPN) {
		u8 at = s->listed;

		if (at < TLS_ALPN)
			parse_store(cap->alpn + at, kept);
		s->listed = field_least(at + n, TLS_ALPN + 1);
	}
	if (s->act & TLS_KEEP_NAME) {
		u8 at = s->name - s->need;
		/* controls, spaces, DEL and what is not ASCII; the bytes that do not count are made letters */
		u64 all = kept | (n < 8 ? PARSE_ONES * 'a' << (8 * n) : 0);

		if (parse_below(all, 0x21) | parse_equal(all, 0x7f) | (all & PARSE_MARKS))
			s->flags |= TLS_BAD_NAME;
		word = name_fold(kept);
		if (at < TLS_NAME)
			parse_store(cap->name + at, word);
		s->hash = name_hash(s->hash, s->acc, word, n, at);
	}
	return word;
}

static __always_inline void tls_report(const struct tls_state *s, struct tls_out *out, u32 result)
{
	out->flags = result;
	out->kind = result >> 8;
	out->reason = result >> 16;
	if (!(result & OUT_HEAD)) {
		out->hints = s->flags & TLS_RESUMED;
		return;
	}
	if (out->kind == TLS_ALERT) {
		out->level = s->list >> 8;
		out->description = s->list;
		return;
	}
	out->hints = s->flags & TLS_SHOWN;
	out->legacy = s->legacy;
	out->version = s->version;
	out->cipher = s->cipher;
	out->raw = s->raw;
	out->name = s->name;
	out->alpn = s->alpn;
	out->listed = s->listed;
	out->session = s->session;
	out->sni = s->sni;
}

/*
 * Takes up to 8 bytes of what is being read, or skips, of rest bytes that are
 * there; word has the first 8 of them. Returns how many, and 32 bits higher what
 * tls_field() says.
 */
PARSE_GLOBAL u64 tls_turn(struct tls_state *s, struct tls_capture *cap, u64 word, u32 rest)
{
	u32 n;

	if (!s || !cap)
		return 1;
	if (!s->record) {
		n = field_least(rest, 5 - s->had);
		s->header = field_add(s->header, word, n);
		s->had += n;
		if (s->had < 5)
			return n;
		s->had = 0;
		return n | (u64)tls_record(s) << 32;
	}
	n = field_least(rest, s->record);
	if (s->pass) {
		n = field_least(n, s->pass);
		s->record -= n;
		s->pass -= n;
		return n;
	}
	n = field_least(n, field_least(s->need, 8));
	if (s->act)
		word = tls_keep(s, cap, word, n);
	s->acc = field_add(s->acc, word, n);
	s->record -= n;
	s->need -= n;
	return s->need ? n : n | (u64)tls_field(s) << 32;
}

/* See parse.h. Stops behind each hello and alert, and where the rest is encrypted. */
static __always_inline u32 tls_step(struct tls_state *s, const u8 *window, u32 len, struct tls_out *out,
				    struct tls_capture *cap)
{
	u32 at = 0, n;

	out->flags = 0;
	out->reason = 0;
	if (s->skip == PARSE_REST)
		return len;
	if (len > TLS_WINDOW)
		len = TLS_WINDOW;
#pragma clang loop unroll(disable)
	for (u32 turn = 0; turn < TLS_TURNS; turn++) {
		u64 took;

		parse_forget(at, 255);
		if (at >= len)
			break;
		took = tls_turn(s, cap, parse_load(window + at), len - at);
		at += (u8)took;
		if (took >> 32) {
			tls_report(s, out, took >> 32);
			return at;
		}
	}
	/* Headers of records must be shown: what can be skipped ends with the record. */
	n = field_least(s->record, s->pass);
	s->record -= n;
	s->pass -= n;
	s->skip = n;
	return at;
}

/* Tells that n bytes, at most s->skip, have passed unseen. Nothing ends by that. */
static __always_inline void tls_skipped(struct tls_state *s, u64 n, struct tls_out *out)
{
	out->flags = 0;
	out->reason = 0;
	if (s->skip != PARSE_REST)
		s->skip -= n;
}

/* Tells that the stream ended. Between messages it may, whatever TLS thinks of that. */
static __always_inline void tls_eof(struct tls_state *s, struct tls_out *out)
{
	out->flags = 0;
	out->reason = 0;
	if (s->phase != TLS_DONE && (!tls_is_idle(s) || s->record || s->had))
		tls_report(s, out, tls_error(s, TLS_TRUNCATED));
	s->skip = PARSE_REST;
}

enum tls_verdict {
	TLS_NO = 0,
	TLS_MAYBE = 1, /* so far: ask again with more of the same bytes */
	TLS_IS_CLIENT = 2,
	TLS_IS_SERVER = 3, /* or an alert, which either may send */
};

/* Whether a direction that begins like this can be TLS: a record with the beginning of a hello, or an alert. */
static __always_inline u8 tls_detect(const u8 *window, u32 len)
{
	u64 word = __builtin_bswap64(parse_load(window));
	u16 size = word >> 24;
	u8 type = word >> 56;

	if ((len > 0 && type != 22 && type != 21) || (len > 1 && (u8)(word >> 48) != 3) ||
	    (len > 2 && (u8)(word >> 40) > 4))
		return TLS_NO;
	if (len < 6)
		return TLS_MAYBE;
	if (type == 21)
		return size == 2 && ((u8)(word >> 16) == 1 || (u8)(word >> 16) == 2) ? TLS_IS_SERVER : TLS_NO;
	if (!size || size > 1 << 14)
		return TLS_NO;
	switch ((u8)(word >> 16)) {
	case 1:
		return TLS_IS_CLIENT;
	case 2:
		return TLS_IS_SERVER;
	}
	return TLS_NO;
}
