// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The table of TCP sockets: the socket storage, where the kernel lets it be read. */
#include "living.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * iter/bpf_sk_storage_map: one read gives every socket that weir knows, in all
 * network namespaces. Kernels under lockdown may refuse it, since an iterator
 * over a map may also write to it: then socket_files tells the sockets.
 */
SEC("iter/bpf_sk_storage_map")
int tcp_table(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock_info *i = ctx->value;
	struct sock *sk = ctx->sk;

	if (i && sk && sk->sk_protocol == IPPROTO_TCP)
		tell_living(ctx->meta->seq, sk, i);
	return 0;
}
