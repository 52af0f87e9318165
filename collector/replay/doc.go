// Package replay writes events into a recording and reads them back as a Source.
//
// A recording is JSON Lines, compressed with gzip where its name ends in .gz:
//
//	{"weir_recording":1,"weir":"…","host":"…","kernel":"…","started":…}
//	{"k":1,"t":…,"cpu":0,"s":{…}}            one event a line, see flow.Kind
//	{"end":{"events":…,"stats":{…}}}         the source's own account
//
// A recording without its last line is truncated: all of it that is whole is
// read, and then ErrTruncated is returned. It holds addresses, names, sizes and
// times, and of exchanges methods, paths without their queries, statuses and the
// names that were asked for; no payload, no query, and of headers nothing but a
// traceparent: events carry none.
//
// A field or kind that the reader does not know is an error, because a recording
// that is half understood would give wrong answers; so new ones need no new version.
// Strings of any bytes survive: one that is no UTF-8 is written as U+0000 and its
// base64.
package replay
