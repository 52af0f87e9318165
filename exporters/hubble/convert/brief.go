package convert

import (
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/seed79351815/weir/collector/flow"
)

// parts are the messages that nearly every flow is made of, in one piece of memory.
type parts struct {
	flow   flowpb.Flow
	time   timestamppb.Timestamp
	reply  wrapperspb.BoolValue
	ip     flowpb.IP
	event  flowpb.CiliumEventType
	l4     flowpb.Layer4
	tcp    flowpb.Layer4_TCP
	header flowpb.TCP
	flags  flowpb.TCPFlags
}

// exchangeParts are those that an HTTP exchange has besides.
type exchangeParts struct {
	l7     flowpb.Layer7
	http   flowpb.Layer7_Http
	record flowpb.HTTP
	trace  flowpb.TraceContext
	parent flowpb.TraceParent
}

// Lend is Flow for who is done with the flow before the Converter's next call, and
// does not change it.
func (c *Converter) Lend(r *flow.Record) *flowpb.Flow {
	c.lending = true
	defer func() { c.lending = false }()
	return c.Flow(r)
}

// blank is a flow that says only who tells it, and when.
func (c *Converter) blank(at int64) *parts {
	p := &c.lent
	if c.lending {
		p.flow.Reset()
		p.ip.Reset()
	} else {
		p = new(parts)
	}
	t := time.Unix(0, at)
	p.time.Seconds, p.time.Nanos = t.Unix(), int32(t.Nanosecond())
	out := &p.flow
	out.Time, out.IP = &p.time, &p.ip
	out.Emitter, out.NodeName = c.emitter, c.node
	return p
}

// setReply says whether the flow is one.
func (p *parts) setReply(is bool) {
	p.reply.Value = is
	p.flow.IsReply = &p.reply
}

// setEvent says what Cilium would call the flow.
func (p *parts) setEvent(typ, sub int32) {
	p.event.Type, p.event.SubType = typ, sub
	p.flow.EventType = &p.event
}

// setTCP gives the flow a TCP header, with one flag or none.
func (p *parts) setTCP(src, dst uint16, flag string) {
	p.header.SourcePort, p.header.DestinationPort = uint32(src), uint32(dst)
	p.header.Flags = nil
	if flag != "" {
		p.flags.SYN, p.flags.ACK, p.flags.FIN, p.flags.RST = flag == flagSYN, flag == flagACK, flag == flagFIN, flag == flagRST
		p.header.Flags = &p.flags
	}
	p.tcp.TCP = &p.header
	p.l4.Protocol = &p.tcp
	p.flow.L4 = &p.l4
}
