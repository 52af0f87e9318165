/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* IP headers, read from whatever holds them. RFC 791, RFC 8200. */
#pragma once

#include "wire.h"
#include <bpf/bpf_endian.h>

struct ipv4 {
	u8 version_ihl;
	u8 tos;
	__be16 total;
	__be16 id;
	__be16 fragment;
	u8 ttl;
	u8 protocol;
	__be16 check;
	__be32 source;
	__be32 destination;
};

struct ipv6 {
	__be32 version_flow;
	__be16 payload;
	u8 next;
	u8 hops;
	u8 source[16];
	u8 destination[16];
};

struct ports {
	__be16 source;
	__be16 destination;
};

struct header {
	u8 source[16];
	u8 destination[16];
	u32 length;  /* of the IP header with its extensions: where the transport starts */
	u8 protocol; /* after the extension headers */
	u8 fragment; /* not the first fragment: there are no ports */
	u8 reserved[2];
};

static __always_inline bool has_ports(u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == 132 /* SCTP */;
}

static __always_inline int read_ipv4(struct header *h, const struct ipv4 *ip)
{
	if (ip->version_ihl >> 4 != 4 || (ip->version_ihl & 15) < 5)
		return -1;
	h->source[10] = h->source[11] = h->destination[10] = h->destination[11] = 0xff;
	__builtin_memcpy(h->source + 12, &ip->source, 4);
	__builtin_memcpy(h->destination + 12, &ip->destination, 4);
	h->length = (ip->version_ihl & 15) * 4;
	h->protocol = ip->protocol;
	h->fragment = (ip->fragment & bpf_htons(0x1fff)) != 0;
	return 0;
}

/* The fixed header alone; extension headers are for who can load more. */
static __always_inline int read_ipv6(struct header *h, const struct ipv6 *ip)
{
	if ((bpf_ntohl(ip->version_flow) >> 28) != 6)
		return -1;
	__builtin_memcpy(h->source, ip->source, 16);
	__builtin_memcpy(h->destination, ip->destination, 16);
	h->length = sizeof(*ip);
	h->protocol = ip->next;
	h->fragment = 0;
	return 0;
}
