package l7

import "strings"

// traceparent's lengths (W3C Trace Context, §3.2).
const (
	traceIDAt    = 3
	traceIDLen   = 32
	parentIDAt   = traceIDAt + traceIDLen + 1
	parentIDLen  = 16
	flagsAt      = parentIDAt + parentIDLen + 1
	traceparentV = flagsAt + 2 // of version 00
)

// TraceID is the trace id in a traceparent header's value, 32 hex digits; "" where
// the value is not valid. Values of versions above 00 may go on behind a hyphen.
// It is a part of the value and allocates nothing.
func TraceID(traceparent string) string {
	trace, _, _ := Traceparent(traceparent)
	return trace
}

// Traceparent is all that a traceparent header's value says: beside the trace's id
// that of the parent, 16 hex digits, and the flags, two. All are "" where the value
// is not valid, see TraceID.
func Traceparent(value string) (trace, parent, flags string) {
	p := value
	switch {
	case len(p) < traceparentV || p[2] != '-' || p[parentIDAt-1] != '-' || p[flagsAt-1] != '-':
		return "", "", ""
	case !lowerHex(p[:2]) || !lowerHex(p[flagsAt:traceparentV]) || p[:2] == "ff":
		return "", "", ""
	case len(p) > traceparentV && (p[:2] == "00" || p[traceparentV] != '-'):
		return "", "", ""
	}
	trace, parent = p[traceIDAt:traceIDAt+traceIDLen], p[parentIDAt:parentIDAt+parentIDLen]
	if !identifies(trace) || !identifies(parent) {
		return "", "", ""
	}
	return trace, parent, p[flagsAt:traceparentV]
}

// identifies tells whether an id is well formed: all zeros are none.
func identifies(id string) bool { return lowerHex(id) && strings.Trim(id, "0") != "" }

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
