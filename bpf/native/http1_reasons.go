package native

import "strconv"

// http1Reasons names enum http1_reason; a test holds it against the header.
var http1Reasons = [...]string{
	"bad start", "bad method", "http2 preface", "bad target", "fragment", "userinfo", "no version", "bad version", "bad status",
	"bare cr", "bare lf", "obs fold", "name space", "no colon", "empty name", "control",
	"length form", "length long", "length repeated", "coding form", "coding repeated", "coding in 1 0", "length and coding",
	"host missing", "host repeated", "host form", "host mismatch", "list form",
	"chunk size", "chunk long", "chunk extension", "chunk end", "trailer",
	"connect body", "request unknown", "switch unasked", "switch pending", "after close", "head long", "truncated",
}

// http1FirstReason is the number of the first one.
const http1FirstReason = 100

func (r HTTP1Reason) String() string {
	if i := int(r) - http1FirstReason; i >= 0 && i < len(http1Reasons) {
		return http1Reasons[i]
	}
	return "reason " + strconv.Itoa(int(r))
}
