/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Records, and what goes from them into fields. */
#pragma once

#include "tls_extension.h"

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
