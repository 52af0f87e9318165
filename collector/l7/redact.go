package l7

import (
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// Redact is a path without what may be secret or personal in it: tokens, long
// hexadecimal numbers, addresses of mail, and the parameters of segments. It is a
// guess, and errs towards leaving out; short numbers and UUIDs stay, as they tell
// which of many things was asked for. The path itself is returned where nothing is
// left out.
func Redact(path string) string {
	if !indiscreet(path) {
		return path
	}
	b := make([]byte, 0, len(path))
	for i, segment := range strings.Split(path, "/") {
		if i > 0 {
			b = append(b, '/')
		}
		name := plain(segment)
		switch s := shapeOf(name); {
		case secret(s, name):
			b = append(b, placeholders[s]...)
		default:
			b = append(b, name...)
		}
		if len(name) < len(segment) {
			b = append(b, ";…"...)
		}
	}
	return string(b)
}

func indiscreet(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if name := plain(segment); len(name) < len(segment) && segment[len(name):] != ";…" || secret(shapeOf(name), name) {
			return true
		}
	}
	return false
}

func secret(s shape, segment string) bool {
	return s == token || s == email || s == hexadecimal && len(segment) >= secretHexLen
}

// Redacted is an exchange with its path redacted; the same one where nothing is
// left out, else a copy.
func Redacted(x *flow.Exchange) *flow.Exchange {
	if x.HTTP == nil || x.HTTP.Method == "CONNECT" {
		return x
	}
	path := x.HTTP.Path
	if x.HTTP.Cut {
		path = path[:strings.LastIndexByte(path, '/')+1] + placeholders[rest] // half a secret may look like none
	}
	path = Redact(path)
	if path == x.HTTP.Path {
		return x
	}
	discreet, http := *x, *x.HTTP
	http.Path = path
	discreet.HTTP = &http
	return &discreet
}
