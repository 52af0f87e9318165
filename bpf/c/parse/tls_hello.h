/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Hellos: what is before their extensions, and their end. */
#pragma once

#include "tls_state.h"

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
