/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The TCP sockets that live, told by whichever iterator comes to them. */
#pragma once

#include "tcp.h"

/* What a reading is to tell, set before it. The numbers are those of bpf/tables.go. */
enum telling {
	TELL_NOTHING = 0,
	TELL_CHANGED = 1, /* sockets with new packets since the reading before */
	TELL_ALL = 2,	  /* every living socket, listeners too */
};

u32 telling;

/* Writes the socket to the reader as one struct sock_report. */
static __always_inline void tell_living(struct seq_file *seq, struct sock *sk, struct sock_info *i)
{
	u8 state = sk->__sk_common.skc_state;
	struct sock_report r = {};
	struct tcp_sock *tp;
	u64 packets;

	if (state == TCP_CLOSE || state == TCP_SYN_RECV || state == TCP_NEW_SYN_RECV)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return;
	packets = (u64)tp->segs_in + tp->segs_out;
	if (telling != TELL_ALL && (packets == i->reported || state == TCP_LISTEN))
		return;
	read_tcp(&r, sk, tp, i);
	r.cookie = bpf_get_socket_cookie(sk);
	if (bpf_seq_write(seq, &r, sizeof(r))) {
		/* The buffer was full: the kernel calls again for this one. */
		return;
	}
	i->reported = packets;
}
