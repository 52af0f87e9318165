/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * For tests alone: shows a stream to a parser, cut as asked for, and notes what it
 * tells. The same source runs in the kernel and natively. Before this is included
 *
 *  - DRIVE(name) gives names their prefix, DRIVE_TOLD says how many notes there are;
 *  - DRIVE(drive_init)(state, argument) begins a stream, false if it is none.
 */
#include "field.h"

#ifndef DRIVE_WINDOW
#define DRIVE_WINDOW PARSE_WINDOW
#define DRIVE_READ (PARSE_WINDOW + PARSE_SLACK)
#endif

#define DRIVE_STREAM 65536 /* a power of two */
#define DRIVE_SLACK 192	   /* above all that a window may read beyond it */
#define DRIVE_CUTS 1024	   /* a power of two */

struct DRIVE(told) {
	u32 at; /* bytes of the stream before it */
	u32 reserved;
	struct DRIVE(out) out;
	struct DRIVE(capture) capture;
};

struct DRIVE(run) {
	u32 argument;
	u32 len;
	u32 window; /* bytes at a time, at most */
	u32 repeat;
	u8 eof;	   /* tell the end, too */
	u8 plain;  /* no poison: it costs time */
	u8 poison; /* what stands in the window behind what is shown */
	u8 reserved;
	/* Results. */
	u32 at;
	u32 cut; /* of cuts, the next */
	u32 steps;
	u32 notes; /* of which DRIVE_TOLD are kept */
	u32 padding;
	u64 ns;
	struct DRIVE(state) state;
	struct DRIVE(out) out;
	struct DRIVE(capture) capture;
	struct DRIVE(told) told[DRIVE_TOLD];
	u32 cuts[DRIVE_CUTS]; /* offsets in order, then ones: no window reaches from before one to behind it */
	u8 shown[512];
	u8 stream[DRIVE_STREAM + DRIVE_SLACK];
};

PARSE_GLOBAL int DRIVE(drive_note)(struct DRIVE(run) * r)
{
	u64 *to, *from;
	u32 n;

	if (!r)
		return 0;
	n = r->notes++;
	from = (u64 *)&r->capture;
	if (n >= DRIVE_TOLD)
		return 0;
	r->told[n].at = r->at;
	r->told[n].out = r->out;
	to = (u64 *)&r->told[n].capture;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < sizeof(r->capture) / 8; i++)
		to[i] = from[i];
	return 0;
}

/* Copies what is shown, and puts poison behind it. */
PARSE_GLOBAL int DRIVE(drive_show)(struct DRIVE(run) * r, u32 at, u32 len)
{
	if (!r || at >= DRIVE_STREAM)
		return 0;
	__builtin_memcpy(r->shown, r->stream + at, DRIVE_READ);
	if (r->plain)
		return 0;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < DRIVE_READ; i++) {
		r->shown[(len + i) % sizeof(r->shown)] = r->poison;
	}
	return 0;
}

static __always_inline bool DRIVE(drive_begin)(struct DRIVE(run) * r)
{
	__builtin_memset(&r->out, 0, sizeof(r->out));
	r->at = r->cut = r->steps = r->notes = 0;
	return DRIVE(drive_init)(&r->state, r->argument);
}

/* Shows len bytes, and says how many were taken. */
PARSE_GLOBAL u32 DRIVE(drive_step)(struct DRIVE(run) * r, u32 at, u32 len)
{
	if (!r)
		return 0;
	DRIVE(drive_show)(r, at, len);
	return DRIVE(step)(&r->state, r->shown, len, &r->out, &r->capture);
}

/* One step; false after the last. */
static __always_inline bool DRIVE(drive_turn)(struct DRIVE(run) * r)
{
	u32 at = r->at, len = r->len - at, cut;

	if (at >= r->len || at >= DRIVE_STREAM)
		return false;
	cut = r->cuts[r->cut & (DRIVE_CUTS - 1)];
	if (cut <= at) {
		r->cut++;
		return true;
	}
	if (cut < r->len)
		len = cut - at;
	r->steps++;
	if (r->state.skip) {
		u64 n = r->state.skip < len ? r->state.skip : len;

		DRIVE(skipped)(&r->state, n, &r->out);
		r->at = at + n;
	} else {
		if (len > r->window)
			len = r->window;
		r->at = at + DRIVE(drive_step)(r, at, len);
	}
	if (r->out.flags)
		DRIVE(drive_note)(r);
	return true;
}

static __always_inline void DRIVE(drive_end)(struct DRIVE(run) * r)
{
	if (!r->eof)
		return;
	DRIVE(eof)(&r->state, &r->out);
	if (r->out.flags)
		DRIVE(drive_note)(r);
}
