// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* For tests alone: the HTTP/1 parser over a stream in a map. */
#include "kernel.h"
#include "parse/http1_drive.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "parse/drive.bpf.h"

SEC("syscall")
int http1_parse(void *ctx)
{
	return http1d_drive();
}

/* The verdict on the beginning of a stream, as the program's return. */
SEC("syscall")
int http1_begins(void *ctx)
{
	struct http1d_run *r = http1d_drive_run();

	return r ? http1_detect(r->stream, r->len) : -1;
}
