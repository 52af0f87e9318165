/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What names are in the kernel: patterns, and the addresses that answers gave. Part of RULE_ABI. */
#pragma once

#include "kernel.h"

/* Letters, digits, "-", "_", ".". */
#define NAME_CHARACTERS 39

/* So many patterns may match one name, and so many have an address at once. */
#define NAMES_AT_ONCE 8

/*
 * A state of the automaton that all patterns are one of: where each character of a
 * name in small letters leads, and the identities of the patterns that match what
 * was read so far. State 0 leads nowhere, state 1 is the beginning.
 */
struct name_state {
	u32 next[NAME_CHARACTERS];
	u32 names; /* of identity */
	u32 identity[NAMES_AT_ONCE];
};

#define NAME_DEAD 0
#define NAME_BEGIN 1

/* An address as a workload knows it. */
struct known_key {
	u64 owner;
	u8 addr[16];
};

/*
 * Each slot is an identity in the high half, and in the low one the second of
 * CLOCK_BOOTTIME until which a new connection may be opened by it; 0 is empty. So
 * one is changed at once.
 */
struct known_names {
	u64 slots[NAMES_AT_ONCE];
};

/* Why an answer to a question that patterns speak of opened nothing, or less than it could. */
enum name_loss {
	NAME_UNASKED = 0,    /* no socket of the workload asked this of this resolver */
	NAME_LATE = 1,	     /* it was asked too long ago */
	NAME_FORGED = 2,     /* the workload answered itself */
	NAME_TRUNCATED = 3,  /* the resolver has more to say: the application asks over TCP */
	NAME_TOO_LONG = 4,   /* above what is read of a message */
	NAME_UNREADABLE = 5, /* not sound from beginning to end */
	NAME_BUSY = 6,	     /* no room to read it in */
	NAME_CROWDED = 7,    /* an address with too many names: the one that ends first gave way */
	NAME_FULL = 8,	     /* no memory for the address */
	NAME_STREAM = 9,     /* a connection to a resolver could not be followed */
	NAME_LOSSES,
};
