/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Whether what begins like this can be DNS. */
#pragma once

#include "dns.h"

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
