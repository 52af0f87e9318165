/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The extensions of a hello. */
#pragma once

#include "tls_hello.h"

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
