// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * DNS at cgroup_skb: a message in a datagram, from the room that packet.bpf.c took for
 * it, and a segment of a TCP connection.
 */
#include "dns_stream.h"
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PASS 1

/* More than anybody asks for by EDNS; of a longer message the rest is not read. */
#define DNS_MOST 8192

struct dns_feed {
	struct __sk_buff *skb;
	struct dns_room *room;
};

/* One window; 1 ends the loop. */
static long dns_window(u32 turn, void *ctx)
{
	struct dns_feed *f = ctx;
	struct dns_room *r = f->room;
	u32 n = r->rest;

	if (!n)
		return 1;
	if (r->state.skip) {
		if (r->state.skip < n)
			n = r->state.skip;
		dns_skipped(&r->state, n, &r->out);
	} else {
		n = load_size(n > DNS_WINDOW ? DNS_WINDOW : n, DNS_WINDOW);
		if (bpf_skb_load_bytes(f->skb, r->at, r->window, n))
			return 1;
		n = dns_step(&r->state, r->window, n, &r->out, &r->capture);
	}
	r->at += n;
	r->rest -= n;
	return r->out.flags != 0;
}

static __always_inline void dns_read_datagram(struct __sk_buff *skb, struct dns_room *r)
{
	struct dns_feed f = {.skb = skb, .room = r};

	r->out.flags = r->out.kind = 0;
	r->out.head = r->out.type = 0;
	if (!dns_init_datagram(&r->state, r->size))
		return;
	if (r->rest > DNS_MOST)
		r->rest = DNS_MOST;
	/* Every window but the last takes half of itself at least. */
	bpf_loop(2 * DNS_MOST / DNS_WINDOW + 2, dns_window, &f, 0);
	if (!r->out.flags)
		dns_eof(&r->state, &r->out);
}

/* Whether there was a question in this answer; what is broken behind it may be a list of addresses that was cut off. */
static __always_inline bool dns_repeats(const struct dns_room *r)
{
	return r->out.flags & OUT_END || (r->out.kind == DNS_RESPONSE && r->out.type);
}

/* The flow is known to be DNS from its first whole query on. */
static __always_inline void dns_learn(const struct dns_room *r)
{
	struct flow_key k = {.cookie = r->cookie, .local = r->local, .remote = r->remote, .protocol = IPPROTO_UDP};
	struct flow_value *v = bpf_map_lookup_elem(&flows, &k);

	if (!v)
		return;
	if (r->out.flags & OUT_END)
		v->protocol = L7_DNS;
	else
		v->doubts++;
}

static __always_inline void dns_message(struct dns_room *r, u32 number, bool egress)
{
	bool query = r->out.kind == DNS_QUERY;
	u32 role = query == egress ? ROLE_CLIENT : ROLE_SERVER;

	if (!r->known)
		dns_learn(r);
	if (r->out.head & DNS_OPCODE)
		return; /* an update or a notification is no lookup */
	if (query && r->out.flags & OUT_END)
		lookup_ask(number, role);
	else if (!query && dns_repeats(r))
		lookup_answer(number, role);
	else if (r->known)
		l7_unseen(L7_DNS, UNSEEN_ERROR, 1, r->size);
}

static __always_inline int dns_datagram_packet(struct __sk_buff *skb, bool egress)
{
	u32 number = skb->cb[0] & (DNS_ROOMS - 1);
	struct dns_room *r = dns_room(number);

	if (!r || !r->taken)
		return PASS;
	r->now = bpf_ktime_get_ns();
	dns_read_datagram(skb, r);
	dns_message(r, number, egress);
	dns_leave(r);
	return PASS;
}

static __always_inline int dns_stream_packet(struct __sk_buff *skb, struct bpf_sock *sk, const struct tcp_sock *tp,
					     bool egress)
{
	struct dns_conn *c;
	struct l7_sock *l;
	struct segment g;
	bool signs;
	u64 now;
	u8 over;

	if (!read_segment(skb, &g))
		return PASS;
	c = dns_feed_enter(skb, sk, &g, egress);
	if (!c)
		return PASS;
	now = segment_time(skb, egress);
	signs = c->conn.noted && !egress && (g.len || dns_signed(c));
	l = bpf_sk_storage_get(&l7_socks, sk, 0, 0);
	if (signs && !conn_peer(&c->conn, l))
		dns_give_up(c, DNS_OPAQUE);
	else if (signs && c->conn.key.peer)
		dns_became_known(c, c->conn.key.peer);
	if (!c->over)
		dns_commit(c, stream_rcv_nxt(tp), now);
	if (g.len && !c->over && (egress || stream_tries(&c->conn.stream, &g, tp)))
		dns_feed_segment(skb, c, &g, egress, now);
	over = c->over;
	stream_unlock(&c->conn.stream);
	if (over) {
		if (l)
			l->flags |= over == DNS_LOST ? L7_LOST : L7_OPAQUE;
		bpf_sk_storage_delete(&l7_dns, sk);
	}
	return PASS;
}

static __always_inline int lookup(struct __sk_buff *skb, bool egress)
{
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tp;

	if (!sk)
		return PASS;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp)
		return dns_stream_packet(skb, sk, tp, egress);
	return dns_datagram_packet(skb, egress);
}

SEC("cgroup_skb/egress")
int lookup_egress(struct __sk_buff *skb)
{
	return lookup(skb, true);
}

SEC("cgroup_skb/ingress")
int lookup_ingress(struct __sk_buff *skb)
{
	return lookup(skb, false);
}
