/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a socket asks a resolver, and what it is answered. An answer counts where
 * the same socket asked for the same name by the same number, from the resolver
 * that answers, not long ago; and it counts before the application can read it.
 */
#pragma once

#include "known.h"
#include "parse/dns_answer.h"
#include "party.h"

#define QUESTION_LIFE (10 * SECOND)

struct asked_key {
	u64 cookie;
	u64 name;		  /* a hash: which name it is, is read again from the answer */
	struct endpoint resolver; /* as the application named it */
	u16 id;
	u16 type;
	u16 class;
	u16 looped; /* it left by the loopback device */
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct asked_key);
	__type(value, u64); /* when */
} asked SEC(".maps");

#define ASKED_PEERS 4 /* a power of two */

/* The peers that a socket sent to, of which questions are judged. */
struct asked_peers {
	struct endpoint named[ASKED_PEERS];
	u32 count; /* above ASKED_PEERS: of more */
	u32 reserved;
};

/* Where a message is read: too much for the stack. Programs nest on one processor: each takes a room for itself. */
#define NAME_ROOMS 4

struct name_room {
	u32 taken;
	u32 reserved;
	struct matched of[PATTERN_TABLES];
	struct question q; /* who asks, and whom */
	struct answer a;
	u32 reserved2;
	struct asked_peers peers;
	struct asked_key asked;
	struct known_key key;
	struct known_names none; /* zeros */
	struct answer_state state;
	struct answer_bytes bytes; /* of a datagram; a stream's are with its socket */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NAME_ROOMS);
	__type(key, u32);
	__type(value, struct name_room);
} name_rooms SEC(".maps");

/* By its number, which functions that are verified by themselves take: 6.1 lets no map be asked with other pointers. */
static __always_inline struct name_room *name_room(u32 number)
{
	return bpf_map_lookup_elem(&name_rooms, &number);
}

/*
 * The number of a room, which is the caller's until name_leave(); NAME_ROOMS if all
 * are taken. Verified by itself, so that what comes after is not verified for each.
 */
__attribute__((noinline)) int name_enter(void)
{
	u32 n;

	for (n = 0; n < NAME_ROOMS; n++) {
		struct name_room *r = name_room(n);

		if (r && !__sync_val_compare_and_swap(&r->taken, 0, 1))
			return n;
	}
	lose_name(NAME_BUSY);
	return n;
}

static __always_inline void name_leave(struct name_room *r)
{
	__sync_lock_test_and_set(&r->taken, 0);
}

/* Notes the identities of the patterns of one table that match the name that is asked for. Verified by itself. */
__attribute__((noinline)) int match_name(u32 number, u32 which)
{
	u32 at = NAME_BEGIN, size, c;
	struct name_room *r = name_room(number);
	void *table = bpf_map_lookup_elem(&patterns, &which);
	struct name_state *s;
	struct matched *to;

	if (!r)
		return 0;
	to = which == PATTERNS_OPEN ? &r->of[PATTERNS_OPEN] : &r->of[PATTERNS_ASKED];
	to->names = 0;
	size = r->state.name;
	if (!table || !size || r->state.odd)
		return 0;
#pragma clang loop unroll(disable)
	for (u32 n = 0; n < ANSWER_TEXT; n++) {
		if (n >= size)
			break;
		s = bpf_map_lookup_elem(table, &at);
		c = r->state.text[n];
		/* The parser has written no other; the verifier does not know. */
		if (!s || c >= NAME_CHARACTERS)
			return 0;
		at = s->next[c];
	}
	s = bpf_map_lookup_elem(table, &at);
	if (!s)
		return 0;
	to->names = s->names;
	__builtin_memcpy(to->identity, s->identity, sizeof(to->identity));
	return 0;
}

/*
 * The address has one name more until then: in the slot that has it already, or in the one that ends first. A slot
 * changes by one exchange, as other processors may come between.
 */
static __always_inline void know(struct known_names *k, u32 identity, u32 until)
{
	u64 found = 0, mine = (u64)identity << 32 | until;
	u32 best = 0, least = ~0u;

#pragma clang loop unroll(disable)
	for (u32 n = 0; n < NAMES_AT_ONCE; n++) {
		u64 v = k->slots[n];
		u32 end = v >> 32 == identity ? 0 : (u32)v;

		if (end < least) {
			least = end;
			found = v;
			best = n;
		}
	}
	if (found >> 32 == identity) {
		if ((u32)found >= until)
			return;
	} else if ((u32)found >= seconds_now()) {
		lose_name(NAME_CROWDED);
	}
	__sync_val_compare_and_swap(&k->slots[best & (NAMES_AT_ONCE - 1)], found, mine);
	if (k->slots[best & (NAMES_AT_ONCE - 1)] >> 32 != identity)
		lose_name(NAME_CROWDED);
}

/* The address that was read has the name of the pattern. Verified by itself. */
__attribute__((noinline)) int open_address(u32 number, u32 pattern)
{
	struct name_room *r = name_room(number);
	struct known_names *k;
	u32 ttl;

	if (!r || pattern >= NAMES_AT_ONCE)
		return 0;
	__builtin_memcpy(r->key.addr, r->state.address, 16);
	k = bpf_map_lookup_elem(&known, &r->key);
	if (!k) {
		bpf_map_update_elem(&known, &r->key, &r->none, BPF_NOEXIST);
		k = bpf_map_lookup_elem(&known, &r->key);
	}
	if (!k) {
		lose_name(NAME_FULL);
		return 0;
	}
	ttl = r->state.ttl < NAME_MOST ? r->state.ttl : NAME_MOST;
	know(k, r->of[PATTERNS_OPEN].identity[pattern], seconds_now() + ttl + NAME_GRACE);
	return 0;
}

struct name_walk {
	struct answer_state *state;
	const struct answer_bytes *bytes;
	u32 room;
	u32 told;
	u32 names; /* that each address is to have */
	u32 reserved;
};

/* One turn; 1 ends the loop. */
static long name_turn(u32 turn, void *ctx)
{
	struct name_walk *w = ctx;

	w->told = answer_turn(w->state, w->bytes);
	if (w->told == ANSWER_ADDRESS) {
		for (u32 n = 0; n < NAMES_AT_ONCE; n++)
			if (n < w->names)
				open_address(w->room, n);
	}
	return w->told != ANSWER_ON && w->told != ANSWER_ADDRESS;
}

/* Reads the question; whether it is a plain one. */
static __always_inline bool read_question(struct name_walk *w, struct name_room *r, u32 size, bool response)
{
	struct answer_state *s = w->state;

	if (!answer_begin(s, w->bytes, size)) {
		/* What is no DNS at all is nobody's loss. */
		if (size >= 12 && !!(s->flags & ANSWER_QR) == response && !(s->flags & ANSWER_OPCODE))
			lose_name(NAME_UNREADABLE);
		return false;
	}
	if (!!(s->flags & ANSWER_QR) != response)
		return false;
	bpf_loop(ANSWER_TURNS, name_turn, w, 0);
	if (w->told != ANSWER_NAME) {
		lose_name(NAME_UNREADABLE);
		return false;
	}
	match_name(w->room, PATTERNS_OPEN);
	r->asked.name = s->hash;
	r->asked.id = s->id;
	r->asked.type = s->type;
	r->asked.class = s->class;
	return true;
}

/* Nothing is behind the question where no records are announced: NSCOUNT and ARCOUNT. */
static __always_inline bool ends_well(const struct answer_state *s, const struct answer_bytes *m)
{
	return s->at == s->size || answer_short(m, 8) || answer_short(m, 10);
}

/* A message of so many bytes leaves a socket for a resolver: whether it is a plain question. Verified by itself. */
__attribute__((noinline)) int name_read(const struct answer_bytes *bytes, u32 number, u32 size)
{
	struct name_room *r = name_room(number);
	struct name_walk w = {.bytes = bytes, .room = number};

	if (!r || !bytes)
		return 0;
	w.state = &r->state;
	if (!read_question(&w, r, size, false))
		return 0;
	match_name(number, PATTERNS_ASKED);
	return ends_well(w.state, bytes);
}

/* The question that was read is asked. */
static __always_inline void name_asked(struct name_room *r)
{
	u64 now = bpf_ktime_get_ns();

	if (r->of[PATTERNS_OPEN].names && bpf_map_update_elem(&asked, &r->asked, &now, BPF_ANY))
		lose_name(NAME_FULL);
}

/* Whether the socket asked this, not long ago. */
static __always_inline bool was_asked(struct name_room *r, bool forged)
{
	u64 age, *when = bpf_map_lookup_elem(&asked, &r->asked);

	if (!when) {
		lose_name(NAME_UNASKED);
		return false;
	}
	age = bpf_ktime_get_ns() - *when;
	if (forged) {
		lose_name(NAME_FORGED);
		return false;
	}
	bpf_map_delete_elem(&asked, &r->asked);
	if (age > QUESTION_LIFE) {
		lose_name(NAME_LATE);
		return false;
	}
	if (r->state.flags & ANSWER_TC) {
		lose_name(NAME_TRUNCATED);
		return false;
	}
	return true;
}

/* A message of so many bytes came from a resolver. Verified by itself. */
__attribute__((noinline)) int name_answered(const struct answer_bytes *bytes, u32 number, u32 size, u32 forged)
{
	struct name_room *r = name_room(number);
	struct name_walk w = {.bytes = bytes, .room = number};
	u16 first;

	if (!r || !bytes)
		return 0;
	w.state = &r->state;
	if (!read_question(&w, r, size, true) || !r->of[PATTERNS_OPEN].names || !was_asked(r, forged))
		return 0;
	/* Twice: nothing counts of an answer that is not sound to its end. */
	first = r->state.at;
	bpf_loop(ANSWER_TURNS, name_turn, &w, 0);
	if (w.told != ANSWER_END) {
		lose_name(NAME_UNREADABLE);
		return 0;
	}
	answer_again(&r->state, bytes, first);
	w.names = r->of[PATTERNS_OPEN].names;
	bpf_loop(ANSWER_TURNS, name_turn, &w, 0);
	return 0;
}
