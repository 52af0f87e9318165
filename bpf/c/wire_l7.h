/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What crosses to user space of layer 7; see wire.h. */
#pragma once

#include "wire.h"

#define HTTP_PATH_LEN 112
#define HTTP_TRACE_LEN 56

/* Numbered as flow.L7Protocol. */
enum l7_protocol {
	L7_NONE = 0,
	L7_HTTP = 1,
	L7_DNS = 2,
	L7_TLS = 3,
	L7_PROTOCOLS = 4,
};

/* Numbered as flow.Why. */
enum l7_why {
	WHY_NONE = 0,
	WHY_NEW = 1,
	WHY_ERROR = 2,
	WHY_SLOW = 3,
	WHY_SAMPLE = 4,
	WHY_MAX = 5,
	WHY_ROW = 8,
};

#define L7_NO_ANSWER 0xffff
#define L7_SELF (~0ull) /* as peer: weir itself */

/* Whose exchanges are counted, with what outcome and how long they took. flow.Tally says what the fields mean. */
struct exchange_key {
	u64 operation;
	u64 cgroup;
	u64 peer;
	u8 remote[16];
	u16 port;
	u16 status;
	u16 bucket;
	u8 protocol;
	u8 role;
};

struct exchange_value {
	u64 count;
	u64 latency;
	u64 request_bytes;
	u64 response_bytes;
};

/* Why a stretch of a connection was not read; named in bpf/exchanges.go. */
enum unseen {
	UNSEEN_GAP = 0,	       /* bytes that TCP took in another order than they came in, or that weir missed */
	UNSEEN_MID_STREAM = 1, /* the connection was older than weir */
	UNSEEN_BUSY = 2,       /* another processor was reading the same connection */
	UNSEEN_ERROR = 3,      /* the parser lost its way */
	UNSEEN_PIPELINED = 4,  /* more requests at once than are remembered */
	UNSEEN_STORAGE = 5,    /* no memory for the state */
	UNSEEN_LISTENER = 6,   /* the first bytes met the listener, and were more than could be handed over */
	UNSEEN_MAX = 8,
};

struct unseen_count {
	u64 stretches;
	u64 bytes;
};

/* One processor's account of layer 7. */
struct l7_cpu {
	u64 due[L7_PROTOCOLS * WHY_ROW]; /* by protocol and enum l7_why, see l7_afford() */
	u64 uncounted;			 /* exchanges counted without operation or outcome, for want of room */
	struct unseen_count unseen[L7_PROTOCOLS * UNSEEN_MAX];
};

/* What every exchange has that is told in full. */
struct exchange_report {
	struct exchange_key key;
	struct exchange_value value; /* of this one: count is 1 */
	u64 cookie;
	u64 conn;  /* as flow.Socket's ConnID */
	u64 start; /* CLOCK_MONOTONIC, as all times of layer 7 */
	struct endpoint local;
	u16 remote_port;
	u8 why;
	u8 transport;
	u32 netns;
	u32 pid;
	u8 comm[COMM_LEN];
};

struct http_event {
	struct event_hdr hdr;
	struct exchange_report exchange;
	u8 method; /* enum http1_method */
	u8 path_len;
	u8 trace_len;
	u8 reserved;
	u16 request_marks; /* enum http1_mark */
	u16 response_marks;
	u8 method_text[8];
	u8 path[HTTP_PATH_LEN];
	u8 trace[HTTP_TRACE_LEN];
};

#define LOOKUP_NAME_LEN 256
#define LOOKUP_ADDRESSES 8

/* A question that waits for its answer: what an answer must have to be accepted. */
struct lookup_key {
	u64 cookie;
	u64 name;		/* hash */
	struct endpoint remote; /* as the application named it */
	u16 id;
	u16 type;
	u16 class;
	u8 role; /* enum sock_role: who the socket is to the other end */
	u8 reserved;
	u32 reserved2;
};

struct lookup_value {
	struct exchange_report exchange; /* without the outcome */
	u8 self;
	u8 name_len;
	u8 reserved[6];
	u8 name[LOOKUP_NAME_LEN]; /* in wire form, lower case */
};

/*
 * A client's note that it counts a question, for a server on this host. NAT between
 * them may change addresses and the server's port; the client's port stays, but for
 * clashes.
 */
struct lookup_note {
	u64 name;
	u16 port; /* the client's */
	u16 id;
	u16 type;
	u16 class;
};

struct lookup_event {
	struct event_hdr hdr;
	struct exchange_report exchange;
	u32 ttl; /* the least; all ones without any */
	u16 id;
	u16 type;
	u16 class;
	u16 addresses; /* of which LOOKUP_ADDRESSES are kept */
	u16 aliases;
	u8 name_len;
	u8 reserved;
	u8 name[LOOKUP_NAME_LEN];
	u8 address[LOOKUP_ADDRESSES][16];
};

#define TLS_NAME_LEN 128
#define TLS_LIST_LEN 32
#define TLS_HELLO_LEN 1024

enum tls_hint {
	HINT_RESUMED = 1, /* the server took a key of an earlier session */
	HINT_ECH = 2,	  /* the client sent encrypted_client_hello, with or without meaning */
};

/* A client's hello, and what was answered. Lengths above the arrays' say that what is there was cut off. */
struct tls_event {
	struct event_hdr hdr;
	struct exchange_report exchange;
	u16 version; /* chosen, else the highest offered */
	u16 cipher;  /* chosen; 0 without a ServerHello */
	u16 hello_len;
	u8 hints; /* enum tls_hint */
	u8 alert; /* description, where one ended it */
	u8 name_len;
	u8 offered_len;
	u8 chosen_len;
	u8 reserved[5];
	u8 name[TLS_NAME_LEN];
	u8 offered[TLS_LIST_LEN]; /* ALPN, each protocol after its length */
	u8 chosen[TLS_LIST_LEN];
	u8 hello[TLS_HELLO_LEN]; /* struct tls_capture's raw */
};

_Static_assert(sizeof(struct lookup_key) == 48, "lookup_key");
_Static_assert(sizeof(struct lookup_value) == 416, "lookup_value");
_Static_assert(sizeof(struct lookup_note) == 16, "lookup_note");
_Static_assert(sizeof(struct lookup_event) == 576, "lookup_event");
_Static_assert(sizeof(struct exchange_key) == 48, "exchange_key");
_Static_assert(sizeof(struct exchange_report) == 152, "exchange_report");
_Static_assert(sizeof(struct http_event) == 360, "http_event");
_Static_assert(sizeof(struct tls_event) == 1408, "tls_event");
