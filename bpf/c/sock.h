/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What a socket tells of itself, and who it belongs to. */
#pragma once

#include "event.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

static __always_inline void map_v4(u8 *addr, __be32 v4)
{
	__builtin_memset(addr, 0, 10);
	addr[10] = addr[11] = 0xff;
	__builtin_memcpy(addr + 12, &v4, 4);
}

static __always_inline void read_addrs(const struct sock *sk, struct endpoint *local, struct endpoint *remote)
{
	if (sk->__sk_common.skc_family == AF_INET6) {
		struct in6_addr a = sk->__sk_common.skc_v6_rcv_saddr;

		__builtin_memcpy(local->addr, &a, 16);
		a = sk->__sk_common.skc_v6_daddr;
		__builtin_memcpy(remote->addr, &a, 16);
	} else {
		map_v4(local->addr, sk->__sk_common.skc_rcv_saddr);
		map_v4(remote->addr, sk->__sk_common.skc_daddr);
	}
	local->port = sk->__sk_common.skc_num;
	remote->port = bpf_ntohs(sk->__sk_common.skc_dport);
	local->reserved = remote->reserved = 0;
}

/* Whether the peer's FIN was taken: it has a sequence number, and is no byte of the stream. */
static __always_inline bool fin_taken(const struct sock *sk)
{
	return sk->__sk_common.skc_flags & (1UL << SOCK_DONE);
}

static __always_inline bool is_inet(const struct sock *sk)
{
	u16 family = sk->__sk_common.skc_family;

	return family == AF_INET || family == AF_INET6;
}

/* What the socket belongs to by the kernel's own account: its creator's cgroup. */
static __always_inline void read_place(const struct sock *sk, struct sock_info *i)
{
	i->cgroup = sk->sk_cgrp_data.cgroup->kn->id;
	i->netns = sk->__sk_common.skc_net.net->ns.inum;
}

/* The process that runs now opened the socket; its leader's name, not a worker thread's. */
static __always_inline void read_owner(struct sock_info *i, const struct task_struct *task)
{
	i->pid = task->tgid;
	bpf_probe_read_kernel_str(i->comm, sizeof(i->comm), task->group_leader->comm);
	if (i->pid == self_tgid)
		i->flags |= FLAG_SELF;
}

static __always_inline struct sock_info *info_of(struct sock *sk)
{
	return bpf_sk_storage_get(&sockets, sk, 0, 0);
}

static __always_inline struct sock_info *info_create(struct sock *sk)
{
	struct sock_info *i = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!i)
		count_loss(LOSS_STORAGE_FAILED);
	return i;
}
