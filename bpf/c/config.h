/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The gates that user space sets before it loads the programs. */
#pragma once

#include "kernel.h"

/* Thread group of weir itself in the initial PID namespace: its sockets are marked, never shown. */
volatile const u32 self_tgid = 0;

/* Bytes that may wait in the ring before its reader is woken; below that it polls. */
volatile const u64 wakeup_bytes = 65536;

#define MAX_REASONS 256

/* Drop reasons that are no losses: their numbers differ between kernels, user space knows the names. */
volatile const u8 ordinary_reasons[MAX_REASONS] = {};
