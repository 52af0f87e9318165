/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What one set of rules says about one of a peer's identities. */
#pragma once

#include "known.h"
#include <bpf/bpf_endian.h>

/* What is asked: may this workload speak to this peer, or be spoken to by it? */
struct question {
	u64 cgroup;
	u64 peer_cgroup; /* where the peer's socket is known; else 0 */
	u8 addr[16];	 /* the peer's */
	u16 port;	 /* the server's; the type of ICMP */
	u16 local_port;
	u16 remote_port;
	u8 protocol;
	u8 direction;
	u32 pid;
	u8 noted; /* a client of this host would have left a note */
	u8 reserved[3];
	u8 comm[16];
	u32 since; /* when it began: names that were known then count; 0 for now */
	u32 reserved2;
	u64 name; /* that the peer is asked for: see verdict_key */
};

struct answer {
	u32 rule;
	u32 peer;
	u32 verdict; /* enum verdict */
	u32 enforced;
	u32 audited;
	u32 enforced_rule;
	u32 audited_rule;
	u32 asks;   /* what the peer is asked is judged too: judge_asked() */
	u32 reject; /* the code with which that is refused; 0 for none */
};

/* The patterns that a name matches, by their identities. */
struct matched {
	u32 names;
	u32 identity[NAMES_AT_ONCE];
};

/* Which rules are looked for. */
struct place {
	u32 set;
	__be16 port;
	u8 direction;
	u8 protocol;
};

/* Adds what an entry says, from a rank on. */
static __always_inline void hear(const struct rule_value *v, u32 least, struct answer *a)
{
	if (v->enforced >= least && v->enforced > a->enforced) {
		a->enforced = v->enforced;
		a->enforced_rule = v->enforced_rule;
	}
	if (v->audited >= least && v->audited > a->audited) {
		a->audited = v->audited;
		a->audited_rule = v->audited_rule;
	}
}

/* Adds what is said under a number about a question. A number without entries lets none pass. */
static __always_inline void consult_asked(void *narrow, const struct matched *asked, u32 number, u32 least,
					  struct answer *a)
{
	struct port_key k = {.peer = ASKED_EVERY, .direction = DIRECTION_ASKED, .port = bpf_htons(number)};
	struct rule_value *v = bpf_map_lookup_elem(narrow, &k);

	if (!v) {
		a->enforced = a->audited = RANK_DENY;
		return;
	}
	hear(v, least, a);
	if (v->asked > a->reject)
		a->reject = v->asked;
#pragma clang loop unroll(disable)
	for (u32 n = 0; n < NAMES_AT_ONCE; n++) {
		if (n >= asked->names)
			break;
		k.peer = asked->identity[n];
		v = bpf_map_lookup_elem(narrow, &k);
		if (v)
			hear(v, least, a);
	}
}

/*
 * Adds what a set says about one of the peer's identities, from a rank on. asked is
 * NULL for the connection itself. A set that is gone lets nothing pass. Not static:
 * then it is verified once, and not at each call.
 */
__attribute__((noinline)) int consult(const struct place *p, u32 peer, u32 least, const struct matched *asked,
				      struct answer *a)
{
	struct rule_key k = {.bits = RULE_BITS, .peer = peer};
	struct rule_value *v;
	void *narrow, *wide;
	u32 set;

	if (!p || !a)
		return 0;
	set = p->set;
	narrow = bpf_map_lookup_elem(&port_sets, &set);
	wide = bpf_map_lookup_elem(&sets, &set);
	if (!narrow || !wide) {
		a->enforced = RANK_DENY;
		return 0;
	}
	k.direction = p->direction;
	k.protocol = p->protocol;
	k.port = p->port;
	v = bpf_map_lookup_elem(narrow, &k.peer);
	if (!v)
		v = bpf_map_lookup_elem(wide, &k);
	if (!v)
		return 0;
	if (v->asked)
		a->asks = 1;
	if (asked && v->asked)
		consult_asked(narrow, asked, v->asked, least, a);
	else
		hear(v, least, a);
	return 0;
}
