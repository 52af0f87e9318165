/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A TCP flow read from the kernel's own books (struct tcp_sock). The kernel
 * counts these anyway, exactly and for each socket, so weir adds nothing per
 * packet.
 */
#pragma once

#include "sock.h"

/*
 * RFC 4898 counters. wire is computed: payload, retransmissions and one header
 * of the connection's usual length per segment. Not in it: the options of SYN
 * and SACK segments (8 to 40 bytes each) and what the peer sent twice.
 */
static __always_inline void read_counters(struct sock_report *r, const struct sock *sk, const struct tcp_sock *tp,
					  struct sock_info *i)
{
	u32 in = tp->segs_in, out = tp->segs_out;
	u64 sent = tp->bytes_sent, received = tp->bytes_received;
	bool v4 = sk->__sk_common.skc_family == AF_INET ||
		  sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2] == bpf_htonl(0xffff);
	u32 header = (v4 ? 20 : 40) + tp->tcp_header_len;
	u32 handshake = i->role == ROLE_SERVER && i->flags & FLAG_ESTABLISHED;

	if (in < i->segs_in)
		i->carry_in++;
	if (out < i->segs_out)
		i->carry_out++;
	i->segs_in = in;
	i->segs_out = out;

	/* The peer's FIN took a sequence number, and the kernel counts it as a byte. */
	if (received && fin_taken(sk))
		received--;

	/* The SYN-ACK of an accepted connection was the listener's; its SYN is counted (tcp_create_openreq_child). */
	r->sent.packets = ((u64)i->carry_out << 32 | out) + handshake;
	r->sent.payload = sent - tp->bytes_retrans;
	r->sent.wire = sent + r->sent.packets * header;
	r->received.packets = (u64)i->carry_in << 32 | in;
	r->received.payload = received;
	r->received.wire = received + r->received.packets * header;
	r->rtt_us = tp->srtt_us >> 3;
	r->retransmits = tp->total_retrans;
}

static __always_inline void read_tcp(struct sock_report *r, const struct sock *sk, const struct tcp_sock *tp,
				     struct sock_info *i)
{
	read_addrs(sk, &r->local, &r->remote);
	/* skc_num is already 0 when a socket becomes TCP_CLOSE. */
	r->local.port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	read_counters(r, sk, tp, i);

	/* The initial sequence numbers, told from where the streams stand now. The client's
	 * SYN is among its acknowledged bytes, so isn_sent is one lower there. */
	r->isn_sent = tp->snd_una - (u32)tp->bytes_acked;
	r->isn_received = tp->rcv_nxt - (u32)tp->bytes_received;

	__builtin_memset(&r->wire, 0, sizeof(r->wire));
	r->reserved2 = 0;
	r->cookie = 0;
	r->cgroup = i->cgroup;
	r->start = i->start;
	r->last = 0;
	r->connect_latency = i->role == ROLE_CLIENT && i->established ? i->established - i->start : 0;
	r->netns = i->netns;
	r->pid = i->pid;
	r->protocol = IPPROTO_TCP;
	r->role = i->role;
	r->end = END_NONE;
	r->flags = i->flags;
	r->icmp_type = r->icmp_code = 0;
	r->state = sk->__sk_common.skc_state;
	r->reserved = 0;
	__builtin_memcpy(r->comm, i->comm, COMM_LEN);
}

/*
 * How a connection ended, from the state it left and the error it left behind.
 * The kernel sets sk_err before TCP_CLOSE: tcp_reset() ECONNRESET, EPIPE or
 * ECONNREFUSED, tcp_write_err() ETIMEDOUT or the last ICMP error. Without an
 * error an orderly end comes out of LAST_ACK, CLOSING or FIN_WAIT2; anything
 * else was cut off by this side (net/ipv4/tcp.c, tcp_input.c, tcp_timer.c).
 */
static __always_inline u8 tcp_end(const struct sock *sk, int oldstate)
{
	switch (sk->sk_err) {
	case ECONNREFUSED:
		return END_REFUSED;
	case ETIMEDOUT:
		return END_TIMED_OUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
		return END_UNREACHABLE;
	case ECONNRESET:
	case EPIPE:
		return END_RESET_REMOTE;
	}
	switch (oldstate) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		return END_ABORTED;
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
	case TCP_FIN_WAIT1:
		return END_RESET_LOCAL;
	}
	return END_CLOSED;
}
