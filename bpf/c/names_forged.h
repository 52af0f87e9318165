/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A workload could answer its own questions: over the loopback device any process
 * may send from any port of any loopback address, and a raw socket in anybody's
 * name. What was sent like that is noted where it leaves, and met again where it
 * arrives. Packet sockets are the device program's affair.
 */
#pragma once

#include "names.h"

#define FORGED_LIFE (60 * SECOND)

struct forged_key {
	u64 owner;
	struct endpoint source;
	struct endpoint destination;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct forged_key);
	__type(value, u64); /* when */
} forged SEC(".maps");

/* Raw sockets write ports where nobody may find them: theirs are noted as 0. */
static __noinline int note_forged(u64 owner, const struct endpoint *source, const struct endpoint *destination,
				  bool raw)
{
	struct forged_key k = {.owner = owner, .source = *source, .destination = *destination};
	u64 now = bpf_ktime_get_ns();

	if (raw)
		k.source.port = k.destination.port = 0;
	bpf_map_update_elem(&forged, &k, &now, BPF_ANY);
	return 0;
}

static __noinline bool is_forged(u64 owner, const struct endpoint *source, const struct endpoint *destination)
{
	struct forged_key k = {.owner = owner, .source = *source, .destination = *destination};
	u64 now = bpf_ktime_get_ns(), *when = bpf_map_lookup_elem(&forged, &k);

	if (when && now - *when < FORGED_LIFE)
		return true;
	k.source.port = k.destination.port = 0;
	when = bpf_map_lookup_elem(&forged, &k);
	return when && now - *when < FORGED_LIFE;
}
