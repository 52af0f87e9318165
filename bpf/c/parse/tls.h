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

#define TLS_NAME 128   /* bytes kept of a server's name, of at most 255 */
#define TLS_ALPN 32    /* of the list of protocols */
#define TLS_RAW 1024   /* of what a fingerprint needs */
#define TLS_WINDOW 128 /* bytes at a time; 8 more must be readable */
#define TLS_TURNS 64   /* in a step, each over up to 8 bytes, or over all that is skipped */

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
};

/* Protocols that are known by bits. */
enum tls_alpn {
	TLS_ALPN_H2 = 1,
	TLS_ALPN_HTTP1 = 2, /* http/1.0, http/1.1 */
	TLS_ALPN_DOT = 4,
	TLS_ALPN_OTHER = 128,
};

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
	u16 flags; /* enum tls_flag and enum tls_had */
	u8 phase;  /* enum tls_phase */
	u8 act;	   /* enum tls_act */
	u8 had;	   /* bytes of the record's header */
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
	u32 session; /* hash of the session id, 0 where it is empty: up to 1.2, the same from a server means resumed */
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

#include "tls_record.h"
#include "tls_detect.h"

/* Begins a direction at the first byte of its first record. */
static __always_inline void tls_init(struct tls_state *s, u8 side)
{
	__builtin_memset(s, 0, sizeof(*s));
	s->side = side;
	tls_idle(s);
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
