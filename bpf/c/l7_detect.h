/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which protocol a TCP connection speaks, told by the first bytes that its client
 * sends, and from then on by a flag or a tail call.
 */
#pragma once

#include "l7.h"
#include "parse/dns.h"
#include "parse/http1.h"
#include "parse/tls.h"

struct l7_begin {
	u8 bytes[HTTP1_WINDOW + HTTP1_SLACK];
};

#define L7_MAYBE 0xff

/* enum l7_protocol, or L7_MAYBE. Verified by itself. */
__attribute__((noinline)) u32 l7_detect(const struct l7_begin *b, u32 len)
{
	u32 http, tls, dns = DNS_NO;

	if (!b)
		return L7_NONE;
	if (len > 64)
		len = 64;
	http = http1_detect(b->bytes, len);
	if (http == HTTP1_IS_REQUEST)
		return L7_HTTP;
	tls = tls_detect(b->bytes, len);
	if (tls == TLS_IS_CLIENT)
		return L7_TLS;
	/* A message behind its length (RFC 1035 §4.2.2), of at least a header and a question. */
	if (len < 2 || (b->bytes[0] << 8 | b->bytes[1]) >= 17)
		dns = len < 2 ? DNS_MAYBE : dns_detect(b->bytes + 2, len - 2);
	if (dns == DNS_IS_QUERY)
		return L7_DNS;
	if (http == HTTP1_MAYBE || tls == TLS_MAYBE || dns == DNS_MAYBE)
		return L7_MAYBE;
	return L7_NONE;
}

/* Where this direction's stream began, by the kernel's own books; see tcp.h. */
static __always_inline u32 l7_stream_start(const struct bpf_tcp_sock *tp, bool egress, u8 role)
{
	if (egress)
		return tp->snd_una - (u32)tp->bytes_acked + (role == ROLE_CLIENT);
	return tp->rcv_nxt - (u32)tp->bytes_received;
}

/* The client leaves a note, the server signs it and leaves the connection to the client. */
static __always_inline void l7_pair(struct l7_sock *l, const struct sock_info *i)
{
	u64 cgroup = i->flags & FLAG_SELF ? L7_SELF : i->cgroup;

	if (l->role == ROLE_CLIENT) {
		struct l7_pair note = {.client = cgroup};

		if (!bpf_map_update_elem(&l7_pairs, &l->conn, &note, BPF_ANY))
			l->flags |= L7_NOTED;
	} else {
		struct l7_pair *note = bpf_map_lookup_elem(&l7_pairs, &l->conn);

		if (note) {
			note->server = cgroup;
			l->flags |= L7_OPAQUE;
		}
	}
	if (i->flags & FLAG_SELF)
		l->flags |= L7_OPAQUE;
}

static __always_inline struct l7_sock *l7_create(struct bpf_sock *sk, struct sock_info *i, bool egress)
{
	struct l7_sock *l = bpf_sk_storage_get(&l7_socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!l) {
		l7_unseen(L7_NONE, UNSEEN_STORAGE, 1, 0);
		return NULL;
	}
	l->role = i->role;
	/* Whoever sends first is the client, of what weir can read. */
	if (l->role != ROLE_CLIENT && l->role != ROLE_SERVER)
		l->role = egress ? ROLE_CLIENT : ROLE_SERVER;
	return l;
}

/* A segment of a connection whose protocol is not known yet. */
static __always_inline void l7_look(struct __sk_buff *skb, struct bpf_sock *sk, struct l7_sock *l, struct sock_info *i,
				    const struct segment *g, bool egress)
{
	struct bpf_tcp_sock *tp = bpf_tcp_sock(sk);
	struct l7_begin b = {};
	u32 n = g->len, verdict, have = l->have & (L7_HEAD - 1);

	if (!tp)
		return;
	if (l->flags & L7_DOUBT) {
		if ((s32)(tp->rcv_nxt - l->start) > 0)
			l->flags |= L7_OPAQUE;
		if (l->flags & L7_OPAQUE || egress)
			return;
	}
	if (egress != (l->role == ROLE_CLIENT)) {
		l->flags |= L7_OPAQUE; /* the server speaks first */
		return;
	}
	l->start = l7_stream_start(tp, egress, l->role);
	if (g->seq == l->start) {
		have = 0;
		l->began = bpf_ktime_get_boot_ns();
	}
	if (have)
		__builtin_memcpy(b.bytes, l->head, L7_HEAD);
	if (n > 32)
		n = 32;
	asm volatile("" : "+r"(n));
	if (n == 0 || n > 32 || bpf_skb_load_bytes(skb, g->offset, b.bytes + have, n))
		return;
	verdict = l7_detect(&b, have + n);
	if (g->seq != l->start + have) {
		/* In mid-stream. What looks like a protocol is said not to be seen. */
		if (i->flags & FLAG_PREEXISTING || egress) {
			if (verdict != L7_NONE && verdict != L7_MAYBE) {
				l->protocol = verdict;
				l7_unseen(verdict, UNSEEN_MID_STREAM, 1, g->len);
			}
			l->flags |= verdict == L7_HTTP ? L7_LOST : L7_OPAQUE;
		}
		return;
	}
	if (verdict == L7_MAYBE && have + g->len < L7_HEAD) {
		__builtin_memcpy(l->head, b.bytes, L7_HEAD);
		l->have = have + n;
		return;
	}
	if (verdict == L7_NONE || verdict == L7_MAYBE) {
		l->flags |= egress ? L7_OPAQUE : L7_DOUBT;
		return;
	}
	l->have = have;
	l->conn = (u64)l->start << 32 | g->ack;
	l7_pair(l, i);
	l->protocol = verdict;
}

/* May not return: the protocol's program goes on in its place. */
static __always_inline void l7_packet(struct __sk_buff *skb, struct bpf_sock *sk, bool egress)
{
	struct l7_sock *l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	struct segment g;

	if (l && l->flags & L7_OPAQUE)
		return;
	if (!l || !l->protocol || l->flags & L7_LOST) {
		struct sock_info *i;

		if (!read_segment(skb, &g) || !g.len)
			return;
		if (l && l->flags & L7_LOST) {
			l7_unseen(l->protocol, UNSEEN_GAP, 0, g.len);
			return;
		}
		i = bpf_sk_storage_get(&sockets, sk, 0, 0);
		if (!i || i->role == ROLE_LISTENER)
			return;
		if (!l)
			l = l7_create(sk, i, egress);
		if (!l)
			return;
		l7_look(skb, sk, l, i, &g, egress);
		if (!l->protocol || l->flags & (L7_OPAQUE | L7_LOST))
			return;
	}
	if (egress)
		bpf_tail_call(skb, &l7_egress, l->protocol);
	else
		bpf_tail_call(skb, &l7_ingress, l->protocol);
	/* There is no such program. */
	l->flags |= L7_OPAQUE;
}
