// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* For tests alone: the TLS parser over a stream in a map. */
#include "kernel.h"
#include "parse/tls_drive.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "parse/drive.bpf.h"

SEC("syscall")
int tls_parse(void *ctx)
{
	return tls_drive();
}
