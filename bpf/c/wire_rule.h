/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What policies are in the kernel. The maps outlive the programs that made them,
 * so a change here is a change of RULE_ABI: a daemon with another number starts
 * with new maps.
 */
#pragma once

#include "kernel.h"

#define RULE_ABI 8

/* Peers with a number of their own; the rest are workloads, blocks of addresses and names. */
enum identity {
	IDENTITY_ANY = 0,
	IDENTITY_HOST = 1,
	IDENTITY_WORLD = 2,
	IDENTITY_UNKNOWN = 3,
};

/*
 * Beside an identity in the table of addresses: sockets of this host have it. Who
 * sends from there and cannot be told by the socket is unknown, and not whoever
 * the address belongs to.
 */
#define ADDRESS_LOCAL (1u << 31)

/* Sets with a number that means something. */
enum rule_set {
	SET_EVERYONE = 0, /* whom no policy selects: the set that the regime names */
	SET_HELD = 1,	  /* a container that nobody has named yet: nothing passes, nothing is refused */
	SET_FIRST = 2,
};

enum direction {
	DIRECTION_INGRESS = 0,
	DIRECTION_EGRESS = 1,
	DIRECTION_ASKED = 2, /* of entries about questions of DNS: peer is a question's identity, port a number */
};

/* Identities of questions beside those of patterns. */
enum asked_name {
	ASKED_UNREAD = 0, /* what cannot be read as one plain question */
	ASKED_EVERY = ~0u,
};

/* What the rules say; of several the highest stands. */
enum rank {
	RANK_NONE = 0,
	RANK_DEFAULT_DENY = 1, /* no rule allows it, and a policy wants one */
	RANK_ALLOW = 2,
	RANK_DENY = 3,
};

enum verdict {
	VERDICT_NONE = 0,
	VERDICT_PASSED = 1,
	VERDICT_DENIED = 2,
	VERDICT_AUDITED = 3, /* passed; with every policy enforced it would be denied */
	VERDICT_HELD = 4,    /* not yet: its workload has no name */
};

enum member_flag {
	MEMBER_OWN_NETWORK = 1, /* its loopback device is nobody else's */
	MEMBER_INHERITED = 2,	/* from the cgroup above */
	MEMBER_CONTAINER = 4,	/* what is below it is of the same container */
};

struct member {
	u32 identity;
	u32 set;
	u32 flags;
	u32 reserved;
	u64 owner; /* the cgroup that it was given to: the same for all below */
};

struct container_id {
	u8 hex[64];
};

/* IPv4 as ::ffff:a.b.c.d, with 96 bits more. */
struct address_key {
	u32 bits;
	u8 addr[16];
};

/*
 * bits counts from peer on: 40 for any protocol, 48 for any port of one, 64 for
 * one port. port is in network order, so that its leading bits come first.
 */
struct rule_key {
	u32 bits;
	u32 peer;
	u8 direction;
	u8 protocol;
	__be16 port;
};

#define RULE_BITS 64

/* A rule for one port; what rule_key has behind bits. */
struct port_key {
	u32 peer;
	u8 direction;
	u8 protocol;
	__be16 port;
};

/*
 * rank by the policies that are enforced, and by all; and the rules that say so.
 * asked is not 0 where each question of DNS is judged besides: the number of the
 * entries about it. In that of ASKED_EVERY it is the code that refuses (RFC 1035
 * §4.1.1), 0 where nothing is answered.
 */
struct rule_value {
	u32 enforced_rule;
	u32 audited_rule;
	u8 enforced;
	u8 audited;
	u16 asked;
};

/*
 * What a set says one way. Most say the same of every peer whatever it is asked, if
 * they say anything of every peer: then that stands here, so that nobody looks for it.
 */
struct ruled_way {
	u16 ruling; /* enum ruling */
	u16 plain;  /* nothing but `everyone` is said of every peer */
	struct rule_value everyone;
};

struct rulings {
	struct ruled_way egress;
	struct ruled_way ingress;
};

/*
 * The workloads of one network namespace that rules of ingress speak of. Where
 * there are more than have room, requests to the namespace's kernel are refused.
 */
#define TENANTS 16

struct tenants {
	u64 cgroups[TENANTS];
	u32 count;
	u32 more;
};

/* In verdict_key: of a question that cannot be read. */
#define NAME_UNREAD 1

struct verdict_key {
	u64 cgroup;
	u64 name;    /* of a question of DNS: a hash, see told_names; else 0 */
	u8 addr[16]; /* the peer */
	u32 rule;
	u32 peer;
	u16 port; /* the server's; the type of ICMP */
	u8 protocol;
	u8 direction;
	u8 verdict;
	u8 reserved[3];
};

struct verdict_value {
	u64 count; /* connections that were refused, packets that were dropped */
	u64 last;  /* CLOCK_BOOTTIME ns */
	u64 peer_cgroup;
	u32 pid;
	u16 local_port;
	u16 remote_port;
	u8 comm[16];
};

struct regime {
	u64 generation;	 /* whatever was decided under another one is decided again */
	u64 alive;	 /* when the daemon last said so, CLOCK_BOOTTIME ns */
	u64 patience;	 /* so long after that it is taken for gone, ns */
	u64 lost;	 /* verdicts that `verdicts` had no room for */
	u64 homeless;	 /* cgroups that `members` had no room for, ever */
	u32 hold;	 /* while the daemon lives, a container without a name is held */
	u32 hold_orphan; /* and also when it is gone */
	u32 notes;	 /* some set has rules of ingress: clients leave notes of who they are */
	u32 names;	 /* some set has rules of names */
	u32 everyone;	 /* the set of whom no policy selects */
	u32 turn;	 /* which of the two tables of verdicts is written to: 0 or 1 */
	u32 shut;	 /* some cgroup is homeless: nothing passes of those that are not in `members` */
	u32 mark;	 /* by which devices know the questions that they are to turn round; never 0 */
};
