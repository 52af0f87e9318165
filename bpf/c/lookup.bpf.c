// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* DNS at cgroup_skb: a message in a datagram, from the room that packet.bpf.c took for it. */
#include "dns_lookup.h"
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
		if (n > DNS_WINDOW)
			n = DNS_WINDOW;
		asm volatile("" : "+r"(n));
		if (n == 0 || n > DNS_WINDOW || bpf_skb_load_bytes(f->skb, r->at, r->window, n))
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
	r->out.type = 0;
	if (!dns_init_datagram(&r->state, r->size))
		return;
	if (r->rest > DNS_MOST)
		r->rest = DNS_MOST;
	/* Every window but the last takes half of itself at least. */
	bpf_loop(2 * DNS_MOST / DNS_WINDOW + 2, dns_window, &f, 0);
	if (!r->out.flags)
		dns_eof(&r->state, &r->out);
}

/* Whether there was a question in it, whatever came behind. */
static __always_inline bool dns_asks(const struct dns_room *r)
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

static __always_inline void dns_message(struct dns_room *r, bool egress)
{
	bool query = r->out.kind == DNS_QUERY, taken = false;
	u32 role = query == egress ? ROLE_CLIENT : ROLE_SERVER;

	if (!r->known)
		dns_learn(r);
	/* Updates and notifications are no lookups. */
	if (r->out.flags & OUT_END && r->out.head & DNS_OPCODE)
		return;
	if (query && r->out.flags & OUT_END)
		taken = true, lookup_ask(r, role);
	else if (!query && dns_asks(r))
		/* What is broken behind the question may be a list of addresses cut off: it is an answer. */
		taken = lookup_answer(r, role) || r->out.flags & OUT_END;
	if (!taken && r->known)
		l7_unseen(L7_DNS, UNSEEN_ERROR, 1, r->size);
}

static __always_inline int lookup(struct __sk_buff *skb, bool egress)
{
	u32 number = skb->cb[0] & (DNS_ROOMS - 1);
	struct dns_room *r = bpf_map_lookup_elem(&dns_rooms, &number);

	if (!r || !r->taken)
		return PASS;
	r->now = bpf_ktime_get_ns();
	dns_read_datagram(skb, r);
	dns_message(r, egress);
	dns_leave(r);
	return PASS;
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
