/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What every protocol keeps of a connection that it reads: where its two streams
 * stand, whose its ends are, and what all its exchanges have in common.
 */
#pragma once

#include "l7_count.h"
#include "l7_stream.h"
#include "sock.h"

struct l7_conn {
	/* What every segment asks for first, in one cache line. */
	struct l7_stream stream;
	u8 client;  /* this end is the client's; no bool, which the compiler would multiply with */
	bool noted; /* the note in l7_pairs is still there */
	bool begun; /* all of this is filled in */
	u8 reserved[5];
	struct exchange_key key; /* but for operation, status and bucket */
	u64 cookie;
	struct endpoint local;
	u16 remote_port;
	u16 reserved2;
	u32 netns;
	u32 pid;
	u8 comm[COMM_LEN];
};

static __always_inline void conn_ends(struct l7_conn *c, const struct bpf_sock *sk)
{
	c->local.reserved = 0;
	c->local.port = sk->src_port;
	c->remote_port = bpf_ntohs(sk->dst_port);
	if (sk->family == AF_INET) {
		map_v4(c->local.addr, sk->src_ip4);
		map_v4(c->key.remote, sk->dst_ip4);
	} else {
		u32 v6[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};

		__builtin_memcpy(c->local.addr, v6, 16);
		v6[0] = sk->dst_ip6[0];
		v6[1] = sk->dst_ip6[1];
		v6[2] = sk->dst_ip6[2];
		v6[3] = sk->dst_ip6[3];
		__builtin_memcpy(c->key.remote, v6, 16);
	}
}

/* Fills c, which is zero, when the protocol has become known. */
static __always_inline void conn_begin(struct l7_conn *c, struct __sk_buff *skb, const struct bpf_sock *sk,
				       const struct l7_sock *l, const struct sock_info *i)
{
	c->begun = true;
	c->client = l->role == ROLE_CLIENT;
	c->noted = l->flags & L7_NOTED;
	conn_ends(c, sk);
	c->key.cgroup = i->cgroup;
	c->key.port = c->client ? c->remote_port : c->local.port;
	c->key.protocol = l->protocol;
	c->key.role = l->role;
	c->key.peer = l->peer;
	stream_begin(&c->stream, l);
	c->cookie = bpf_get_socket_cookie(skb);
	c->netns = i->netns;
	c->pid = i->pid;
	__builtin_memcpy(c->comm, i->comm, COMM_LEN);
}

/* Takes the note down, with what the server signed: nobody needs it any more. */
static __always_inline void conn_unnote(struct l7_sock *l)
{
	struct l7_pair *pair;

	if (!(l->flags & L7_NOTED))
		return;
	l->flags &= ~L7_NOTED;
	pair = bpf_map_lookup_elem(&l7_pairs, &l->conn);
	if (!pair)
		return;
	l->peer = pair->server;
	bpf_map_delete_elem(&l7_pairs, &l->conn);
}

/*
 * Learns who the server is, whose signature is there with its first answer, and at the
 * end of the connection. False if the connection is weir's own.
 */
static __always_inline bool conn_peer(struct l7_conn *c, struct l7_sock *l)
{
	c->noted = false;
	if (!l)
		return true;
	conn_unnote(l); /* another protocol's program may have been here first */
	c->key.peer = l->peer;
	return l->peer != L7_SELF;
}

/* What an exchange that is told in full says of its connection, and of itself but for why. */
static __always_inline void conn_report(const struct l7_conn *c, struct exchange_report *r,
					const struct exchange_value *v, u64 start)
{
	r->key = c->key;
	r->value = *v;
	r->cookie = c->cookie;
	r->conn = c->stream.conn;
	r->start = start;
	r->local = c->local;
	r->remote_port = c->remote_port;
	r->transport = IPPROTO_TCP;
	r->netns = c->netns;
	r->pid = c->pid;
	__builtin_memcpy(r->comm, c->comm, COMM_LEN);
}
