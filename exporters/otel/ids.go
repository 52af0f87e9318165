package otel

import (
	"crypto/sha256"
	"encoding/binary"

	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

type (
	traceID = trace.TraceID
	spanID  = trace.SpanID
)

// Flags of a span.
const (
	flagSampled   = uint32(trace.FlagsSampled)
	flagHasRemote = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	flagRemote    = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
)

// traceContext is what a request's traceparent says; the zero value where it has none.
type traceContext struct {
	trace   traceID
	parent  spanID
	sampled bool
}

func (c *traceContext) valid() bool { return c.parent != (spanID{}) }

// contextOf reads a traceparent as W3C Trace Context has it. What is not valid
// says nothing.
func contextOf(l *flow.L7) (c traceContext) {
	if l.Exchange.HTTP == nil {
		return c
	}
	trace, parent, flags := l7.Traceparent(l.Exchange.HTTP.Traceparent)
	if trace == "" {
		return c
	}
	var f [1]byte
	unhex(c.trace[:], trace)
	unhex(c.parent[:], parent)
	unhex(f[:], flags)
	c.sampled = uint32(f[0])&flagSampled != 0
	return c
}

// unhex reads lower case hexadecimal digits, which are known to be good and enough.
func unhex(into []byte, digits string) {
	digits = digits[:2*len(into)]
	for i := range into {
		into[i] = nibble(digits[2*i])<<4 | nibble(digits[2*i+1])
	}
}

func nibble(digit byte) byte { return digit&0xf + digit>>6*9 }

// ids are those of an exchange's trace and spans.
type ids struct {
	trace  traceID
	client spanID
	server spanID
}

// idsOf are made of what makes an exchange the one that it is, so that whoever
// reads a recording again gives the same, and a receiver that was told twice can
// know it.
func idsOf(node string, x *flow.Exchange, up *traceContext) (i ids) {
	b := make([]byte, 0, 160)
	b = binary.BigEndian.AppendUint64(b, uint64(len(node)))
	b = append(b, node...)
	for _, n := range [...]uint64{
		x.Cookie, x.ConnID, x.Cgroup, x.Peer, uint64(x.Start), uint64(x.Operation),
		uint64(x.NetNS)<<32 | uint64(x.Port)<<16 | uint64(x.RemotePort), uint64(x.Protocol)<<8 | uint64(x.Role),
	} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	if x.DNS != nil {
		b = binary.BigEndian.AppendUint16(b, x.DNS.ID)
	}
	local, remote := x.Local.Addr().As16(), x.Remote.As16()
	b = append(append(b, local[:]...), remote[:]...)
	sum := sha256.Sum256(b)
	copy(i.trace[:], sum[:16])
	copy(i.client[:], sum[16:24])
	copy(i.server[:], sum[24:])
	if up.valid() {
		i.trace = up.trace
	}
	return i
}
