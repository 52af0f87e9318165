// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Containers come and go: their cgroup is known before their first packet. */
#include "event.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int report(struct cgroup *cgroup, const char *path, u16 kind)
{
	struct cgroup_event *e;

	if (cgroup->root->hierarchy_id != 0) /* a v1 hierarchy of a hybrid host */
		return 0;
	e = event_reserve(kind, sizeof(*e));
	if (!e)
		return 0;
	e->id = cgroup->kn->id;
	if (bpf_probe_read_kernel_str(e->path, sizeof(e->path), path) < 0)
		e->path[0] = 0;
	event_submit(e);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	return report(cgroup, path, EVENT_CGROUP_MKDIR);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	return report(cgroup, path, EVENT_CGROUP_RMDIR);
}
