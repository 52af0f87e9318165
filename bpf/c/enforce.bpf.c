// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Enforcement of who may speak to whom, at the cgroup root. The hooks in task
 * context refuse at once, with EPERM; those on packets are behind them, and see
 * what comes round. The programs and their maps are pinned: they go on without
 * the daemon.
 */
#include "enforce_arrival.h"
#include "enforce_datagram.h"
#include "enforce_route.h"
#include "enforce_tcp.h"
#include "names_datagram.h"
#include "names_stream.h"
#include "recent.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const struct rule_key *rule_key_type __attribute__((unused));
const struct port_key *port_key_type __attribute__((unused));
const struct rule_value *rule_value_type __attribute__((unused));
const enum identity identity_type __attribute__((unused));
const enum rule_set rule_set_type __attribute__((unused));
const enum rank rank_type __attribute__((unused));
const enum verdict verdict_type __attribute__((unused));
const enum member_flag member_flag_type __attribute__((unused));
const enum name_loss name_loss_type __attribute__((unused));
const enum asked_name asked_name_type __attribute__((unused));
const enum pattern_table pattern_table_type __attribute__((unused));
const enum direction direction_type __attribute__((unused));
const struct name_state *name_state_type __attribute__((unused));

/* PASS or DROP in a way that every verifier sees: it does not follow what other functions return. */
static __always_inline int said(int pass)
{
	asm volatile("" : "+r"(pass));
	return pass == DROP ? DROP : PASS;
}

static __always_inline int packet(struct __sk_buff *skb, bool egress)
{
	struct bpf_sock *sk = full_sock(skb);
	struct regime *r = the_regime();
	struct asking w = {};
	bool stream;
	int pass;

	if (!sk || !r)
		return PASS;
	if (egress && source_routed(skb))
		return DROP;
	stream = sk->protocol == IPPROTO_TCP && sk->type == SOCK_STREAM;
	pass = stream ? segment(skb, sk, egress, r) : converse(skb, egress, &w);
	if (pass == DROP || pass == TURNS)
		return said(pass);
	if (!r->names)
		return PASS;
	if (!stream)
		return said(watch_datagram(skb, egress, &w));
	return said(watch_stream(skb, egress, egress && pass == ASKS));
}

SEC("cgroup_skb/egress")
int enforce_egress(struct __sk_buff *skb)
{
	return packet(skb, true);
}

SEC("cgroup_skb/ingress")
int enforce_ingress(struct __sk_buff *skb)
{
	return packet(skb, false);
}

static __always_inline void read_process(struct party *p)
{
	struct task_struct *task = bpf_get_current_task_btf();

	p->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_probe_read_kernel_str(p->comm, sizeof(p->comm), task->group_leader->comm);
}

/* Attaches at the cgroup root, runs for socket(2) of AF_INET and AF_INET6. */
SEC("cgroup/sock_create")
int enforce_create(struct bpf_sock *sk)
{
	struct party *p = bpf_sk_storage_get(&parties, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (p) {
		p->cgroup = bpf_get_current_cgroup_id();
		p->netns = bpf_get_netns_cookie(sk);
		read_process(p);
	}
	return 1;
}

/* Judges the peer that a process names. */
static __always_inline int named(struct bpf_sock_addr *ctx, struct endpoint *peer, bool sends)
{
	struct bpf_sock *sk = ctx->sk;
	struct regime *r = the_regime();
	struct question q = {};
	struct answer a;
	struct party *p;
	u64 generation;

	if (!sk || !r)
		return 1;
	generation = r->generation;
	/* Protocol and ports of these are their packets'. */
	if (ctx->type == SOCK_RAW || ctx->protocol == IPPROTO_ICMP || ctx->protocol == IPPROTO_ICMPV6)
		return 1;
	p = bpf_sk_storage_get(&parties, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (p && !p->cgroup) {
		p->cgroup = bpf_get_current_cgroup_id();
		read_process(p);
	}
	if (p && !p->netns)
		p->netns = bpf_get_netns_cookie(ctx);
	q.cgroup = p ? p->cgroup : bpf_get_current_cgroup_id();
	__builtin_memcpy(q.addr, peer->addr, 16);
	q.port = q.remote_port = peer->port;
	q.protocol = ctx->protocol == IPPROTO_UDP ? IPPROTO_UDP
		     : ctx->type == SOCK_STREAM	  ? IPPROTO_TCP
						  : ctx->protocol;
	q.direction = DIRECTION_EGRESS;
	if (p) {
		q.pid = p->pid;
		__builtin_memcpy(q.comm, p->comm, 16);
	}
	if (sends) {
		struct talk_key k = {.cookie = bpf_get_socket_cookie(ctx), .peer = *peer, .protocol = IPPROTO_UDP};
		struct talk fresh = {.role = PARTY_CLIENT}, *t = bpf_map_lookup_elem(&talks, &k);

		if (r->names && peer->port == RESOLVER_PORT)
			note_resolver(sk, peer);
		if (t && t->generation == generation) {
			if (t->verdict == VERDICT_DENIED)
				return 0;
			if (p)
				p->sent_under = generation;
			return !t->asks || note_asked(sk, peer);
		}
		if (t && t->role == PARTY_SERVER) /* it answers: that is judged with the packet */
			return 1;
		fresh.generation = generation;
		q.since = fresh.since = t ? t->since : seconds_now();
		may_pass(&q, &a);
		fresh.verdict = a.verdict;
		fresh.asks = a.asks;
		if (a.verdict == VERDICT_HELD)
			return 1;
		bpf_map_update_elem(&talks, &k, &fresh, BPF_ANY);
		if (a.verdict == VERDICT_DENIED)
			return 0;
		if (p)
			p->sent_under = generation;
		return !a.asks || note_asked(sk, peer);
	}
	may_begin_again(r, generation, &q, &a);
	if (p) {
		p->generation = 0; /* another peer than before */
		p->peer_cgroup = 0;
		p->since = seconds_now();
		p->role = PARTY_CLIENT;
		/* What is only audited is told with the first packet. */
		p->named_under = a.verdict == VERDICT_PASSED ? generation : 0;
		p->named = *peer;
		p->verdict = a.verdict;
		p->asks = a.asks;
	}
	return a.verdict != VERDICT_DENIED;
}

static __always_inline void peer_v4(struct bpf_sock_addr *ctx, struct endpoint *peer)
{
	u32 v4 = ctx->user_ip4;

	peer->addr[10] = peer->addr[11] = 0xff;
	__builtin_memcpy(peer->addr + 12, &v4, 4);
	peer->port = bpf_ntohs(ctx->user_port);
}

static __always_inline void peer_v6(struct bpf_sock_addr *ctx, struct endpoint *peer)
{
	u32 v6[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};

	__builtin_memcpy(peer->addr, v6, 16);
	peer->port = bpf_ntohs(ctx->user_port);
}

SEC("cgroup/connect4")
int enforce_connect4(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = {};

	peer_v4(ctx, &peer);
	return named(ctx, &peer, false);
}

/* TCP to ::ffff:a.b.c.d comes here too, and is judged as what it is. */
SEC("cgroup/connect6")
int enforce_connect6(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = {};

	peer_v6(ctx, &peer);
	return named(ctx, &peer, false);
}

SEC("cgroup/sendmsg4")
int enforce_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = {};

	peer_v4(ctx, &peer);
	return named(ctx, &peer, true);
}

SEC("cgroup/sendmsg6")
int enforce_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = {};

	peer_v6(ctx, &peer);
	return named(ctx, &peer, true);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(enforce_mkdir, struct cgroup *cgroup, const char *path)
{
	if (cgroup->root->hierarchy_id == 0) /* not a v1 hierarchy of a hybrid host */
		arrive(cgroup);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(enforce_rmdir, struct cgroup *cgroup, const char *path)
{
	if (cgroup->root->hierarchy_id == 0)
		leave(cgroup);
	return 0;
}
