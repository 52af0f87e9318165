/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* For tests alone: what drive.h needs to know of TLS. The argument says that it is a stream of enum tls_side. */
#pragma once

#include "tls.h"

#define DRIVE(name) tls_##name
#define DRIVE_WINDOW TLS_WINDOW
#define DRIVE_READ (TLS_WINDOW + PARSE_SLACK)
#define DRIVE_TOLD 16

static __always_inline bool tls_drive_init(struct tls_state *s, u32 side)
{
	tls_init(s, side);
	return true;
}
