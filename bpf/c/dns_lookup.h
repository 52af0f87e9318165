/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Lookups: questions that wait, and the answers that end them. A question is one
 * however often it is repeated until it is answered; whatever has no question is
 * none of ours: late, twice, or forged.
 *
 * A lookup between two sockets of this host is counted once, at the client's end.
 * The client leaves a note, and the resolver, that finds it, signs it and leaves the
 * question alone: so the client's count has the resolver's cgroup as its peer.
 */
#pragma once

#include "dns_room.h"
#include "l7_count.h"

/* ns after which a question without an answer has none, and what is asked then is another; set by user space. */
volatile const u64 lookup_patience = 5000000000;

/* User space takes out what is overdue. Not an LRU: that would lose in silence. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct lookup_key);
	__type(value, struct lookup_value);
} lookups SEC(".maps");

/* Each goes with its question. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct lookup_note);
	__type(value, struct l7_pair);
} lookup_notes SEC(".maps");

/*
 * What became known of a TCP connection after it was asked: the server's cgroup, or
 * LOOKUP_UNKNOWN where nobody can tell any more how its questions end. By cookie; for user
 * space, when they are overdue.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u64);
} lookup_conns SEC(".maps");

#define LOOKUP_UNKNOWN L7_SELF /* neither is told */

enum lookup_code {
	LOOKUP_NOERROR = 0,
	LOOKUP_NXDOMAIN = 3,
};

/* As flow.L7's Error: that a name does not exist is a good answer. */
static __always_inline bool lookup_failed(u16 status)
{
	return status != LOOKUP_NOERROR && status != LOOKUP_NXDOMAIN;
}

static __always_inline void lookup_note_key(struct lookup_note *n, const struct dns_room *r, u16 port)
{
	n->name = r->out.hash;
	n->port = port;
	n->id = r->out.id;
	n->type = r->out.type;
	n->class = r->out.class;
}

/* Which question the message in the room is, or answers. */
static __always_inline void lookup_name(struct dns_room *r, u8 role)
{
	struct lookup_key *k = &r->key;

	k->cookie = r->cookie;
	k->name = r->out.hash;
	k->remote = r->remote;
	k->id = r->out.id;
	k->type = r->out.type;
	k->class = r->out.class;
	k->role = role;
	k->reserved = 0;
	k->reserved2 = 0;
}

/* What of it fits is told; an answer only where there is one. */
static __always_inline bool lookup_tell(struct dns_room *r, u8 why, bool answered)
{
	struct lookup_event *e = event_reserve(EVENT_LOOKUP, sizeof(*e));

	if (!e)
		return false;
	e->exchange = r->question.exchange;
	e->exchange.why = why;
	e->ttl = answered ? r->out.ttl : ~0u;
	e->id = r->key.id;
	e->type = r->key.type;
	e->class = r->key.class;
	e->addresses = answered ? r->out.addresses : 0;
	e->aliases = answered ? r->out.aliases : 0;
	e->name_len = r->question.name_len;
	e->reserved = 0;
	__builtin_memcpy(e->name, r->question.name, LOOKUP_NAME_LEN);
	__builtin_memcpy(e->address, r->capture.address, sizeof(e->address));
	event_submit(e);
	return true;
}

/* Counts the question in the room, which was taken out of the map. Verified by itself. */
__attribute__((noinline)) int lookup_done(u32 number, u32 status, u64 latency, u32 bytes)
{
	struct dns_room *r = dns_room(number);
	struct exchange_report *x;
	bool first;
	u8 why;

	if (!r)
		return 0;
	x = &r->question.exchange;
	x->value.latency = latency;
	x->value.response_bytes = bytes;
	x->key.status = status;
	x->key.bucket = l7_bucket(latency);
	first = l7_add(&x->key, &x->value);
	why = l7_why(L7_DNS, x->key.operation, first, lookup_failed(status), latency, r->now);
	if (why && lookup_tell(r, why, status != L7_NO_ANSWER) && why == WHY_NEW)
		l7_remember(x->key.operation);
	return 0;
}

/* Takes the question that is named in the room out of the map; only one who tries can. */
static __always_inline bool lookup_take(struct dns_room *r)
{
	struct lookup_value *q = bpf_map_lookup_elem(&lookups, &r->key);
	struct lookup_note n;
	struct l7_pair *note;

	if (!q)
		return false;
	r->question = *q;
	if (bpf_map_delete_elem(&lookups, &r->key))
		return false;
	if (r->transport != IPPROTO_UDP)
		r->question.exchange.key.peer = r->peer;
	if (r->transport != IPPROTO_UDP || r->key.role != ROLE_CLIENT)
		return true;
	lookup_note_key(&n, r, r->local.port);
	note = bpf_map_lookup_elem(&lookup_notes, &n);
	if (note) {
		r->question.exchange.key.peer = note->server;
		bpf_map_delete_elem(&lookup_notes, &n);
	}
	return true;
}

/* weir's own sockets, at either end, are never counted. */
static __always_inline bool lookup_own(const struct dns_room *r)
{
	return r->question.self || r->question.exchange.key.peer == L7_SELF;
}

static __always_inline void lookup_describe(struct dns_room *r)
{
	struct exchange_report *x = &r->question.exchange;
	bool client = r->key.role == ROLE_CLIENT;

	__builtin_memset(x, 0, sizeof(*x));
	/* 0 is the rest for which there was no room. */
	x->key.operation = name_mix(r->out.hash, (u32)r->out.class << 16 | r->out.type) | 1;
	x->key.cgroup = r->cgroup;
	__builtin_memcpy(x->key.remote, r->remote.addr, 16);
	x->key.port = client ? r->remote.port : r->local.port;
	x->key.protocol = L7_DNS;
	x->key.role = r->key.role;
	x->value.count = 1;
	x->value.request_bytes = r->out.size;
	x->cookie = r->cookie;
	x->conn = r->conn;
	x->start = r->now;
	x->local = r->local;
	x->remote_port = r->remote.port;
	x->transport = r->transport;
	x->netns = r->netns;
	x->pid = r->pid;
	__builtin_memcpy(x->comm, r->comm, COMM_LEN);
	r->question.self = r->self;
	r->question.name_len = r->out.name;
	__builtin_memset(r->question.reserved, 0, sizeof(r->question.reserved));
	__builtin_memcpy(r->question.name, r->capture.name, LOOKUP_NAME_LEN);
}

/* A resolver's end: whether the client counts this question. Of a TCP connection that was asked before. */
static __always_inline bool lookup_signed(const struct dns_room *r)
{
	struct lookup_note n;
	struct l7_pair *note;

	if (r->transport != IPPROTO_UDP)
		return false;
	lookup_note_key(&n, r, r->remote.port);
	note = bpf_map_lookup_elem(&lookup_notes, &n);
	if (note)
		note->server = r->self ? L7_SELF : r->cgroup;
	return note;
}

/* The message in this room is a question that a socket of this role asks, or is asked. */
__attribute__((noinline)) int lookup_ask(u32 number, u32 role)
{
	struct dns_room *r = dns_room(number);
	struct l7_pair pair = {};
	struct lookup_value *q;
	struct lookup_note n;

	if (!r)
		return 0;
	lookup_name(r, role);
	if (role == ROLE_SERVER && (lookup_signed(r) || r->self))
		return 0;
	q = bpf_map_lookup_elem(&lookups, &r->key);
	if (q) {
		if (r->now < q->exchange.start + lookup_patience)
			return 0; /* repeated */
		if (lookup_take(r) && !lookup_own(r))
			lookup_done(number, L7_NO_ANSWER, lookup_patience, 0);
	}
	lookup_describe(r);
	if (bpf_map_update_elem(&lookups, &r->key, &r->question, BPF_NOEXIST) == -E2BIG) {
		count_loss(LOSS_LOOKUP_TABLE_FULL);
		return 0;
	}
	if (r->transport != IPPROTO_UDP || role != ROLE_CLIENT)
		return 0;
	lookup_note_key(&n, r, r->local.port);
	bpf_map_update_elem(&lookup_notes, &n, &pair, BPF_NOEXIST);
	return 0;
}

/* The message in this room is an answer that a socket of this role got, or gave; 0 if nobody asked. */
__attribute__((noinline)) int lookup_answer(u32 number, u32 role)
{
	struct dns_room *r = dns_room(number);
	u64 start;

	if (!r)
		return 0;
	lookup_name(r, role);
	if (!lookup_take(r))
		return 0;
	start = r->question.exchange.start;
	if (!lookup_own(r))
		lookup_done(number, r->out.head & DNS_RCODE, r->now > start ? r->now - start : 0, r->out.size);
	return 1;
}
