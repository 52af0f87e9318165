// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* For tests alone: the DNS parser over a stream in a map. */
#include "kernel.h"
#include "parse/dns_drive.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "parse/drive.bpf.h"

SEC("syscall")
int dns_parse(void *ctx)
{
	return dns_drive();
}
