/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A frame as a packet socket made it. Nothing but its bytes counts: protocol and
 * offsets beside them are what the sender says they are.
 */
#pragma once

#include "party.h"
#include "skb_header.h"

#define ETH_HEADER 14
#define ETH_P_ARP 0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88A8
#define MAX_TAGS 2 /* IEEE 802.1ad: one of the provider, one of the customer */

enum frame_kind {
	FRAME_OTHER = 0, /* for nobody who has an address */
	FRAME_IP = 1,
	FRAME_ARP = 2,
	FRAME_ENDLESS = 3, /* more extension headers than anybody needs: what is behind them is not seen */
};

struct frame {
	struct header h __attribute__((aligned(8)));
	struct endpoint source;
	struct endpoint destination;
	u32 kind;
	u32 seq;  /* of a TCP segment */
	u8 flags; /* of a TCP segment */
	u8 icmp_type;
	u8 reserved[6];
};

/* RFC 826, for Ethernet and IPv4. */
struct arp {
	__be16 hardware;
	__be16 protocol;
	u8 hardware_len;
	u8 protocol_len;
	__be16 operation;
	u8 sender_mac[6];
	u8 sender[4];
	u8 target_mac[6];
	u8 target[4];
};

/* The protocol behind the link's header, in host order, and where it begins. */
static __always_inline u16 link_protocol(struct __sk_buff *skb, u32 *at)
{
	__be16 type = 0;

	*at = ETH_HEADER;
	if (bpf_skb_load_bytes(skb, ETH_HEADER - sizeof(type), &type, sizeof(type)))
		return 0;
#pragma unroll
	for (int n = 0; n < MAX_TAGS; n++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		*at += 4;
		if (bpf_skb_load_bytes(skb, *at - sizeof(type), &type, sizeof(type)))
			return 0;
	}
	return bpf_ntohs(type);
}

/* Where a device has no header of its own, the version tells. */
static __always_inline u16 version_protocol(struct __sk_buff *skb)
{
	u8 version = 0;

	if (bpf_skb_load_bytes(skb, 0, &version, sizeof(version)))
		return 0;
	switch (version >> 4) {
	case 4:
		return ETH_P_IP;
	case 6:
		return ETH_P_IPV6;
	}
	return 0;
}

static __always_inline u32 read_arp(struct __sk_buff *skb, u32 at, struct frame *f)
{
	struct arp a;

	if (bpf_skb_load_bytes(skb, at, &a, sizeof(a)) || a.protocol != bpf_htons(ETH_P_IP) || a.hardware_len != 6 ||
	    a.protocol_len != 4)
		return FRAME_OTHER;
	f->source.addr[10] = f->source.addr[11] = f->destination.addr[10] = f->destination.addr[11] = 0xff;
	__builtin_memcpy(f->source.addr + 12, a.sender, 4);
	__builtin_memcpy(f->destination.addr + 12, a.target, 4);
	return FRAME_ARP;
}

static __always_inline void read_transport(struct __sk_buff *skb, struct frame *f)
{
	struct tcp_header tcp;
	struct ports ports;

	if (f->h.fragment)
		return;
	if (has_ports(f->h.protocol)) {
		if (bpf_skb_load_bytes(skb, f->h.length, &ports, sizeof(ports)))
			return;
		f->source.port = bpf_ntohs(ports.source);
		f->destination.port = bpf_ntohs(ports.destination);
		if (f->h.protocol == IPPROTO_TCP && !bpf_skb_load_bytes(skb, f->h.length, &tcp, sizeof(tcp))) {
			f->seq = bpf_ntohl(tcp.seq);
			f->flags = tcp.flags;
		}
	} else if (f->h.protocol == IPPROTO_ICMP || f->h.protocol == IPPROTO_ICMPV6) {
		bpf_skb_load_bytes(skb, f->h.length, &f->icmp_type, 1);
	}
}

static __always_inline u32 read_v4(struct __sk_buff *skb, u32 at, struct frame *f)
{
	struct ipv4 ip;

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || read_ipv4(&f->h, &ip))
		return FRAME_OTHER;
	f->h.length += at;
	return FRAME_IP;
}

static __always_inline u32 read_v6(struct __sk_buff *skb, u32 at, struct frame *f)
{
	struct ipv6 ip;

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || read_ipv6(&f->h, &ip))
		return FRAME_OTHER;
	f->h.length += at;
	if (skip_extensions(skb, &f->h))
		return FRAME_OTHER;
	return !f->h.fragment && is_extension(f->h.protocol) ? FRAME_ENDLESS : FRAME_IP;
}

/* What is in a frame. ether: the device has Ethernet's header. f is zero before. */
static __always_inline void read_frame(struct __sk_buff *skb, struct frame *f, bool ether)
{
	u32 at = 0;
	u16 type = ether ? link_protocol(skb, &at) : version_protocol(skb);

	switch (type) {
	case ETH_P_IP:
		f->kind = read_v4(skb, at, f);
		break;
	case ETH_P_IPV6:
		f->kind = read_v6(skb, at, f);
		break;
	case ETH_P_ARP:
		f->kind = read_arp(skb, at, f);
		break;
	}
	if (f->kind == FRAME_ARP || f->kind == FRAME_OTHER)
		return;
	__builtin_memcpy(f->source.addr, f->h.source, 16);
	__builtin_memcpy(f->destination.addr, f->h.destination, 16);
	if (f->kind == FRAME_IP)
		read_transport(skb, f);
}
