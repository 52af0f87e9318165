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
	u8 bytes[96]; /* 64 count; words are loaded whole */
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

/* How a server signs. */
static __always_inline u64 l7_signature(const struct sock_info *i)
{
	return i->flags & FLAG_SELF ? L7_SELF : i->cgroup;
}

/* The client leaves a note, the server signs it and leaves the connection to the client. */
static __always_inline void l7_pair(struct l7_sock *l, const struct sock_info *i)
{
	if (l->role == ROLE_CLIENT) {
		struct l7_pair note = {};

		if (!bpf_map_update_elem(&l7_pairs, &l->conn, &note, BPF_ANY))
			l->flags |= L7_NOTED;
	} else {
		struct l7_pair *note = bpf_map_lookup_elem(&l7_pairs, &l->conn);

		if (note) {
			note->server = l7_signature(i);
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

/* The first bytes of a segment, behind those that were kept; how many there are, or 0. */
static __always_inline u32 l7_load(struct __sk_buff *skb, const struct segment *g, struct l7_begin *b, u32 have)
{
	u32 n = g->len;

	if (!n)
		return 0;
	if (n > 32)
		n = 32;
	asm volatile("" : "+r"(have)); /* the compiler knows its range, 6.1 has forgotten it */
	have &= L7_HEAD - 1;
	if (bpf_skb_load_bytes(skb, g->offset, b->bytes + have, load_size(n, 32)))
		return 0;
	return n;
}

/*
 * A payload that met a listener: the socket to come cannot see it any more. It finds
 * the bytes, or L7_NONE where there is nothing for it to read.
 */
static __always_inline void l7_hand_over(struct __sk_buff *skb, const struct sock_info *i, const struct segment *g)
{
	u64 conn = (u64)g->seq << 32 | g->ack;
	struct l7_pair *note = bpf_map_lookup_elem(&l7_pairs, &conn);
	u32 zero = 0, n = g->len, verdict;
	struct l7_begin b = {};
	struct l7_handed *v = bpf_map_lookup_elem(&l7_handing, &zero);

	if (note)
		note->server = l7_signature(i);
	n = l7_load(skb, g, &b, 0);
	verdict = note || i->flags & FLAG_SELF ? L7_NONE : l7_detect(&b, n);
	if (!n || verdict == L7_MAYBE || !v)
		return;
	n = verdict == L7_NONE ? 1 : g->len;
	if (n > L7_HANDED_LEN) {
		n = L7_HANDED_LEN;
		l7_unseen(verdict, UNSEEN_LISTENER, 1, g->len - L7_HANDED_LEN);
	}
	n = load_size(n, L7_HANDED_LEN);
	if (bpf_skb_load_bytes(skb, g->offset, v->bytes, n))
		return;
	v->began = bpf_ktime_get_ns();
	v->len = n;
	v->protocol = verdict;
	bpf_map_update_elem(&l7_handed, &conn, v, BPF_ANY);
}

/* Takes up what was handed over; true if there was something. */
static __always_inline bool l7_picked_up(struct l7_sock *l, u32 asks, u32 answers)
{
	u64 conn = (u64)asks << 32 | answers;
	struct l7_handed *v = bpf_map_lookup_elem(&l7_handed, &conn);

	if (!v)
		return false;
	l->conn = conn;
	l->asks = asks;
	l->answers = answers;
	l->began = v->began;
	l->protocol = v->protocol & (L7_PROTOCOLS - 1);
	if (l->protocol) {
		l->flags |= L7_HANDED;
	} else {
		l->flags |= L7_OPAQUE;
		bpf_map_delete_elem(&l7_handed, &conn);
	}
	return true;
}

/*
 * In mid-stream: a request may begin with a segment before which everything was
 * acknowledged. What is read from there on is on probation, see http_done().
 */
static __always_inline void l7_enter(struct __sk_buff *skb, struct l7_sock *l, struct sock_info *i,
				     const struct bpf_tcp_sock *tp, const struct segment *g, bool egress)
{
	struct l7_begin b = {};
	u32 n = l7_load(skb, g, &b, 0), verdict;
	bool settled = egress ? tp->snd_una == g->seq : tp->rcv_nxt == g->seq;

	if (!n)
		return;
	verdict = l7_detect(&b, n);
	if (verdict == L7_HTTP && settled) {
		l->asks = g->seq;
		l->answers = egress ? tp->rcv_nxt : tp->snd_nxt;
		l->protocol = L7_HTTP;
		l->flags |= L7_MIDDLE;
		l->flags &= ~L7_LOST;
		l->have = 0;
		l->began = bpf_ktime_get_ns();
		l7_pair(l, i);
	} else if (l->flags & L7_LOST) {
		return;
	} else if (verdict != L7_NONE && verdict != L7_MAYBE) {
		l->protocol = verdict;
		l7_unseen(verdict, UNSEEN_MID_STREAM, 1, g->len);
		l->flags |= verdict == L7_HTTP ? L7_LOST : L7_OPAQUE;
	} else if (++l->tries > L7_TRIES) {
		l->flags |= L7_OPAQUE;
	}
}

/* A segment of a connection whose protocol is not known yet. */
static __always_inline void l7_look(struct __sk_buff *skb, struct bpf_sock *sk, struct l7_sock *l, struct sock_info *i,
				    struct segment *g, bool egress)
{
	struct bpf_tcp_sock *tp = bpf_tcp_sock(sk);
	u32 n, verdict, start, have = l->have & (L7_HEAD - 1), asks, answers;
	s32 taken, from;
	struct l7_begin b = {};
	bool client = l->role == ROLE_CLIENT;

	if (!tp)
		return;
	start = l7_stream_start(tp, true, l->role);
	asks = l7_stream_start(tp, false, l->role);
	answers = client ? asks : start;
	asks = client ? start : asks;
	if (l->flags & L7_DOUBT) {
		if ((s32)(tp->rcv_nxt - (asks + have)) > 0)
			l->flags |= L7_OPAQUE;
		if (l->flags & L7_OPAQUE || egress)
			return;
	}
	if (!client && !l->tries && (egress || g->seq != asks) && l7_picked_up(l, asks, answers))
		return;
	if (egress != client) {
		/* The server speaks first, unless TCP took of the client what was not seen. */
		if (!(i->flags & FLAG_PREEXISTING) && !l->tries && (client || (s32)(tp->rcv_nxt - (asks + have)) <= 0))
			l->flags |= L7_OPAQUE;
		return;
	}
	l->conn = (u64)asks << 32 | answers;
	/* What TCP has is old, and what it has not may come again, and otherwise. */
	taken = egress ? 0 : tp->rcv_nxt - asks;
	from = g->seq - asks;
	if (from < taken) {
		if (taken - from >= (s32)g->len)
			return;
		g->offset += taken - from;
		g->len -= taken - from;
		from = taken;
	}
	if (from > (s32)have) {
		/* What is ahead at ingress may be out of order: then it comes again. */
		if (taken > (s32)have || egress || i->flags & FLAG_PREEXISTING)
			l7_enter(skb, l, i, tp, g, egress);
		return;
	}
	have = from & (L7_HEAD - 1);
	if (!have)
		l->began = bpf_ktime_get_ns();
	l->flags &= ~L7_DOUBT;
	if (have)
		__builtin_memcpy(b.bytes, l->head, L7_HEAD);
	n = l7_load(skb, g, &b, have);
	if (!n)
		return;
	verdict = l7_detect(&b, have + n);
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
	l->asks = asks;
	l->answers = answers;
	l7_pair(l, i);
	l->protocol = verdict;
}

/* What is not read of a connection is counted, and looked through for where to go on. */
static __always_inline void l7_seek(struct __sk_buff *skb, struct bpf_sock *sk, struct l7_sock *l, struct sock_info *i,
				    const struct segment *g, bool egress)
{
	struct bpf_tcp_sock *tp = bpf_tcp_sock(sk);

	if (egress == (l->role == ROLE_CLIENT) && tp)
		l7_enter(skb, l, i, tp, g, egress);
	if (l->flags & L7_LOST)
		l7_unseen(l->protocol, UNSEEN_GAP, 0, g->len);
}

/* May not return: the protocol's program goes on in its place. */
static __always_inline void l7_go_on(struct __sk_buff *skb, struct l7_sock *l, bool egress)
{
	void *programs = egress ? (void *)&l7_egress : (void *)&l7_ingress;

	/* A number that the kernel knows beforehand makes a jump of it. */
	if (l->protocol == L7_HTTP)
		bpf_tail_call_static(skb, programs, L7_HTTP);
	else
		bpf_tail_call(skb, programs, l->protocol);
	/* There is no such program. */
	l->flags |= L7_OPAQUE;
}

/* Whether it is known what to do with a connection's segments, and done: to read them, or not to. */
static __always_inline bool l7_settled(struct __sk_buff *skb, struct l7_sock *l, bool egress)
{
	if (!(l->flags & (L7_OPAQUE | L7_LOST)) && l->protocol)
		l7_go_on(skb, l, egress);
	return l->flags & L7_OPAQUE;
}

/* A segment of a connection of which little is known yet. l is NULL where nothing is. */
static __always_inline void l7_packet(struct __sk_buff *skb, struct bpf_sock *sk, struct l7_sock *l, bool egress)
{
	struct sock_info *i;
	struct segment g;

	if (!read_segment(skb, &g) || !g.len)
		return;
	i = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!i)
		return;
	if (i->role == ROLE_LISTENER) {
		if (!egress)
			l7_hand_over(skb, i, &g);
		return;
	}
	if (!l)
		l = l7_create(sk, i, egress);
	if (!l)
		return;
	if (l->flags & L7_LOST)
		l7_seek(skb, sk, l, i, &g, egress);
	else
		l7_look(skb, sk, l, i, &g, egress);
	if (l->protocol && !(l->flags & (L7_OPAQUE | L7_LOST)))
		l7_go_on(skb, l, egress);
}
