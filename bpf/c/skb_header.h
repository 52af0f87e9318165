/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The IP header of a packet at a socket, with its extensions. */
#pragma once

#include "packet.h"

/* RFC 8200 §4: enough for what is seen; a longer chain keeps the last header's number. */
#define MAX_EXTENSIONS 6

static __always_inline int skip_extensions(struct __sk_buff *skb, struct header *h)
{
	u8 ext[8];

#pragma unroll
	for (int n = 0; n < MAX_EXTENSIONS; n++) {
		switch (h->protocol) {
		case 0:	 /* hop-by-hop */
		case 43: /* routing */
		case 60: /* destination options */
			if (bpf_skb_load_bytes(skb, h->length, ext, sizeof(ext)))
				return -1;
			h->protocol = ext[0];
			h->length += (ext[1] + 1) * 8;
			break;
		case 44: /* fragment */
			if (bpf_skb_load_bytes(skb, h->length, ext, sizeof(ext)))
				return -1;
			h->protocol = ext[0];
			h->length += 8;
			if (ext[2] || ext[3] & 0xf8) {
				h->fragment = 1;
				return 0;
			}
			break;
		default:
			return 0;
		}
	}
	return 0;
}

/* Where a chain of extension headers was too long to be followed: RFC 8200 §4.1. */
static __always_inline bool is_extension(u8 protocol)
{
	return protocol == 0 || protocol == 43 || protocol == 44 || protocol == 60;
}

static __always_inline int read_header(struct __sk_buff *skb, struct header *h)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ipv4 ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return -1;
		return read_ipv4(h, &ip);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6 ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return -1;
		if (read_ipv6(h, &ip))
			return -1;
		return skip_extensions(skb, h);
	}
	return -1;
}

/* Answers become their requests, so that both are one flow. RFC 792, RFC 4443. */
static __always_inline u8 icmp_request(u8 protocol, u8 type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type == 129 ? 128 : type;
	switch (type) {
	case 0:
		return 8;
	case 14:
		return 13;
	case 18:
		return 17;
	}
	return type;
}

static __always_inline bool is_icmp(u8 protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* RFC 792, RFC 4443, RFC 4861: what answers another packet, or belongs to the link. */
static __always_inline bool icmp_answers(u8 protocol, u8 type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type <= 4 || type == 129 || (type >= 133 && type <= 137);
	return icmp_request(protocol, type) != type || type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}
