/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What crosses from the kernel to user space. C owns these structures; the Go
 * types are generated from them. No implicit padding (-Wpadded), sizes checked
 * below and again by a test in Go.
 *
 * Times are CLOCK_BOOTTIME nanoseconds. Addresses are 16 bytes, IPv4 as
 * ::ffff:a.b.c.d. Ports are in host order.
 */
#pragma once

#include "kernel.h"

#define COMM_LEN 16
#define PATH_LEN 512
#define DNS_LEN 1232 /* the EDNS size that resolvers agreed on (dnsflagday.net/2020) */

enum event_kind {
	EVENT_SOCK_OPEN = 1,
	EVENT_SOCK_CLOSE = 2,
	EVENT_SOCK_LISTEN = 3,
	EVENT_CGROUP_MKDIR = 4,
	EVENT_CGROUP_RMDIR = 5,
	EVENT_DNS = 6,
	EVENT_HTTP = 7,
	EVENT_TLS = 8,
	EVENT_LOOKUP = 9, /* a question to a resolver, and its answer */
};

enum sock_role {
	ROLE_UNKNOWN = 0,
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
	ROLE_LISTENER = 3,
};

/* How a socket ended, seen from itself; numbered as flow.End. */
enum sock_end {
	END_NONE = 0,
	END_CLOSED = 1,
	END_RESET_LOCAL = 2,
	END_RESET_REMOTE = 3,
	END_REFUSED = 4,
	END_TIMED_OUT = 5,
	END_UNREACHABLE = 6,
	END_ABORTED = 7,
};

enum sock_flag {
	FLAG_PREEXISTING = 1, /* older than weir */
	FLAG_SELF = 2,	      /* weir's own */
	FLAG_ESTABLISHED = 4, /* the handshake was completed */
};

/* Starts every event. seq counts the events of one processor, lost ones included. */
struct event_hdr {
	u64 time;
	u64 seq;
	u32 cpu;
	u16 kind;
	u16 reserved;
};

struct counters {
	u64 packets;
	u64 payload;
	u64 wire;
};

struct endpoint {
	u8 addr[16];
	u16 port;
	u16 reserved;
};

/* A flow as one socket sees it. */
struct sock_report {
	u64 cookie;
	u64 cgroup;
	u64 start;
	u64 last;	     /* time of the last packet; 0 where only the counters tell */
	u64 connect_latency; /* ns, 0 when not seen */
	struct counters sent;
	struct counters received;
	struct endpoint local;
	struct endpoint remote;
	struct endpoint wire; /* the peer after NAT in the socket's own namespace; zero where it is remote */
	u32 reserved2;
	u32 isn_sent; /* with isn_received: what identifies a TCP connection at both ends */
	u32 isn_received;
	u32 netns;
	u32 pid;
	u32 rtt_us;
	u32 retransmits;
	u8 protocol;
	u8 role;
	u8 end;
	u8 flags;
	u8 icmp_type;
	u8 icmp_code;
	u8 state; /* TCP state */
	u8 reserved;
	u8 comm[COMM_LEN];
};

struct sock_event {
	struct event_hdr hdr;
	struct sock_report sock;
};

struct cgroup_event {
	struct event_hdr hdr;
	u64 id;
	u8 path[PATH_LEN];
};

struct dns_event {
	struct event_hdr hdr;
	u64 cgroup;
	struct endpoint resolver;
	u32 netns;
	u32 len;  /* bytes in data */
	u32 full; /* bytes that the message had */
	u8 data[DNS_LEN];
};

/* A connectionless flow: one socket, one peer. */
struct flow_key {
	u64 cookie;
	struct endpoint local;
	struct endpoint remote;
	u32 protocol;
	u32 reserved;
};

struct flow_value {
	struct counters sent;
	struct counters received;
	u64 start;
	u64 last;
	u64 cgroup;
	u32 netns;
	u32 pid;
	struct endpoint wire; /* as in sock_report */
	u8 role;
	u8 flags;
	u8 icmp_type;
	u8 icmp_code;
	u8 comm[COMM_LEN];
	u8 protocol; /* enum l7_protocol, once a whole message of it was read */
	u8 doubts;   /* datagrams that were looked at and were no such message */
	u8 reserved[6];
};

struct drop_key {
	struct endpoint source;
	struct endpoint destination;
	u32 netns;
	u32 reason;
	u8 protocol;
	u8 reserved[7];
};

struct drop_value {
	u64 packets;
	u64 bytes;
};

/* Losses inside the kernel, by cause; named in bpf/stats.go. */
enum loss {
	LOSS_RING_FULL = 0,
	LOSS_FLOW_TABLE_FULL = 1,
	LOSS_DROP_TABLE_FULL = 2,
	LOSS_STORAGE_FAILED = 3,
	LOSS_PACKET_UNREADABLE = 4,
	LOSS_EXCHANGE_TABLE_FULL = 5, /* an exchange was counted as one of the rest */
	LOSS_LOOKUP_TABLE_FULL = 6,   /* a question to a resolver was not counted */
	LOSS_MAX = 8,
};

/* One processor's account: produced = delivered + lost[LOSS_RING_FULL] + what waits in the ring. */
struct cpu_stats {
	u64 produced;
	u64 lost[LOSS_MAX];
};

_Static_assert(sizeof(struct event_hdr) == 24, "event_hdr");
_Static_assert(sizeof(struct sock_report) == 200, "sock_report");
_Static_assert(sizeof(struct sock_event) == 224, "sock_event");
_Static_assert(sizeof(struct flow_key) == 56, "flow_key");
_Static_assert(sizeof(struct flow_value) == 128, "flow_value");
_Static_assert(sizeof(struct drop_key) == 56, "drop_key");
