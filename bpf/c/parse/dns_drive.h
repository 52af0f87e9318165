/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* For tests alone: what drive.h needs to know of DNS. The argument says that it is a datagram of so many bytes, or with
 * 0 a stream. */
#pragma once

#include "dns.h"

#define DRIVE(name) dns_##name
#define DRIVE_WINDOW DNS_WINDOW
#define DRIVE_READ (DNS_WINDOW + PARSE_SLACK)
#define DRIVE_TOLD 64

static __always_inline bool dns_drive_init(struct dns_state *s, u32 datagram)
{
	if (datagram)
		return dns_init_datagram(s, datagram);
	dns_init(s);
	return true;
}
