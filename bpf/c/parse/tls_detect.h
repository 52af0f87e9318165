/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Whether a direction that begins like this can be TLS. */
#pragma once

#include "tls.h"

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
