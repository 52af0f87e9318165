/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* For tests alone: drive.h in the kernel, where a loop is a helper and the stream is in a map. */
#include "drive.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct DRIVE(run));
} runs SEC(".maps");

static __always_inline struct DRIVE(run) * DRIVE(drive_run)(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&runs, &zero);
}

static long DRIVE(drive_one_turn)(u32 index, void *ctx)
{
	struct DRIVE(run) *r = DRIVE(drive_run)();

	return !r || !DRIVE(drive_turn)(r);
}

static long DRIVE(drive_one_run)(u32 index, void *ctx)
{
	struct DRIVE(run) *r = DRIVE(drive_run)();

	if (!r)
		return 1;
	if (!DRIVE(drive_begin)(r))
		return 0;
	bpf_loop(2 * DRIVE_STREAM, DRIVE(drive_one_turn), NULL, 0);
	DRIVE(drive_end)(r);
	return 0;
}

static __always_inline int DRIVE(drive)(void)
{
	struct DRIVE(run) *r = DRIVE(drive_run)();
	u64 begin;

	if (!r)
		return 1;
	begin = bpf_ktime_get_ns();
	bpf_loop(r->repeat, DRIVE(drive_one_run), NULL, 0);
	r->ns = bpf_ktime_get_ns() - begin;
	return 0;
}
