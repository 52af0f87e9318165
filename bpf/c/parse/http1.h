/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * HTTP/1.0 and 1.1, requests and responses (RFC 9112). What two servers could
 * read in two ways is an error and not a guess. For the shape of a parser see
 * parse.h; the parts, each including the one before: http1_state.h,
 * http1_path.h, http1_target.h, http1_name.h, http1_value.h, http1_body.h, http1_turn.h;
 * and http1_detect.h.
 *
 * The caller keeps a struct http1_state for each direction, a struct
 * http1_capture for the request under parse, and the queue of requests that wait
 * for their response: out.request of each request goes into it, the oldest is
 * state.request of the response direction before each response begins (and stays
 * it over interim responses). After OUT_SWITCH both directions are opaque.
 *
 * A request that may switch protocols (CONNECT, Upgrade) holds its direction: what
 * follows before the answer is an error. Once the answer was no switch, call
 * http1_release() on the request direction, before its next byte is shown.
 */
#pragma once

#include "parse.h"

/*
 * Heads are a few hundred bytes, and each call costs: more than the usual window.
 * Any position is at most HTTP1_MASK, so that whatever a verifier loses of the
 * comparisons that were made, nothing beyond the slack is read.
 */
#define HTTP1_WINDOW 112
#define HTTP1_SLACK 48
#define HTTP1_MASK 127

#define HTTP1_HEAD_MAX (1u << 20) /* bytes of a head, far more than any server takes */
#define HTTP1_PATH 112
#define HTTP1_TRACEPARENT 55

enum http1_reason {
	HTTP1_BAD_START = 100, /* neither a method nor a version: no HTTP/1 */
	HTTP1_BAD_METHOD = 101,
	HTTP1_HTTP2_PREFACE = 102,
	HTTP1_BAD_TARGET = 103,
	HTTP1_FRAGMENT = 104,	/* # in the target: part of the path to some servers */
	HTTP1_USERINFO = 105,	/* a@b as the target's authority */
	HTTP1_NO_VERSION = 106, /* like HTTP/0.9 */
	HTTP1_BAD_VERSION = 107,
	HTTP1_BAD_STATUS = 108,
	HTTP1_BARE_CR = 109,
	HTTP1_BARE_LF = 110,
	HTTP1_OBS_FOLD = 111,
	HTTP1_NAME_SPACE = 112, /* in a field's name, or between it and its colon */
	HTTP1_NO_COLON = 113,
	HTTP1_EMPTY_NAME = 114,
	HTTP1_CONTROL = 115,	 /* a control character in a line */
	HTTP1_LENGTH_FORM = 116, /* Content-Length that is no plain number */
	HTTP1_LENGTH_LONG = 117, /* more than 18 digits */
	HTTP1_LENGTH_REPEATED = 118,
	HTTP1_CODING_FORM = 119, /* Transfer-Encoding other than "chunked" */
	HTTP1_CODING_REPEATED = 120,
	HTTP1_CODING_IN_1_0 = 121,
	HTTP1_LENGTH_AND_CODING = 122,
	HTTP1_HOST_MISSING = 123, /* in HTTP/1.1 */
	HTTP1_HOST_REPEATED = 124,
	HTTP1_HOST_FORM = 125,
	HTTP1_HOST_MISMATCH = 126, /* the target names another one */
	HTTP1_LIST_FORM = 127,	   /* Connection, Upgrade or Expect: two words without a comma */
	HTTP1_CHUNK_SIZE = 128,
	HTTP1_CHUNK_LONG = 129, /* more than 15 digits */
	HTTP1_CHUNK_EXTENSION = 130,
	HTTP1_CHUNK_END = 131, /* no CRLF after a chunk's data */
	HTTP1_TRAILER = 132,   /* framing or routing in a trailer */
	HTTP1_CONNECT_BODY = 133,
	HTTP1_REQUEST_UNKNOWN = 134, /* the response's end depends on a request that was not seen */
	HTTP1_SWITCH_UNASKED = 135,  /* 101 without Upgrade in the request */
	HTTP1_SWITCH_PENDING = 136,  /* bytes behind CONNECT or Upgrade, before the answer */
	HTTP1_AFTER_CLOSE = 137,     /* bytes behind a message that said it is the last */
	HTTP1_HEAD_LONG = 138,
	HTTP1_TRUNCATED = 139, /* the stream ended inside a message */
};

enum http1_kind {
	HTTP1_REQUEST = 1,
	HTTP1_RESPONSE = 2,
	HTTP1_INTERIM = 3, /* 1xx but 101: the response is still to come */
};

enum http1_method {
	HTTP1_OTHER = 0, /* its first 8 bytes are in the capture */
	HTTP1_GET = 1,
	HTTP1_HEAD = 2,
	HTTP1_POST = 3,
	HTTP1_PUT = 4,
	HTTP1_DELETE = 5,
	HTTP1_CONNECT = 6,
	HTTP1_OPTIONS = 7,
	HTTP1_TRACE = 8,
	HTTP1_PATCH = 9,
};

/* What of a request its response's framing depends on. */
enum http1_request {
	HTTP1_ASKED_UNKNOWN = 0, /* not seen */
	HTTP1_ASKED_PLAIN = 1,
	HTTP1_ASKED_HEAD = 2,
	HTTP1_ASKED_CONNECT = 3,
	HTTP1_ASKED_UPGRADE = 4,
};

enum http1_body {
	HTTP1_BODY_NONE = 0,
	HTTP1_BODY_LENGTH = 1, /* out.body bytes */
	HTTP1_BODY_CHUNKED = 2,
	HTTP1_BODY_CLOSE = 3, /* to the end of the stream: http1_eof() ends it */
};

enum http1_mark {
	HTTP1_KEEP_ALIVE = 1, /* another message may follow */
	HTTP1_VERSION_1 = 2,  /* 1.1, not 1.0 */
	HTTP1_QUERY = 4,
	HTTP1_EXPECT = 8,     /* 100-continue */
	HTTP1_ABSOLUTE = 16,  /* the target is a whole URL */
	HTTP1_TRACED = 32,    /* one traceparent of the right length is in the capture */
	HTTP1_WEBSOCKET = 64, /* named in Upgrade */
	HTTP1_H2C = 128,      /* named in Upgrade */
};

/* What is shown, as an argument of a function that the verifier looks at by itself. */
struct http1_window {
	u8 bytes[HTTP1_WINDOW + HTTP1_SLACK];
};

struct http1_state {
	u64 skip;
	u64 total; /* bytes of the message so far */
	u64 key;
	u64 word; /* the bytes of a word that a cut went through */
	union {
		u64 segment; /* hash of the path's segment under way */
		u64 number;  /* Content-Length; later the size of a chunk */
	};
	u32 authority; /* hash of the target's, for an absolute one */
	u32 host;      /* hash of Host's, then */
	u32 seen;      /* enum http1_mark and below it enum http1_seen */
	u16 status;
	u8 at;	   /* enum http1_at */
	u8 have;   /* how many bytes of a word, segment or number */
	u8 shape;  /* what the segment can still be */
	u8 header; /* enum http1_header */
	u8 method;
	u8 request; /* enum http1_request; set by the caller before a response begins */
	u32 zero;   /* always: see http1_zero() */
};

/*
 * What of a request is worth showing. Only the first path_len and trace_len bytes
 * mean anything: others may be of an earlier request. Responses leave it alone.
 */
struct http1_capture {
	u8 path_len;
	u8 trace_len;
	u8 reserved[6];
	u8 method[8];	     /* its first bytes, then zero */
	u8 path[HTTP1_PATH]; /* without query; for CONNECT the authority */
	u8 trace[64];	     /* traceparent, and room for a word too much */
};

struct http1_out {
	u8 flags;   /* enum parse_flag */
	u8 kind;    /* enum http1_kind, with OUT_HEAD and OUT_END */
	u16 reason; /* with OUT_ERROR: enum http1_reason */
	/* What follows is set with OUT_HEAD and stays. */
	u8 method;    /* enum http1_method; of requests alone, as key and request */
	u8 request;   /* enum http1_request */
	u8 body_kind; /* enum http1_body */
	u8 reserved;
	u16 status; /* of responses alone */
	u16 marks;  /* enum http1_mark */
	u32 head;   /* bytes, the empty line included */
	u64 body;   /* declared, with HTTP1_BODY_LENGTH */
	u64 key;    /* of the operation: see http1_path.h */
	u64 total;  /* with OUT_END: bytes of the whole message as it was sent */
};

_Static_assert(sizeof(struct http1_state) == 64, "one cache line");
_Static_assert(sizeof(struct http1_capture) == 192, "kept for each request under parse");
_Static_assert(sizeof(struct http1_out) == 40, "no padding");

#include "http1_turn.h"
#include "http1_detect.h"

/* Begins a direction at the first byte of a message. */
static __always_inline void http1_init(struct http1_state *s, bool responses)
{
	__builtin_memset(s, 0, sizeof(*s));
	http1_begin(s, responses ? HTTP1_RESPONSES : 0);
}

/*
 * How many turns a call takes at most. Most consume a whole field of a header, a
 * few of them nothing.
 */
#define HTTP1_TURNS 64

/* See parse.h. With OUT_ERROR what counts as consumed ends where the error shows. */
static __always_inline u32 http1_step(struct http1_state *s, const u8 *window, u32 len, struct http1_out *out,
				      struct http1_capture *cap)
{
	const struct http1_window *w = (const struct http1_window *)window;
	u32 i = 0;

	out->flags = 0;
	out->reason = 0;
	if (len > HTTP1_WINDOW)
		len = HTTP1_WINDOW;
	for (int turn = 0; turn < HTTP1_TURNS; turn++) {
		if (i >= len)
			break;
		i = http1_turn(s, w, i | len << 8, out, cap);
		if (out->flags || s->skip)
			break;
	}
	s->total += i;
	http1_report(s, out);
	return i;
}

/* Tells that n bytes, at most s->skip, have passed unseen. May end the message. */
static __always_inline void http1_skipped(struct http1_state *s, u64 n, struct http1_out *out)
{
	out->flags = 0;
	out->reason = 0;
	s->total += n;
	if (s->skip == PARSE_REST)
		return;
	s->skip -= n;
	if (!s->skip && s->at == HTTP1_AT_BODY) {
		http1_end(s, out);
		http1_report(s, out);
	}
}

/* Tells that the stream ended in order (FIN). */
static __always_inline void http1_eof(struct http1_state *s, struct http1_out *out)
{
	out->flags = 0;
	out->reason = 0;
	if (s->at == HTTP1_AT_REST)
		http1_end(s, out);
	else if (!http1_idle(s))
		http1_fail(s, out, HTTP1_TRUNCATED);
	s->skip = PARSE_REST;
	http1_report(s, out);
}

/* Whether the direction waits for the answer to CONNECT or Upgrade. */
static __always_inline bool http1_held(const struct http1_state *s)
{
	return s->at == HTTP1_AT_HELD;
}

/* The answer was no switch: HTTP goes on. */
static __always_inline void http1_release(struct http1_state *s)
{
	if (http1_held(s))
		http1_next(s);
}
