/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Cgroups come and go. A container that is known by its id gets its rules here,
 * before it has a process; one that is not is held until it is named, or is
 * everyone's, as the regime says. Any other cgroup belongs to whom the one above
 * it belongs.
 */
#pragma once

#include "rule.h"
#include <bpf/bpf_core_read.h>

#define NAME_LEN 128
#define ID_LEN 64
#define SCOPE_LEN 6 /* ".scope", as systemd calls what others run */

/* Every runtime's name for a container's cgroup ends with the id: "docker-ID.scope", "ID", "libpod-ID". */
static __always_inline bool find_id(const char *name, int len, struct container_id *id)
{
	int at = len - ID_LEN;
	u32 other = 0;

	if (at > 0 && at + ID_LEN <= NAME_LEN && name[(len - 1) & (NAME_LEN - 1)] == 'e')
		at -= SCOPE_LEN;
	if (at < 0 || at > NAME_LEN - ID_LEN)
		return false;
	for (int n = 0; n < ID_LEN; n++) {
		u32 c = (u8)name[at + n], digit = (c - '0') & 0xff, letter = (c - 'a') & 0xff;

		id->hex[n] = c;
		other |= ~((digit - 10) | (letter - 6)) >>
			 31; /* without a branch: the verifier would go both ways each time */
	}
	return !other;
}

static __always_inline bool holds(const struct regime *r)
{
	return bpf_ktime_get_boot_ns() - r->alive < r->patience ? r->hold : r->hold_orphan;
}

static __always_inline void settle(struct regime *r, u64 id, struct member *m)
{
	long err = bpf_map_update_elem(&members, &id, m, BPF_NOEXIST);

	if (err && err != -EEXIST) {
		__sync_fetch_and_add(&r->homeless, 1);
		r->shut = 1;
	}
}

/* Below a container everything is the container's, whatever it is called. */
static __always_inline void inherit(struct regime *r, u64 id, const struct member *above)
{
	struct member m = *above;

	m.flags |= MEMBER_INHERITED;
	settle(r, id, &m);
}

static __always_inline void arrive(struct cgroup *cgroup)
{
	u64 id = cgroup->kn->id, up = BPF_CORE_READ((struct cgroup *)cgroup->self.parent, kn, id);
	struct member m = {.identity = IDENTITY_UNKNOWN, .set = SET_HELD}, *known, *above;
	struct regime *r = the_regime();
	struct container_id container;
	char name[NAME_LEN] = {};
	int len;

	if (!r)
		return;
	above = bpf_map_lookup_elem(&members, &up);
	if (above && above->flags & MEMBER_CONTAINER) {
		inherit(r, id, above);
		return;
	}
	len = bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(cgroup, kn, name));
	if (!find_id(name, len - 1, &container)) {
		if (above)
			inherit(r, id, above);
		return;
	}
	known = bpf_map_lookup_elem(&containers, &container);
	if (known)
		m = *known;
	else if (!holds(r))
		return;
	m.flags |= MEMBER_CONTAINER;
	m.owner = id;
	settle(r, id, &m);
}

static __always_inline void leave(struct cgroup *cgroup)
{
	u64 id = cgroup->kn->id;

	bpf_map_delete_elem(&members, &id);
}
