/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where the TLS parser is, and what it reads next. */
#pragma once

#include "tls.h"

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

/* What has been; beside enum tls_flag. */
enum tls_had {
	TLS_HELLO = 64,	     /* one has come */
	TLS_OTHER = 128,     /* another message came after it */
	TLS_FULL = 256,	     /* ServerHelloDone among them */
	TLS_RETRIED = 512,   /* a HelloRetryRequest was the last hello, or is being read */
	TLS_UNPROVEN = 1024, /* after ChangeCipherSpec; where nothing makes sense, it is encrypted */
	TLS_BAD_NAME = 2048,
};

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
