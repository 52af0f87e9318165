// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Whole packets of chosen cgroups, for `weir capture` alone. The programs sit at
 * the cgroups themselves: nobody else's packets meet them.
 */
#include "capture.h"
#include "skb_header.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PASS 1
#define DROPPED_BYTES 48 /* of a dropped packet: the IP header and the ports, which lie in one piece */

const struct snap_head *snap_head_type __attribute__((unused));
const struct snap_listener *snap_listener_type __attribute__((unused));
const struct snap_filter *snap_filter_type __attribute__((unused));
const enum snap_kind snap_kind_type __attribute__((unused));
const enum snap_loss snap_loss_type __attribute__((unused));

static __always_inline void lose(u32 loss)
{
	u64 *n = bpf_map_lookup_elem(&snap_losses, &loss);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline void submit(void *snap)
{
	u64 waiting = bpf_ringbuf_query(&snaps, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(snap, waiting >= wakeup_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline bool in_ranges(const u8 *address)
{
	u64 a[2];

	__builtin_memcpy(a, address, 16);
#pragma unroll
	for (u32 i = 0; i < SNAP_RANGES; i++) {
		if (i < wanted.ranges && (a[0] & wanted.mask[i][0]) == wanted.base[i][0] &&
		    (a[1] & wanted.mask[i][1]) == wanted.base[i][1])
			return true;
	}
	return false;
}

static __always_inline bool among_ports(u16 port)
{
#pragma unroll
	for (u32 i = 0; i < SNAP_PORTS; i++) {
		if (i < wanted.ports && port == wanted.port[i])
			return true;
	}
	return false;
}

/* The ports are 0 where the packet has none. */
static __always_inline bool fits(const struct header *h, u16 source, u16 destination)
{
	if (wanted.protocol && h->protocol != wanted.protocol)
		return false;
	if (wanted.ranges && !in_ranges(h->source) && !in_ranges(h->destination))
		return false;
	return !wanted.ports || among_ports(source) || among_ports(destination);
}

static __always_inline bool is_wanted(struct __sk_buff *skb)
{
	struct ports ports = {};
	struct header h = {};

	if (!wanted.protocol && !wanted.ports && !wanted.ranges)
		return true;
	if (read_header(skb, &h))
		return false;
	if (has_ports(h.protocol) && !h.fragment && bpf_skb_load_bytes(skb, h.length, &ports, sizeof(ports)))
		return false;
	return fits(&h, bpf_ntohs(ports.source), bpf_ntohs(ports.destination));
}

/* The same for the head of a dropped packet. Ports behind options or extensions are not looked for. */
static __always_inline bool head_wanted(const u8 *data, bool v4)
{
	const struct ports *ports = (const void *)(data + (v4 ? 20 : 40));
	struct header h = {};
	bool known;

	if (v4 ? read_ipv4(&h, (const void *)data) : read_ipv6(&h, (const void *)data))
		return false;
	known = has_ports(h.protocol) && !h.fragment && h.length == (v4 ? 20 : 40);
	return fits(&h, known ? bpf_ntohs(ports->source) : 0, known ? bpf_ntohs(ports->destination) : 0);
}

static __always_inline void fill(struct snap_head *h, struct __sk_buff *skb, u32 captured, u8 kind)
{
	struct bpf_sock *sk = skb->sk;
	struct snap_owner *o = NULL;

	h->time = bpf_ktime_get_boot_ns();
	h->skb = (u64)skb;
	h->cookie = bpf_get_socket_cookie(skb);
	h->cgroup = bpf_skb_cgroup_id(skb);
	h->len = skb->len;
	h->captured = captured;
	h->reason = 0;
	h->kind = kind;
	__builtin_memset(h->reserved, 0, sizeof(h->reserved));
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk)
		o = bpf_sk_storage_get(&snap_owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o) {
		h->pid = 0;
		__builtin_memset(h->comm, 0, COMM_LEN);
		return;
	}
	o->cookie = h->cookie;
	h->pid = o->pid;
	__builtin_memcpy(h->comm, o->comm, COMM_LEN);
}

/*
 * A ring takes only sizes that are known when the program is loaded: one function
 * for each class. The mask, a power of two less one, is what every verifier
 * understands as a bound.
 */
#define SNAP(class)                                                                                                    \
	static __noinline int snap_##class(struct __sk_buff * skb, u32 n, u32 kind)                                    \
	{                                                                                                              \
		struct {                                                                                               \
			struct snap_head head;                                                                         \
			u8 data[class];                                                                                \
		} *s = bpf_ringbuf_reserve(&snaps, sizeof(*s), 0);                                                     \
                                                                                                                       \
		if (!s) {                                                                                              \
			lose(SNAP_LOSS_RING_FULL);                                                                     \
			return 0;                                                                                      \
		}                                                                                                      \
		n -= 1;                                                                                                \
		asm volatile("%0 &= %1" : "+r"(n) : "i"(class - 1));                                                   \
		n += 1;                                                                                                \
		if (bpf_skb_load_bytes(skb, 0, s->data, n)) {                                                          \
			lose(SNAP_LOSS_UNREADABLE);                                                                    \
			bpf_ringbuf_discard(s, 0);                                                                     \
			return 0;                                                                                      \
		}                                                                                                      \
		fill(&s->head, skb, n, kind);                                                                          \
		submit(s);                                                                                             \
		return 0;                                                                                              \
	}

SNAP(128)
SNAP(2048)
SNAP(16384)
SNAP(65536)

static __always_inline int snap(struct __sk_buff *skb, u8 kind)
{
	u32 n = skb->len;

	if (!n || !is_wanted(skb))
		return PASS;
	if (n > snap_length)
		n = snap_length;
	if (n <= 128)
		snap_128(skb, n, kind);
	else if (n <= 2048)
		snap_2048(skb, n, kind);
	else if (n <= 16384)
		snap_16384(skb, n, kind);
	else
		snap_65536(skb, n, kind);
	return PASS;
}

/* Attaches to each cgroup that is captured. */
SEC("cgroup_skb/egress")
int snap_egress(struct __sk_buff *skb)
{
	return snap(skb, SNAP_EGRESS);
}

SEC("cgroup_skb/ingress")
int snap_ingress(struct __sk_buff *skb)
{
	return snap(skb, SNAP_INGRESS);
}

static __always_inline int own(struct bpf_sock *sk)
{
	struct snap_owner *o = bpf_sk_storage_get(&snap_owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	struct task_struct *task = (void *)bpf_get_current_task();

	if (!o || o->pid)
		return 1;
	o->cookie = bpf_get_socket_cookie(sk);
	o->pid = bpf_get_current_pid_tgid() >> 32;
	BPF_CORE_READ_STR_INTO(&o->comm, task, group_leader, comm);
	return 1;
}

/* Attaches to the same cgroups, runs for socket(2): whose packets they will be. */
SEC("cgroup/sock_create")
int snap_create(struct bpf_sock *sk)
{
	return own(sk);
}

/* The same at bind(2), for the sockets that MPTCP opens by itself. */
SEC("cgroup/post_bind4")
int snap_bind4(struct bpf_sock *sk)
{
	return own(sk);
}

SEC("cgroup/post_bind6")
int snap_bind6(struct bpf_sock *sk)
{
	return own(sk);
}

/* User space is told who listens by MPTCP. */
static __always_inline void tell_listener(struct bpf_iter__task_file *ctx, const struct task_struct *task,
					  const struct sock *sk)
{
	struct snap_listener l = {};

	if (sk->__sk_common.skc_state != TCP_LISTEN)
		return;
	l.cgroup = sk->sk_cgrp_data.cgroup->kn->id;
	l.pid = task->tgid;
	l.port = sk->__sk_common.skc_num;
	bpf_probe_read_kernel_str(l.comm, sizeof(l.comm), task->group_leader->comm);
	bpf_seq_write(ctx->meta->seq, &l, sizeof(l));
}

/* iter/task_file: read once, for the sockets that are there already. Of those that share one the first is its owner. */
SEC("iter/task_file")
int snap_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct snap_owner *o;
	struct sock *sk;
	u16 family;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (sk->sk_protocol == IPPROTO_MPTCP) {
		tell_listener(ctx, task, sk);
		return 0;
	}
	o = bpf_sk_storage_get(&snap_owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o || o->pid)
		return 0;
	o->pid = task->tgid;
	bpf_probe_read_kernel_str(o->comm, sizeof(o->comm), task->group_leader->comm);
	return 0;
}

/*
 * Attaches to the tracepoint kfree_skb: what became of a packet that was captured,
 * or of one that its socket sent and that never came so far. The packet lies in
 * memory as it may; nothing in it is trusted.
 */
SEC("tp_btf/kfree_skb")
int BPF_PROG(snap_dropped, struct sk_buff *skb, void *location, u32 reason)
{
	u16 protocol = bpf_ntohs(skb->protocol);
	struct snap_owner *o;
	struct {
		struct snap_head head;
		u8 data[DROPPED_BYTES];
	} *s;
	struct sock *sk = skb->sk;

	if (!sk || (protocol != ETH_P_IP && protocol != ETH_P_IPV6))
		return 0;
	if (reason < MAX_REASONS && ordinary_reasons[reason])
		return 0;
	o = bpf_sk_storage_get(&snap_owners, sk, 0, 0);
	if (!o || !o->cookie)
		return 0;
	s = bpf_ringbuf_reserve(&snaps, sizeof(*s), 0);
	if (!s) {
		lose(SNAP_LOSS_RING_FULL);
		return 0;
	}
	s->head.time = bpf_ktime_get_boot_ns();
	s->head.skb = (u64)skb;
	s->head.cookie = o->cookie;
	s->head.cgroup = sk->sk_cgrp_data.cgroup->kn->id;
	s->head.len = skb->len;
	s->head.captured = protocol == ETH_P_IP ? 28 : DROPPED_BYTES;
	s->head.pid = o->pid;
	s->head.reason = reason;
	s->head.kind = SNAP_DROP;
	__builtin_memset(s->head.reserved, 0, sizeof(s->head.reserved));
	__builtin_memcpy(s->head.comm, o->comm, COMM_LEN);
	if (bpf_probe_read_kernel(s->data, DROPPED_BYTES, skb->head + skb->network_header) ||
	    !head_wanted(s->data, protocol == ETH_P_IP)) {
		bpf_ringbuf_discard(s, 0);
		return 0;
	}
	submit(s);
	return 0;
}
