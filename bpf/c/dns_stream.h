/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * DNS over one TCP connection (RFC 7766): messages behind their lengths, both ways,
 * many at once and answered in any order. What arrived is tried on a copy, as l7_stream.h
 * says, and what was said in it is kept until TCP took it.
 */
#pragma once

#include "dns_lookup.h"
#include "l7_conn.h"

#define DNS_SAID 8 /* messages that may wait for TCP; a power of two */

/* A direction. It can be copied and put back. */
struct dns_dir {
	struct dns_state s;
	u64 began;   /* when the first byte of the message under way came */
	u64 crowded; /* more messages came at once than are kept: how many bytes they had */
	struct dns_capture capture;
};

struct dns_said {
	struct dns_out out;
	u64 at; /* when a question's first byte came, or an answer's last */
	struct dns_capture capture;
};

enum dns_over {
	DNS_OPAQUE = 1, /* it is not DNS, or weir's own */
	DNS_LOST = 2,
};

struct dns_conn {
	struct l7_conn conn;
	struct dns_out out;
	u8 over;  /* enum dns_over: nothing more is read */
	u8 spoke; /* a whole message was read: it is DNS */
	u8 tried; /* messages in said */
	u8 reserved[5];
	struct dns_dir dirs[STREAM_POSITIONS];
	struct dns_said said[DNS_SAID + 1]; /* the last is for what is certain at once */
	u8 window[DNS_WINDOW + PARSE_SLACK];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct dns_conn);
} l7_dns SEC(".maps");

static __always_inline void dns_became_known(const struct dns_conn *c, u64 server)
{
	u64 cookie = c->conn.cookie;

	bpf_map_update_elem(&lookup_conns, &cookie, &server, BPF_ANY);
}

/* Whether the server has signed: it may do so long before it answers. */
static __always_inline bool dns_signed(const struct dns_conn *c)
{
	u64 conn = c->conn.stream.conn;
	struct l7_pair *pair = bpf_map_lookup_elem(&l7_pairs, &conn);

	return pair && pair->server;
}

static __always_inline void dns_give_up(struct dns_conn *c, u8 over)
{
	if (c->over)
		return;
	c->over = over;
	if (c->spoke)
		dns_became_known(c, LOOKUP_UNKNOWN);
}

static __always_inline void dns_feed_lose(struct dns_conn *c, u8 reason, u64 bytes)
{
	if (c->over)
		return;
	l7_unseen(L7_DNS, reason, 1, bytes);
	dns_give_up(c, DNS_LOST);
}

/* Tells what was said. Verified by itself. */
__attribute__((noinline)) int dns_tell(struct dns_conn *c, u32 at)
{
	u32 number, role;
	struct dns_said *said;
	struct dns_room *r;

	if (!c || at > DNS_SAID)
		return 0;
	said = &c->said[at];
	c->spoke = 1;
	if (said->out.head & DNS_OPCODE)
		return 0;
	number = dns_enter();
	r = dns_room(number);
	if (!r) {
		dns_feed_lose(c, UNSEEN_BUSY, said->out.size);
		return 0;
	}
	r->now = said->at;
	r->cookie = c->conn.cookie;
	r->conn = c->conn.stream.conn;
	r->cgroup = c->conn.key.cgroup;
	r->peer = c->conn.key.peer;
	r->netns = c->conn.netns;
	r->pid = c->conn.pid;
	__builtin_memcpy(r->comm, c->conn.comm, COMM_LEN);
	r->local = c->conn.local;
	__builtin_memcpy(r->remote.addr, c->conn.key.remote, 16);
	r->remote.port = c->conn.remote_port;
	r->remote.reserved = 0;
	r->transport = IPPROTO_TCP;
	r->self = 0;
	r->out = said->out;
	r->capture = said->capture;
	/* Who connected asks; what goes the other way round is no lookup. */
	role = c->conn.client ? ROLE_CLIENT : ROLE_SERVER;
	if (r->out.kind == DNS_QUERY)
		lookup_ask(number, role);
	else
		lookup_answer(number, role);
	dns_leave(r);
	return 0;
}

/* Whether somebody waits for this answer: of a zone transfer only the first message is one. */
static __always_inline bool dns_awaited(const struct dns_conn *c)
{
	struct lookup_key k = {.cookie = c->conn.cookie,
			       .name = c->out.hash,
			       .remote.port = c->conn.remote_port,
			       .id = c->out.id,
			       .type = c->out.type,
			       .class = c->out.class,
			       .role = ROLE_CLIENT};

	__builtin_memcpy(k.remote.addr, c->conn.key.remote, 16);
	return bpf_map_lookup_elem(&lookups, &k);
}

/* After every step: where a message is complete, what was tried waits for TCP, what leaves is told. */
static __always_inline void dns_took(struct dns_conn *c, struct dns_dir *d, u32 position, u64 now)
{
	bool asked = c->out.kind == DNS_QUERY, asking = (position == STREAM_EGRESS) == c->conn.client;
	struct dns_said *said;
	u32 at = DNS_SAID;

	if (!(c->out.flags & OUT_END) || asked != asking)
		return;
	if (position == stream_tentative(&c->conn.stream)) {
		if (!asked && !dns_awaited(c))
			return;
		at = c->tried;
		if (at >= DNS_SAID) {
			d->crowded += c->out.size;
			return;
		}
		c->tried++;
	}
	said = &c->said[at];
	said->out = c->out;
	said->at = asked ? d->began : now;
	said->capture = d->capture;
	if (position != stream_tentative(&c->conn.stream))
		dns_tell(c, at);
}

/* Shows the window to a direction, or skips; returns how many bytes it took. Verified by itself. */
__attribute__((noinline)) u32 dns_feed_step(struct dns_conn *c, u32 len, u32 position, u64 now)
{
	u32 shown = len;
	struct dns_dir *d;

	if (!c || position >= STREAM_POSITIONS)
		return 0;
	d = &c->dirs[position];
	if (d->s.skip) {
		if (d->s.skip < len)
			len = d->s.skip;
		dns_skipped(&d->s, len, &c->out);
	} else {
		if (d->s.phase == DNS_PREFIX && d->s.need == 2)
			d->began = now;
		len = dns_step(&d->s, c->window, len, &c->out, &d->capture);
	}
	/* The byte at which an error shows is not among those that were read. */
	if (c->out.flags & OUT_ERROR)
		len = shown;
	c->conn.stream.next[position] += len;
	dns_took(c, d, position, now);
	return len;
}

/* What TCP took, or what leaves, cannot be read. */
static __always_inline void dns_check(struct dns_conn *c, u32 position)
{
	if (c->dirs[position].crowded)
		dns_feed_lose(c, UNSEEN_PIPELINED, c->dirs[position].crowded);
	if (c->dirs[position].s.phase != DNS_DONE)
		return;
	if (c->spoke)
		dns_feed_lose(c, UNSEEN_ERROR, 0);
	else
		dns_give_up(c, DNS_OPAQUE);
}

#define FEED(name) dns_feed_##name
#define FEED_PROTOCOL L7_DNS
#define FEED_CONN struct dns_conn
#define FEED_MAP l7_dns
#define FEED_UNKEPT L7_LOST
#define FEED_BYTES(c) ((c)->window)
#define FEED_WINDOW DNS_WINDOW
#define FEED_LOAD DNS_WINDOW

static __always_inline bool dns_feed_ended(const struct dns_conn *c, u32 position)
{
	return c->over;
}

static __always_inline void dns_feed_init(struct dns_conn *c, const struct l7_sock *l)
{
	dns_init(&c->dirs[STREAM_EGRESS].s);
	dns_init(&c->dirs[stream_ingress(&c->conn.stream)].s);
	dns_init(&c->dirs[stream_tentative(&c->conn.stream)].s);
}

static __always_inline void dns_feed_again(struct dns_conn *c)
{
	c->dirs[stream_tentative(&c->conn.stream)] = c->dirs[stream_ingress(&c->conn.stream)];
	c->tried = 0;
}

static __always_inline void dns_feed_fed(struct dns_conn *c, u32 position, u64 now)
{
	if (position == stream_tentative(&c->conn.stream))
		c->conn.stream.pending = true;
	else
		dns_check(c, position);
}

static __always_inline bool dns_feed_waits(const struct dns_conn *c, bool egress)
{
	return c->conn.stream.pending || (c->conn.noted && !egress && dns_signed(c));
}

#include "l7_feed.h"

/* What was tried and TCP took becomes the state, and is told. */
static __always_inline void dns_commit(struct dns_conn *c, u32 rcv_nxt, u64 now)
{
	u32 gap;

	if (stream_taken(&c->conn.stream, rcv_nxt)) {
		for (u32 n = 0; n < DNS_SAID; n++) {
			if (n >= c->tried)
				break;
			dns_tell(c, n);
		}
		c->tried = 0;
	}
	gap = stream_unseen(&c->conn.stream, rcv_nxt);
	if (gap && !c->over)
		dns_feed_gap(c, stream_ingress(&c->conn.stream), gap, now);
	dns_check(c, stream_ingress(&c->conn.stream));
}
