// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Who owns a socket: at its creation, and for those that were there before weir. */
#include "living.h"
#include "named.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Attaches at the cgroup root, runs for socket(2) of AF_INET and AF_INET6. TCP
 * is left to its state changes, which know more.
 */
SEC("cgroup/sock_create")
int socket_create(struct bpf_sock *sk)
{
	struct task_struct *task;
	struct sock_info *i;

	if (sk->protocol == IPPROTO_TCP && sk->type == SOCK_STREAM)
		return 1;
	i = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!i) {
		count_loss(LOSS_STORAGE_FAILED);
		return 1;
	}
	i->start = bpf_ktime_get_boot_ns();
	i->cgroup = bpf_get_current_cgroup_id();
	task = (void *)bpf_get_current_task();
	i->pid = bpf_get_current_pid_tgid() >> 32;
	i->netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	BPF_CORE_READ_STR_INTO(&i->comm, task, group_leader, comm);
	if (i->pid == self_tgid)
		i->flags |= FLAG_SELF;
	return 1;
}

/* Attach at the cgroup root, run for sendto(2) and the like with an address, before routing and NAT. */
SEC("cgroup/sendmsg4")
int socket_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct endpoint peer = {};
	struct sock_info *i;

	i = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : NULL;
	if (!i)
		return 1;
	map_v4(peer.addr, ctx->user_ip4);
	peer.port = bpf_ntohs(ctx->user_port);
	remember_named(i, &peer);
	return 1;
}

SEC("cgroup/sendmsg6")
int socket_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct endpoint peer = {};
	struct sock_info *i;
	u32 v6[4];

	i = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : NULL;
	if (!i)
		return 1;
	v6[0] = ctx->user_ip6[0];
	v6[1] = ctx->user_ip6[1];
	v6[2] = ctx->user_ip6[2];
	v6[3] = ctx->user_ip6[3];
	__builtin_memcpy(peer.addr, v6, 16);
	peer.port = bpf_ntohs(ctx->user_port);
	remember_named(i, &peer);
	return 1;
}

/*
 * Go listens by MPTCP since 1.24: what is in its file table is a shell around a
 * TCP socket that no iterator leads to. User space is told port and owner.
 */
static __always_inline void tell_listener(struct bpf_iter__task_file *ctx, struct task_struct *task,
					  const struct sock *sk)
{
	struct sock_report r = {};
	struct sock_info i = {};

	if (sk->__sk_common.skc_state != TCP_LISTEN)
		return;
	read_addrs(sk, &r.local, &r.remote);
	read_place(sk, &i);
	read_owner(&i, task);
	r.cgroup = i.cgroup;
	r.netns = i.netns;
	r.pid = i.pid;
	r.protocol = IPPROTO_TCP;
	r.role = ROLE_LISTENER;
	r.flags = i.flags | FLAG_PREEXISTING;
	__builtin_memcpy(r.comm, i.comm, COMM_LEN);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
}

/* A socket that no hook has met gets its owner and the mark of being older than weir. */
static __always_inline struct sock_info *meet(struct sock *sk, const struct task_struct *task)
{
	struct sock_info *i = info_of(sk);

	if (i)
		return i;
	i = info_create(sk);
	if (!i)
		return NULL;
	i->start = bpf_ktime_get_boot_ns();
	i->role = sk->__sk_common.skc_state == TCP_LISTEN ? ROLE_LISTENER : ROLE_UNKNOWN;
	i->flags = FLAG_PREEXISTING;
	if (sk->__sk_common.skc_state == TCP_ESTABLISHED)
		i->flags |= FLAG_ESTABLISHED;
	read_place(sk, i);
	read_owner(i, task);
	return i;
}

/*
 * iter/task_file: every socket in some process's file table, in all network
 * namespaces. Read at the start for those that are older than weir; and, where
 * the kernel refuses tcp_table, at each reading for the numbers of those that
 * live.
 */
SEC("iter/task_file")
int socket_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock_info *i;
	struct sock *sk;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || !is_inet(sk))
		return 0;
	if (sk->sk_protocol == IPPROTO_MPTCP) {
		if (telling == TELL_NOTHING)
			tell_listener(ctx, task, sk);
		return 0;
	}
	i = meet(sk, task);
	if (i && telling != TELL_NOTHING && sk->sk_protocol == IPPROTO_TCP)
		tell_living(ctx->meta->seq, sk, i);
	return 0;
}
