package native

import (
	"bytes"
	"fmt"
	"strings"
)

// What a step of a parser tells: enum parse_flag.
const (
	FlagHead   = 1
	FlagEnd    = 2
	FlagError  = 4
	FlagSwitch = 8
)

// HTTP1Reason is why the HTTP/1 parser gave up: enum http1_reason.
type HTTP1Reason uint16

// http1Reasons are numbered from http1FirstReason on; a test holds them against the header.
var http1Reasons = [...]string{
	"bad start", "bad method", "http2 preface", "bad target", "fragment", "userinfo", "no version", "bad version", "bad status",
	"bare cr", "bare lf", "obs fold", "name space", "no colon", "empty name", "control",
	"length form", "length long", "length repeated", "coding form", "coding repeated", "coding in 1 0", "length and coding",
	"host missing", "host repeated", "host form", "host mismatch", "list form",
	"chunk size", "chunk long", "chunk extension", "chunk end", "trailer",
	"connect body", "request unknown", "switch unasked", "switch pending", "after close", "head long", "truncated",
}

const http1FirstReason = 100

// String is the reason's name.
func (r HTTP1Reason) String() string { return reason(uint16(r)-http1FirstReason, http1Reasons[:]) }

// HTTP1Out is struct http1_out.
type HTTP1Out struct {
	Flags, Kind                         uint8
	Reason                              HTTP1Reason
	Method, Request, BodyKind, Reserved uint8
	Status, Marks                       uint16
	Head                                uint32
	Body, Key, Total                    uint64
}

// HTTP1Capture is struct http1_capture.
type HTTP1Capture struct {
	PathLen, TraceLen uint8
	_                 [6]byte
	MethodBytes       [8]byte
	PathBytes         [112]byte
	TraceBytes        [64]byte
}

// HTTP1Told is struct http1d_told: what one step told, At bytes into the stream.
type HTTP1Told struct {
	At, Reserved uint32
	HTTP1Out
	HTTP1Capture
}

// HTTP1Run is a run of the HTTP/1 parser.
type HTTP1Run = Run[HTTP1State, HTTP1Out, HTTP1Capture, [MaxTold]HTTP1Told]

// HTTP1State is struct http1d_state: what a direction keeps, and the queue of
// requests.
type HTTP1State [80]byte

// LoadHTTP1 puts a stream into r for one run.
func LoadHTTP1(r *HTTP1Run, s Stream, cut Cut) {
	r.Load(s.Bytes, s.argument(), cut)
	r.EOF = s.EOF
	if cut.Window == 0 {
		r.Window = 112 // HTTP1_WINDOW
	}
}

// TellHTTP1 is what was told in the last run of r, a line for each.
func TellHTTP1(r *HTTP1Run) []string {
	var lines []string
	for i := range min(int(r.Notes), MaxTold) {
		lines = append(lines, r.Told[i].String())
	}
	return lines
}

// Kinds of messages, bodies and requests, and marks: as in http1.h.
const (
	KindRequest  = 1
	KindResponse = 2
	KindInterim  = 3

	BodyNone    = 0
	BodyLength  = 1
	BodyChunked = 2
	BodyClose   = 3

	AskedUnknown = 0
	AskedPlain   = 1
	AskedHead    = 2
	AskedConnect = 3
	AskedUpgrade = 4

	// Verdicts of http1_detect().
	IsNot      = 0
	IsMaybe    = 1
	IsRequest  = 2
	IsResponse = 3

	MarkKeepAlive = 1
	MarkVersion1  = 2
	MarkQuery     = 4
	MarkExpect    = 8
	MarkAbsolute  = 16
	MarkTraced    = 32
	MarkWebsocket = 64
	MarkH2C       = 128
)

var (
	http1Methods = [...]string{"", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
	http1Kinds   = [...]string{"", "request", "response", "interim"}
	http1Bodies  = [...]string{"none", "length", "chunked", "close"}
	http1Marks   = [...]string{"keep-alive", "1.1", "query", "expect", "absolute", "traced", "websocket", "h2c"}
)

// Method is the name of the method, of one that is not known its first 8 bytes.
func (t *HTTP1Told) Method() string {
	if m := http1Methods[t.HTTP1Out.Method]; m != "" {
		return m
	}
	return string(bytes.TrimRight(t.MethodBytes[:], "\x00"))
}

// Path is as much of the path as was captured.
func (t *HTTP1Told) Path() string { return string(t.PathBytes[:t.PathLen]) }

// Trace is the traceparent, if there was one.
func (t *HTTP1Told) Trace() string {
	if t.Marks&MarkTraced == 0 {
		return ""
	}
	return string(t.TraceBytes[:t.TraceLen])
}

// String is one line with all that is valid.
func (t *HTTP1Told) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", t.At)
	if t.Flags&FlagError != 0 {
		fmt.Fprintf(&b, " error %d %v", t.Reason, t.Reason)
		return b.String()
	}
	fmt.Fprintf(&b, " %s", http1Kinds[t.Kind])
	if t.Flags&FlagHead != 0 {
		switch t.Kind {
		case KindRequest:
			fmt.Fprintf(&b, " %s %q asked=%d key=%016x", t.Method(), t.Path(), t.Request, t.Key)
			if trace := t.Trace(); trace != "" {
				fmt.Fprintf(&b, " trace=%s", trace)
			}
		default:
			fmt.Fprintf(&b, " %d", t.Status)
		}
		fmt.Fprintf(&b, " head=%d body=%s", t.Head, http1Bodies[t.BodyKind])
		if t.BodyKind == BodyLength {
			fmt.Fprintf(&b, "=%d", t.Body)
		}
		for i, mark := range http1Marks {
			if t.Marks>>i&1 != 0 {
				fmt.Fprintf(&b, " %s", mark)
			}
		}
	}
	if t.Flags&FlagEnd != 0 {
		fmt.Fprintf(&b, " end total=%d", t.Total)
	}
	if t.Flags&FlagSwitch != 0 {
		b.WriteString(" switch")
	}
	return b.String()
}
