// Package l7 gives exchanges their words, and keeps account of them.
//
// The kernel counts by numbers: which operation, which outcome, which bucket of
// latencies. A Book knows what an operation's number stands for, as the exchanges
// told in full say it, and makes path templates of HTTP's paths. Protocols is the
// table of what differs between the protocols; whoever shows or exports exchanges
// asks it, and has no switch of its own.
//
// Whether an exchange failed depends on who asks. A server's error is its own
// doing (HTTP 5xx); a client's is also what it did wrong itself (4xx), as
// OpenTelemetry's semantic conventions have it. A record is shared by both ends:
// its Error is what failed for both, so 5xx and a missing answer, not 4xx.
//
// Nothing here trusts a peer. Paths are cut, tables are bounded, and what looks
// like a secret in a path is left out unless the whole of it was asked for.
package l7
