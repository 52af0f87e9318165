/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * For tests alone: the HTTP/1 parser as drive.h wants it, with what its caller
 * keeps beside it: the queue of requests that wait for their response.
 */
#include "http1.h"

#define DRIVE(name) http1d_##name
#define DRIVE_TOLD 256
#define DRIVE_WINDOW HTTP1_WINDOW
#define DRIVE_READ (HTTP1_WINDOW + HTTP1_SLACK)
#define http1d_out http1_out
#define http1d_capture http1_capture

/*
 * The lowest bit says that these are responses, the next that no request switches
 * protocols; then 3 bits for each request that is answered, the first one lowest.
 * The tenth stays.
 */
#define HTTP1D_RESPONSES 1
#define HTTP1D_RELEASE 2

struct http1d_state {
	u64 skip;
	struct http1_state http;
	u32 argument;
	u32 answered;
};

/* After each step: moves the queue on. */
static __always_inline void http1d_after(struct http1d_state *s, const struct http1_out *out)
{
	s->skip = s->http.skip;
	if (out->flags & OUT_END && out->kind == HTTP1_RESPONSE && s->answered < 9)
		s->answered++;
	s->http.request = s->argument >> (2 + 3 * s->answered) & 7;
	if (s->argument & HTTP1D_RELEASE)
		http1_release(&s->http);
}

static __always_inline bool http1d_drive_init(struct http1d_state *s, u32 argument)
{
	__builtin_memset(s, 0, sizeof(*s));
	http1_init(&s->http, argument & HTTP1D_RESPONSES);
	s->argument = argument;
	s->http.request = argument >> 2 & 7;
	return true;
}

static __always_inline u32 http1d_step(struct http1d_state *s, const u8 *window, u32 len, struct http1_out *out,
				       struct http1_capture *cap)
{
	u32 n = http1_step(&s->http, window, len, out, cap);

	http1d_after(s, out);
	return n;
}

static __always_inline void http1d_skipped(struct http1d_state *s, u64 n, struct http1_out *out)
{
	http1_skipped(&s->http, n, out);
	http1d_after(s, out);
}

static __always_inline void http1d_eof(struct http1d_state *s, struct http1_out *out)
{
	http1_eof(&s->http, out);
	http1d_after(s, out);
}
