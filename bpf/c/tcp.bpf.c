// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* TCP: the life of every connection. */
#include "tcp.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* An opening or listening socket: everything is new, the running process is the owner. */
static __always_inline void begin(struct sock *sk, u8 role)
{
	struct sock_info *i = info_create(sk);

	if (!i)
		return;
	__builtin_memset(i, 0, sizeof(*i));
	i->role = role;
	i->start = bpf_ktime_get_boot_ns();
	read_place(sk, i);
	read_owner(i, bpf_get_current_task_btf());
}

/* A child of a listener: it keeps the listener's owner, nothing else of it. */
static __always_inline void accepted(struct sock *sk)
{
	struct sock_info *i = info_create(sk);

	if (!i)
		return;
	i->role = ROLE_SERVER;
	i->flags &= FLAG_SELF;
	i->start = bpf_ktime_get_boot_ns();
	i->established = i->reported = 0;
	i->segs_in = i->segs_out = i->carry_in = i->carry_out = 0;
	read_place(sk, i);
}

static __always_inline void report(struct sock *sk, struct sock_info *i, u16 kind, u8 end)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct sock_event *e;

	if (!tp)
		return;
	e = event_reserve(kind, sizeof(*e));
	if (!e)
		return;
	read_tcp(&e->sock, sk, tp, i);
	e->sock.cookie = bpf_get_socket_cookie(sk);
	e->sock.end = end;
	event_submit(e);
}

/*
 * Attaches to the tracepoint inet_sock_set_state: task context for SYN_SENT and
 * LISTEN, any context for the rest. The socket is locked by whoever changes it.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int oldstate, int newstate)
{
	struct sock_info *i;

	if (sk->sk_protocol != IPPROTO_TCP || !is_inet(sk))
		return 0;

	switch (newstate) {
	case TCP_SYN_SENT:
		begin(sk, ROLE_CLIENT);
		return 0;
	case TCP_LISTEN:
		begin(sk, ROLE_LISTENER);
		i = info_of(sk);
		if (i)
			report(sk, i, EVENT_SOCK_LISTEN, END_NONE);
		return 0;
	case TCP_SYN_RECV:
		if (oldstate == TCP_LISTEN)
			accepted(sk);
		return 0;
	case TCP_ESTABLISHED:
		/* Known unless its listener was there before weir and was not found. */
		i = info_of(sk);
		if (!i) {
			accepted(sk);
			i = info_of(sk);
		}
		if (!i)
			return 0;
		i->established = bpf_ktime_get_boot_ns();
		i->flags |= FLAG_ESTABLISHED;
		report(sk, i, EVENT_SOCK_OPEN, END_NONE);
		return 0;
	case TCP_CLOSE:
		i = info_of(sk);
		if (i && i->role != ROLE_LISTENER && oldstate != TCP_CLOSE && oldstate != TCP_LISTEN)
			report(sk, i, EVENT_SOCK_CLOSE, tcp_end(sk, oldstate));
		return 0;
	}
	return 0;
}
