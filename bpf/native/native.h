/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* drive.h outside of the kernel. */
#include <time.h>

static u64 DRIVE(drive_clock)(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void DRIVE(drive)(struct DRIVE(run) * r)
{
	u64 begin = DRIVE(drive_clock)();

	for (u32 i = 0; i < r->repeat; i++) {
		if (!DRIVE(drive_begin)(r))
			continue;
		while (DRIVE(drive_turn)(r))
			;
		DRIVE(drive_end)(r);
	}
	r->ns = DRIVE(drive_clock)() - begin;
}
