// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* For tests alone: as many events as asked for, by the same path as all others. */
#include "sock.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct flood_args {
	u32 events;
	u32 made;
};

static long emit(u32 index, struct flood_args *args)
{
	struct sock_event *e = event_reserve(EVENT_SOCK_OPEN, sizeof(*e));

	args->made++;
	if (!e)
		return 0;
	__builtin_memset(&e->sock, 0, sizeof(e->sock));
	e->sock.cookie = (u64)bpf_get_smp_processor_id() << 32 | index;
	e->sock.protocol = IPPROTO_UDP;
	e->sock.role = ROLE_CLIENT;
	event_submit(e);
	return 0;
}

SEC("syscall")
int flood(struct flood_args *args)
{
	struct flood_args a = {.events = args->events};

	bpf_loop(a.events, emit, &a, 0);
	args->made = a.made;
	return 0;
}
