/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Questions of DNS are judged by the name that they ask for, where rules say so,
 * before they leave. What cannot be read as one plain question is refused whatever
 * of its kind may be: it could be any.
 */
#pragma once

#include "enforce_datagram.h"
#include "names.h"
#include "turn.h"

/* The text of names in verdict_key: characters as answer_character() has them, and their number at the end. */
struct told_name {
	u8 text[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct told_name);
} told_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct asked_peers);
} asked_peers SEC(".maps");

/* A process sends to a peer whose questions are judged. False without memory for it. */
static __always_inline bool note_asked(struct bpf_sock *sk, const struct endpoint *peer)
{
	struct asked_peers *p = bpf_sk_storage_get(&asked_peers, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	u32 at;

	if (!p)
		return false;
	for (int n = 0; n < ASKED_PEERS; n++)
		if (same_end(&p->named[n], peer))
			return true;
	at = __sync_fetch_and_add(&p->count, 1);
	if (at < ASKED_PEERS)
		p->named[at & (ASKED_PEERS - 1)] = *peer;
	else
		p->count = ASKED_PEERS + 1; /* it shall not come round */
	return true;
}

/* The name that is asked for can be shown: read from the room. */
static __always_inline void tell_name(struct name_room *r)
{
	u64 hash = r->q.name;

	r->state.text[255] = r->state.name;
	bpf_map_update_elem(&told_names, &hash, r->state.text, BPF_ANY);
}

/*
 * Judges the question that was read, or could not be, as it stands in a room with
 * who asks whom. PASS, or DROP where it is refused. Verified by itself.
 */
__attribute__((noinline)) int judge_message(u32 number, u32 read)
{
	struct name_room *r = name_room(number);

	if (!r)
		return DROP;
	r->q.name = r->state.hash;
	if (!read) {
		r->q.name = NAME_UNREAD;
		r->of[PATTERNS_ASKED].names = 1;
		r->of[PATTERNS_ASKED].identity[0] = ASKED_UNREAD;
	}
	judge_asked(&r->q, &r->of[PATTERNS_ASKED], &r->a);
	if (r->a.verdict != VERDICT_DENIED && r->a.verdict != VERDICT_AUDITED)
		return passes(r->a.verdict) ? PASS : DROP;
	tell(&r->q, &r->a);
	if (read)
		tell_name(r);
	return r->a.verdict == VERDICT_DENIED ? DROP : PASS;
}

static __always_inline int judge_peer(struct name_room *r, u32 number, const struct endpoint *peer, u32 read)
{
	__builtin_memcpy(r->q.addr, peer->addr, 16);
	r->q.port = r->q.remote_port = peer->port;
	return judge_message(number, read);
}

/* Of each peer that the socket may have meant: those in the room. Verified by itself. */
__attribute__((noinline)) int judge_peers(u32 number, u32 read)
{
	struct name_room *r = name_room(number);

	if (!r)
		return DROP;
#pragma clang loop unroll(disable)
	for (u32 n = 0; n < ASKED_PEERS; n++) {
		if (n >= r->peers.count)
			break;
		if (judge_peer(r, number, &r->peers.named[n], r->peers.count > ASKED_PEERS ? 0 : read) == DROP)
			return DROP;
	}
	return PASS;
}

/* What becomes of a refused question: it is answered where rules say so, by the device that it leaves by. */
static __always_inline int refuse_datagram(struct __sk_buff *skb, struct bpf_sock *sk, const struct party *p,
					   const struct name_room *r, u32 read)
{
	bool turned = read && sk->type != SOCK_RAW && mark_turn(skb, p, r->a.reject);

	return turned ? TURNS : DROP;
}

/* The question of a datagram, which was read or could not be: PASS, DROP or TURNS. */
static __always_inline int judge_datagram(struct __sk_buff *skb, struct bpf_sock *sk, const struct datagram *d,
					  const struct asking *w, u32 number, u32 read)
{
	struct party *p = bpf_sk_storage_get(&parties, sk, 0, 0);
	struct name_room *r = name_room(number);
	struct asked_peers *peers;
	int pass = PASS;

	if (!r)
		return DROP;
	__builtin_memset(&r->q, 0, sizeof(r->q));
	ask_for(&r->q, sk, p);
	r->q.since = 0;
	r->q.protocol = d->h.protocol;
	r->q.local_port = d->source.port;
	if (w->what & ASKING_PEER)
		pass = judge_peer(r, number, &w->peer, read);
	if (pass != DROP && w->what & ASKING_SOME) {
		peers = bpf_sk_storage_get(&asked_peers, sk, 0, 0);
		if (peers) {
			r->peers = *peers;
			pass = judge_peers(number, read);
		}
	}
	return pass == DROP ? refuse_datagram(skb, sk, p, r, read) : PASS;
}
