// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* For tests alone: the DNS parser over a stream in a map. */
#include "kernel.h"
#include "parse/dns.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define DRIVE(name) dns_##name
#define DRIVE_TOLD 64

static __always_inline bool dns_drive_init(struct dns_state *s, u32 datagram)
{
	if (datagram)
		return dns_init_datagram(s, datagram);
	dns_init(s);
	return true;
}

#include "parse/drive.bpf.h"

SEC("syscall")
int dns_parse(void *ctx)
{
	return dns_drive();
}
