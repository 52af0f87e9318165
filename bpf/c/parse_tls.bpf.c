// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* For tests alone: the TLS parser over a stream in a map. */
#include "kernel.h"
#include "parse/tls.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define DRIVE(name) tls_##name
#define DRIVE_TOLD 16

static __always_inline bool tls_drive_init(struct tls_state *s, u32 side)
{
	tls_init(s, side);
	return true;
}

#include "parse/drive.bpf.h"

SEC("syscall")
int tls_parse(void *ctx)
{
	return tls_drive();
}
