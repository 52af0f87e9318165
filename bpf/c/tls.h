/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A TLS handshake on one TCP connection, as an exchange: from the first byte of the
 * client's hello to the last of the server's, or to what came in its place. Up to
 * TLS 1.2 more is in the clear: whether an alert follows, as of a client that does
 * not trust the certificate. It is kept until all that is certain; the rest of the
 * connection is encrypted, and not looked at.
 */
#pragma once

#include "l7_conn.h"
#include "parse/tls.h"

#define TLS_NAMELESS 1 /* operation of a hello without a server's name: 0 stands for "no room" */
#define TLS_HEADER 5   /* of a record */

_Static_assert(TLS_NAME_LEN == TLS_NAME, "name");
_Static_assert(TLS_LIST_LEN == TLS_ALPN, "protocols");
_Static_assert(TLS_HELLO_LEN == TLS_RAW, "hello");

/* What came in a direction. */
enum tls_said {
	SAID_HELLO = 1,	  /* a client's first; of a server one that is no HelloRetryRequest */
	SAID_FATAL = 2,	  /* an alert that ends the handshake */
	SAID_WARNING = 4, /* an alert that may be followed by more */
	SAID_OTHER = 8,	  /* a server does not speak TLS from its first bytes on */
	SAID_LOST = 16,	  /* what cannot be read */
	SAID_KEYS = 32,	  /* what follows is encrypted */
};

/* A direction. It can be copied and put back: that is how what came is tried. */
struct tls_dir {
	struct tls_state s;
	struct tls_out hello; /* of SAID_HELLO */
	u64 at;		      /* when what is told of it was complete: the first hello, else the last alert */
	u32 base;	      /* sequence number of the first byte */
	u32 bytes;	      /* up to its end */
	u8 said;	      /* enum tls_said */
	u8 alert;	      /* the last one's description */
	u8 reserved[6];
};

struct tls_conn {
	struct l7_conn conn;
	u64 start; /* the first byte of the client's hello */
	bool over; /* counted, or lost */
	u8 reserved[7];
	struct tls_dir dirs[STREAM_POSITIONS];
	struct tls_out out;
	u8 window[TLS_WINDOW + 8];
	struct tls_capture first; /* of the client's first hello */
	struct tls_capture later; /* of whatever comes behind it, in turn: of a ServerHello the protocol is needed */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tls_conn);
} l7_tls SEC(".maps");

static __always_inline bool tls_asks(const struct tls_conn *h, u32 position)
{
	return (position == STREAM_EGRESS) == (h->conn.client != 0);
}

static __always_inline struct tls_dir *tls_arrived(struct tls_conn *h)
{
	return &h->dirs[stream_ingress(&h->conn.stream)];
}

/* Both directions, as far as they are certain. */
static __always_inline struct tls_dir *tls_asked(struct tls_conn *h)
{
	return &h->dirs[h->conn.client ? STREAM_EGRESS : stream_ingress(&h->conn.stream)];
}

static __always_inline struct tls_dir *tls_answered(struct tls_conn *h)
{
	return &h->dirs[h->conn.client ? stream_ingress(&h->conn.stream) : STREAM_EGRESS];
}

/* Whether nothing in the clear follows a server's hello. */
static __always_inline bool tls_closed(const struct tls_dir *d)
{
	return d->said & SAID_HELLO && d->hello.version > 0x0303;
}

/* Whether more of a direction would change nothing. */
static __always_inline bool tls_through(const struct tls_dir *d, bool asks)
{
	return d->said & (SAID_FATAL | SAID_OTHER | SAID_LOST | SAID_KEYS) || (!asks && tls_closed(d));
}

/*
 * Whether the server took up an earlier session. Up to TLS 1.2 it repeats the session's
 * id then, also where the client has a ticket (RFC 5077 §3.4), for which it makes one
 * up. Of a client that does not, it would show only behind the hellos.
 */
static __always_inline bool tls_resumed(const struct tls_out *client, const struct tls_out *server)
{
	if (server->version > 0x0303)
		return server->hints & TLS_PSK;
	return server->session && server->session == client->session;
}

static __always_inline void tls_describe(struct tls_event *e, struct tls_conn *h)
{
	const struct tls_dir *asked = tls_asked(h), *answered = tls_answered(h);
	bool both = answered->said & SAID_HELLO;

	e->version = both ? answered->hello.version : asked->hello.version;
	e->cipher = both ? answered->hello.cipher : 0;
	e->hello_len = asked->hello.raw;
	e->hints = asked->hello.hints & TLS_ECH ? HINT_ECH : 0;
	if (both && tls_resumed(&asked->hello, &answered->hello))
		e->hints |= HINT_RESUMED;
	e->name_len = asked->hello.name;
	e->offered_len = asked->hello.listed;
	e->chosen_len = both ? answered->hello.listed : 0;
	__builtin_memset(e->reserved, 0, sizeof(e->reserved));
	__builtin_memcpy(e->name, h->first.name, sizeof(e->name));
	__builtin_memcpy(e->offered, h->first.alpn, sizeof(e->offered));
	__builtin_memcpy(e->chosen, h->later.alpn, sizeof(e->chosen));
	__builtin_memcpy(e->hello, h->first.raw, sizeof(e->hello));
}

/* Tells of a handshake in full. */
static __always_inline bool tls_tell(struct tls_conn *h, const struct exchange_key *k, const struct exchange_value *v,
				     u8 why)
{
	struct tls_event *e = event_reserve(EVENT_TLS, sizeof(*e));

	if (!e)
		return false;
	conn_report(&h->conn, &e->exchange, v, h->start);
	e->exchange.key.operation = k->operation;
	e->exchange.key.status = k->status;
	e->exchange.why = why;
	e->alert = k->status == L7_NO_ANSWER ? 0 : k->status;
	tls_describe(e, h);
	event_submit(e);
	return true;
}

/* The handshake is through, for better or worse. */
__attribute__((noinline)) int tls_done(struct tls_conn *h, u32 status, u64 end)
{
	struct exchange_value v = {.count = 1};
	struct exchange_key k;
	bool first;
	u64 sni;
	u8 why;

	if (!h)
		return 0;
	h->over = true;
	k = h->conn.key; /* on the stack: 6.1 takes no key from elsewhere here */
	sni = tls_asked(h)->hello.sni;
	v.latency = end > h->start ? end - h->start : 0;
	v.request_bytes = tls_asked(h)->bytes;
	v.response_bytes = tls_answered(h)->bytes;
	/* A name that is asked of a resolver is another operation than the same name here. */
	k.operation = sni ? name_mix(sni, L7_TLS) : TLS_NAMELESS;
	k.status = status;
	k.bucket = l7_bucket(v.latency);
	first = l7_add(&k, &v);
	why = l7_why(L7_TLS, k.operation, first, status, v.latency, end);
	if (why && tls_tell(h, &k, &v, why) && why == WHY_NEW)
		l7_remember(k.operation);
	return 0;
}
