// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Packets that the kernel dropped, counted by five-tuple and reason. */
#include "event.h"
#include "packet.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The packet as it lies in memory; any field may be stale, so nothing is trusted. */
static __always_inline int read_key(struct drop_key *k, struct sk_buff *skb)
{
	unsigned char *head = skb->head;
	unsigned char *network = head + skb->network_header;
	struct header h = {};
	struct ports ports;
	u32 transport;

	if (bpf_ntohs(skb->protocol) == ETH_P_IP) {
		struct ipv4 ip;

		if (bpf_probe_read_kernel(&ip, sizeof(ip), network))
			return -1;
		if (read_ipv4(&h, &ip))
			return -1;
	} else {
		struct ipv6 ip;

		if (bpf_probe_read_kernel(&ip, sizeof(ip), network))
			return -1;
		if (read_ipv6(&h, &ip))
			return -1;
	}
	__builtin_memcpy(k->source.addr, h.source, 16);
	__builtin_memcpy(k->destination.addr, h.destination, 16);
	k->protocol = h.protocol;
	transport = h.length;
	if (has_ports(h.protocol) && !h.fragment &&
	    !bpf_probe_read_kernel(&ports, sizeof(ports), network + transport)) {
		k->source.port = bpf_ntohs(ports.source);
		k->destination.port = bpf_ntohs(ports.destination);
	}
	return 0;
}

/* Attaches to the tracepoint kfree_skb; consume_skb(), the ordinary end of a packet, does not pass it. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(packet_dropped, struct sk_buff *skb, void *location, u32 reason)
{
	u16 protocol = bpf_ntohs(skb->protocol);
	struct drop_value *v, first = {};
	struct drop_key k = {};
	struct net_device *dev;
	struct sock *sk;

	if (protocol != ETH_P_IP && protocol != ETH_P_IPV6)
		return 0;
	if (reason < MAX_REASONS && ordinary_reasons[reason])
		return 0;
	if (read_key(&k, skb))
		return 0;
	k.reason = reason;
	dev = skb->dev;
	sk = skb->sk;
	if (dev)
		k.netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	else if (sk)
		k.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);

	v = bpf_map_lookup_elem(&drops, &k);
	if (!v) {
		bpf_map_update_elem(&drops, &k, &first, BPF_NOEXIST);
		v = bpf_map_lookup_elem(&drops, &k);
	}
	if (!v) {
		count_loss(LOSS_DROP_TABLE_FULL);
		return 0;
	}
	__sync_fetch_and_add(&v->packets, 1);
	__sync_fetch_and_add(&v->bytes, skb->len);
	return 0;
}
